// Goal: a full disk under the working directory poisons, one under the checkpoints aborts that
// checkpoint only, and nothing that was durable is lost; every error is one of this library.
// Method: real small file systems, which only root may mount, and an environment that fails at one call.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { MIB, StateBackendError, fileSystemStorage, utf8 } from "../../../src/index.ts";
import { nodeEnvironment } from "../../../src/testing/index.ts";
import { environmentWith } from "../../support/other-environments.ts";
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

test("whichever directory cannot be made, the error is one of this library, and the job goes on", async () => {
  const place = new Workplace();
  let made = 0;
  let failing = Infinity;
  const node = nodeEnvironment();
  const environment = environmentWith(node, {
    makeDirectory: async (path) => {
      if (made++ === failing) {
        throw Object.assign(new Error(`ENOSPC: mkdir ${path}`), { code: "ENOSPC" });
      }
      await node.fileSystem.makeDirectory(path);
    },
  });
  let written = 0;
  let savepoints = 0;
  const live = async (): Promise<void> => {
    const checkpointStorage = fileSystemStorage(place.checkpoints, {}, environment);
    const options = { policy: "changelog" as const, checkpointStorage, environment };
    const backend = await place.open(options);
    try {
      for (let lap = 0; lap < 2; lap++) {
        writeAll(backend, 100, ++written);
        await backend.checkpoint(written);
      }
      await backend.savepoint(join(place.root, `save-${++savepoints}`));
    } finally {
      await backend.close();
    }
  };
  await live();
  let isReached = true;
  let refusals = 0;
  for (failing = 0; isReached; failing++) {
    made = 0;
    await live().catch((error: unknown) => {
      refusals++;
      assert.ok(error instanceof StateBackendError, `${failing}: ${String(error)}`);
    });
    isReached = made > failing;
  }
  assert.ok(refusals >= 5, `${refusals} of ${failing} were refused`);
  const restored = await place.open({ restore: "latest", policy: "changelog" });
  assert.deepEqual([restored.restored?.metadata, readOne(restored, 99)], [written, written]);
});
