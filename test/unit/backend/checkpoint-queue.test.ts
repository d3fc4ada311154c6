// Goal: checkpoints that are asked for faster than they complete wait their turn, and their number is
// bounded; what is refused has changed nothing.
// Method: a storage whose uploads stand still until they are let go.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "vitest";
import { CUTS_UNDER_WAY_MAX } from "../../../src/backend/checkpointing.ts";
import { stoppableStorage } from "../../support/other-storages.ts";
import { Workplace, readOne, writeAll } from "./fixture.ts";

const refused = { code: "VARVE_BACK_PRESSURE", retriable: true };

for (const backendKind of ["lsm", "memory"] as const) {
  describe(`checkpoints faster than the storage: ${backendKind}`, () => {
    test("complete in order up to the limit, each with what was there at its call", async () => {
      const place = new Workplace();
      const { storage, release } = stoppableStorage(place.checkpoints);
      const options = { backend: backendKind, retainedCheckpoints: CUTS_UNDER_WAY_MAX };
      const backend = await place.open({ ...options, checkpointStorage: storage });
      const running = [];
      for (let turn = 1; turn <= CUTS_UNDER_WAY_MAX; turn++) {
        writeAll(backend, 5, turn);
        running.push(backend.checkpoint(turn));
      }
      writeAll(backend, 5, 99);
      await assert.rejects(backend.checkpoint("one too many"), refused);
      assert.throws(() => backend.snapshot(1000), refused);
      assert.equal(backend.stats().abortedCheckpoints, 0);
      assert.equal(readOne(backend, 4), 99);
      release();
      const ids = (await Promise.all(running)).map(({ checkpointId }) => checkpointId);
      assert.deepEqual(
        ids,
        [...ids].sort((a, b) => a - b),
      );
      const after = await backend.checkpoint("room again");
      assert.equal(after.checkpointId, ids.at(-1)! + 1, "a refused call uses up no id");
      await backend.close();
      for (const turn of [2, 9, CUTS_UNDER_WAY_MAX]) {
        const restored = await place.open({ ...options, restore: ids[turn - 1]! });
        assert.deepEqual([restored.restored?.metadata, readOne(restored, 4)], [turn, turn]);
        await restored.close();
      }
    });

    test("count snapshots too, which closing awaits", async () => {
      const place = new Workplace();
      const { storage, atGate, release } = stoppableStorage(place.checkpoints);
      const backend = await place.open({ backend: backendKind, checkpointStorage: storage });
      writeAll(backend, 100, 1);
      const outcomes = Array.from({ length: CUTS_UNDER_WAY_MAX }, (_, index) =>
        backend.snapshot(index + 1).result.then(
          () => "taken",
          (error: { code: string }) => error.code,
        ),
      );
      assert.throws(() => backend.snapshot(99), refused);
      await assert.rejects(backend.checkpoint(), refused);
      await atGate;
      let isClosed = false;
      const closing = backend.close().then(() => (isClosed = true));
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(isClosed, false, "closed under an upload");
      release();
      await closing;
      assert.deepEqual([...new Set(await Promise.all(outcomes))], ["VARVE_CLOSED"]);
      const left = readdirSync(place.workingDirectory).filter((name) => name !== "lock");
      assert.deepEqual(left, []);
    });
  });
}
