// Goal: a full disk under the working directory poisons, one under the checkpoints aborts that
// checkpoint only, and nothing that was durable is lost.
// Method: real small file systems, which only root may mount.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { MIB, fileSystemStorage, utf8 } from "../../../src/index.ts";
import { mountSmall, writeNoise } from "./disks.ts";
import { Workplace, codeOf, readOne, writeAll } from "./fixture.ts";

test("a disk that is full while draining poisons, and the last checkpoint restores", async (context) => {
  const place = new Workplace();
  mountSmall(context, place.workingDirectory, 24 * MIB);
  const backend = await place.open({ memoryBudgetBytes: 16 * MIB });
  writeAll(backend, 100, 1);
  await backend.checkpoint("safe");
  writeAll(backend, 100, 2);
  let failure: unknown;
  for (let round = 0; failure === undefined && round < 200; round++) {
    try {
      writeNoise(backend, round * 1000, 1000);
      await backend.drained();
    } catch (error) {
      failure = error;
    }
  }
  assert.equal(codeOf(failure), "VARVE_POISONED");
  assert.equal(codeOf((failure as Error).cause), "VARVE_NO_SPACE");
  assert.equal(backend.signal.reason, failure);
  const calls = [
    () => backend.setCurrentKey(1),
    () => backend.valueState({ name: "more", value: utf8 }),
    () => backend.snapshot(9),
  ];
  for (const call of calls) assert.throws(call, { code: "VARVE_POISONED" });
  await assert.rejects(backend.checkpoint(), { code: "VARVE_POISONED" });
  await assert.rejects(backend.drained(), { code: "VARVE_POISONED" });
  await backend.close();
  const restored = await place.open({ restore: "latest" });
  assert.deepEqual([restored.restored?.metadata, readOne(restored, 99)], ["safe", 1]);
});

test("a disk that is full while checkpointing aborts that checkpoint only", async (context) => {
  const place = new Workplace();
  const disk = join(place.root, "disk");
  mountSmall(context, disk, 8 * MIB);
  const ballast = join(disk, "ballast");
  const storage = fileSystemStorage(join(disk, "checkpoints"));
  const backend = await place.open({ checkpointStorage: storage });
  writeAll(backend, 100, 1);
  await backend.checkpoint("safe");
  writeFileSync(ballast, Buffer.alloc(6 * MIB));
  writeAll(backend, 100, 2);
  writeNoise(backend, 0, 5000);
  for (let attempt = 0; attempt < 2; attempt++) {
    await assert.rejects(backend.checkpoint("too large"), {
      code: "VARVE_CHECKPOINT_ABORTED",
      reason: "storage",
      retriable: true,
    });
  }
  assert.deepEqual([backend.signal.aborted, readOne(backend, 99)], [false, 2]);
  rmSync(ballast);
  writeAll(backend, 50, 3);
  await backend.checkpoint("fits again");
  await backend.close();
  const restored = await place.open({ restore: "latest", checkpointStorage: storage });
  assert.deepEqual([readOne(restored, 0), readOne(restored, 99)], [3, 2]);
  assert.equal(restored.restored?.metadata, "fits again");
});
