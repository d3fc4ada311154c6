import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "vitest";
import { fileSystemStorage } from "../../../src/index.ts";
import { nodeEnvironment } from "../../../src/testing/index.ts";
import { environmentWith } from "../../support/other-environments.ts";
import { stoppableStorage } from "../../support/other-storages.ts";
import { Workplace, codeOf, readOne, total, writeAll } from "./fixture.ts";

describe("closing during a checkpoint", () => {
  for (const backendKind of ["lsm", "memory"] as const) {
    test(`aborts it as shutdown, awaits its clean-up and leaves no file: ${backendKind}`, async () => {
      const place = new Workplace();
      const { storage, atGate, release } = stoppableStorage(place.checkpoints);
      const backend = await place.open({ backend: backendKind, checkpointStorage: storage });
      writeAll(backend, 100, 1);
      const running = backend.checkpoint();
      const outcome = running.then(
        () => assert.fail("completed"),
        (error: unknown) => error as { code?: string; reason?: string },
      );
      await atGate;
      const closing = backend.close();
      assert.throws(() => backend.setCurrentKey(1), { code: "VARVE_CLOSED" });
      release();
      await closing;
      const { code, reason } = await outcome;
      assert.deepEqual([code, reason], ["VARVE_CHECKPOINT_ABORTED", "shutdown"]);
      const left = readdirSync(place.checkpoints, { recursive: true, encoding: "utf8" });
      assert.deepEqual(
        left.filter((name) => /[0-9a-f]{32}|metadata\/./.test(name)),
        [],
      );
      const again = await place.open({ backend: backendKind });
      assert.equal(again.restored, undefined);
      const work = readdirSync(place.workingDirectory).filter((name) => name !== "lock");
      assert.equal(work.filter((name) => !name.startsWith("db-")).length, 0);
    });
  }
});

describe("closing", () => {
  test("says with an error of this library that its files cannot be removed", async () => {
    const place = new Workplace();
    const node = nodeEnvironment();
    let isBroken = false;
    const environment = environmentWith(node, {
      removeTree: async (path) => {
        if (isBroken) throw Object.assign(new Error("EACCES: rmdir"), { code: "EACCES" });
        await node.fileSystem.removeTree(path);
      },
    });
    const checkpointStorage = fileSystemStorage(place.checkpoints, {}, environment);
    const backend = await place.open({ environment, checkpointStorage });
    writeAll(backend, 10, 1);
    await backend.checkpoint();
    isBroken = true;
    await assert.rejects(backend.close(), { code: "VARVE_STORAGE" });
  });
});

describe("a second owner of the checkpoints", () => {
  test("fences the first, which stops with that error", async () => {
    const place = new Workplace();
    const first = await place.open();
    writeAll(first, 10, 1);
    await first.checkpoint();
    const second = await place.open({
      workingDirectory: `${place.workingDirectory}-2`,
      restore: "latest",
    });
    writeAll(second, 10, 2);
    await second.checkpoint();
    writeAll(first, 10, 3);
    await assert.rejects(first.checkpoint(), { code: "VARVE_FENCED" });
    assert.equal(codeOf(first.signal.reason), "VARVE_FENCED");
    assert.throws(() => first.setCurrentKey(1), { code: "VARVE_FENCED" });
    await assert.rejects(first.checkpoint(), { code: "VARVE_FENCED" });
    await first.close();
    await second.checkpoint();
    await second.close();
    const third = await place.open({ restore: "latest" });
    assert.equal(readOne(third, 5), 2);
  });
});

describe("what a backend leaves", () => {
  for (const backendKind of ["lsm", "memory"] as const) {
    test(`in its working directory is nothing but the lock, enumerations never begun included: ${backendKind}`, async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      writeAll(backend, 100, 1);
      const state = backend.valueState(total);
      state.keys();
      for await (const _ of state.keys()) break;
      await backend.checkpoint();
      await backend.close();
      assert.deepEqual(
        readdirSync(place.workingDirectory).filter((name) => name !== "lock"),
        [],
      );
    });
  }
});
