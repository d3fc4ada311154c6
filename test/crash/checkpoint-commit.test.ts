// Goal: an acknowledged checkpoint survives a power loss at any instant, whole, and the newest one
// found is always readable (C1, C3, S1, S2).
// Method: a job takes six checkpoints of which two are retained. It is run once undisturbed to count
// its operations; then it is stopped before each of them, and right after each. At every stop the
// disk is looked at as a power loss could leave it: with what was synced only, and with random parts
// of what was not. Deterministic: no timers, seeds in the messages.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { MemoryFileSystem } from "../../src/environment/memory-file-system.ts";
import type { CrashMode } from "../../src/environment/memory-file-system.ts";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import { Job } from "../support/checkpoints.ts";
import { isLong } from "../support/long-tests.ts";

const checkpoints = 6;

class PowerLoss extends Error {}

interface Progress {
  acknowledged: number;
}

async function runJob(fileSystem: MemoryFileSystem, progress: Progress): Promise<void> {
  const job = await Job.open(fileSystem, 1, 2);
  for (let id = 1; id <= checkpoints; id++) {
    await job.checkpoint(id);
    progress.acknowledged = id;
  }
  await job.close();
}

/** Runs the job until operation `stopAt`, which fails, before or after its effect, as all later do. */
async function runUntil(
  stopAt: number,
  when: "before" | "after",
): Promise<{ fileSystem: MemoryFileSystem; acknowledged: number }> {
  const fileSystem = new MemoryFileSystem();
  const progress = { acknowledged: 0 };
  fileSystem.onOperation = (_operation, _path, index) => {
    if (index > stopAt || (index === stopAt && when === "before")) throw new PowerLoss();
  };
  fileSystem.afterOperation = (_operation, _path, index) => {
    if (index === stopAt && when === "after") throw new PowerLoss();
  };
  await runJob(fileSystem, progress).catch(() => undefined);
  return { fileSystem, acknowledged: progress.acknowledged };
}

async function inspect(
  fileSystem: MemoryFileSystem,
  mode: CrashMode,
  acknowledged: number,
  context: string,
): Promise<void> {
  const job = await Job.open(fileSystem.crash(mode), 2, 2).catch((error: unknown) => {
    throw new Error(`${context}: cannot open`, { cause: error });
  });
  const { reader, newestNumber } = job.store;
  // A power loss may lose the acknowledgement but not the checkpoint: newer is fine, older is not.
  assert.ok(newestNumber >= acknowledged, `${context}: ${newestNumber} < ${acknowledged}`);
  assert.deepEqual(job.store.stats().unreadableCheckpoints, [], context);
  if (newestNumber > 0) {
    const newest = await reader.loadNewest();
    assert.equal(newest.checkpointId, newestNumber, context);
    for (let number = newest.oldestRetained; number <= newestNumber; number++) {
      await job.verify(await reader.load(number)).catch((error: unknown) => {
        throw new Error(`${context}: checkpoint ${number}`, { cause: error });
      });
    }
  }
  // Metadata goes before its files: whatever metadata is left is whole, retained or not.
  for await (const name of job.storage.list("metadata/")) {
    await job.verify(await reader.load(Number(name.slice("metadata/".length))));
  }
  // And the job goes on from there.
  await job.checkpoint(newestNumber + 1);
  await job.close();
  await job.verify(await reader.loadNewest());
}

/** Odd, so that both errors and all kinds of operations are met. */
const step = isLong ? 1 : 3;

describe("a power loss", () => {
  test("leaves every acknowledged checkpoint whole, at every operation and sync", async () => {
    const calm = new MemoryFileSystem();
    await runJob(calm, { acknowledged: 0 });
    const total = calm.operationCount;
    assert.ok(total > 200, "the job does too little to test anything");
    for (let stopAt = 0; stopAt < total; stopAt += step) {
      for (const when of ["before", "after"] as const) {
        const { fileSystem, acknowledged } = await runUntil(stopAt, when);
        const context = `stopped ${when} operation ${stopAt} of ${total}`;
        fileSystem.onOperation = undefined;
        await inspect(fileSystem, "synced-only", acknowledged, `${context}, synced only`);
      }
    }
  });

  test("leaves every acknowledged checkpoint whole, whatever unsynced parts survive", async () => {
    const calm = new MemoryFileSystem();
    await runJob(calm, { acknowledged: 0 });
    for (let stopAt = 0; stopAt < calm.operationCount; stopAt += step) {
      const { fileSystem, acknowledged } = await runUntil(stopAt, "before");
      for (let seed = 0; seed < 5; seed++) {
        const random = seededRandom(stopAt * 1000 + seed);
        await inspect(fileSystem, random, acknowledged, `operation ${stopAt}, seed ${seed}`);
      }
    }
  });

  test("loses an acknowledged checkpoint where syncs do nothing", async () => {
    // The harness itself: without syncs of directories it must find a loss.
    const lying = new MemoryFileSystem();
    lying.syncDirectory = () => Promise.resolve();
    await runJob(lying, { acknowledged: 0 });
    await assert.rejects(inspect(lying, "synced-only", checkpoints, "lying disk"));
  });
});

describe("an error at any operation", () => {
  test("fails at most that checkpoint, and never one that was acknowledged", async () => {
    const calm = new MemoryFileSystem();
    await runJob(calm, { acknowledged: 0 });
    for (let failAt = 0; failAt < calm.operationCount; failAt += step) {
      for (const when of ["before", "after"] as const) {
        const code = failAt % 2 === 0 ? "EIO" : "ENOSPC";
        const fileSystem = new MemoryFileSystem();
        const fail = (_operation: string, _path: string, index: number): void => {
          if (index === failAt) throw Object.assign(new Error(code), { code });
        };
        if (when === "before") fileSystem.onOperation = fail;
        else fileSystem.afterOperation = fail;
        const job = await Job.open(fileSystem, 1, 2).catch(() => undefined);
        if (job === undefined) continue;
        const acknowledged: number[] = [];
        for (let id = 1; id <= checkpoints; id++) {
          const isDone = await job.checkpoint(id).then(
            () => true,
            () => false,
          );
          if (isDone) acknowledged.push(id);
        }
        await job.close();
        const context = `${code} ${when} operation ${failAt}`;
        const after = await Job.open(fileSystem.crash("synced-only"), 2, 2);
        if (after.store.newestNumber === 0) {
          // A failed sync of a directory ends it for names (Y2): nothing was acknowledged then.
          assert.deepEqual(acknowledged, [], context);
          continue;
        }
        const newest = await after.store.reader.loadNewest();
        assert.ok(newest.checkpointId >= (acknowledged.at(-1) ?? 0), context);
        for (let number = newest.oldestRetained; number <= newest.completionNumber; number++) {
          await after.verify(await after.store.reader.load(number));
        }
        await after.close();
      }
    }
  });
});
