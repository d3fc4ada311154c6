import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CheckpointReader } from "../../../src/checkpoint/checkpoint-reader.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import type { MemoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import {
  collectGarbage,
  listCheckpoints,
  pinCheckpoint,
  unpinCheckpoint,
} from "../../../src/inspect/index.ts";
import { Job, objectsOf } from "../../support/checkpoints.ts";
import { auditStorage } from "../../support/storage-audit.ts";

const orphan = `files/${"ab".repeat(16)}`;
const notFound = { code: "VARVE_CHECKPOINT_NOT_FOUND" };

/** A job with two retained checkpoints, and a file of a killed owner. */
async function jobWithOrphan(): Promise<{ job: Job; fileSystem: MemoryFileSystem }> {
  const fileSystem = new MemoryFileSystem();
  const job = await Job.open(fileSystem, 1, 2);
  for (const id of [1, 2, 3]) await job.checkpoint(id);
  await job.storage.putBytes(orphan, Uint8Array.of(1, 2, 3));
  return { job, fileSystem };
}

/** Time goes on whenever it is waited for. */
function passing(fileSystem: MemoryFileSystem): MemoryEnvironment {
  const environment = memoryEnvironment({ fileSystem, seed: 9 });
  const timers = {
    ...environment.timers,
    delay: async (ms: number) => {
      await environment.timers.yieldTurn();
      environment.advance(ms);
    },
  };
  return { ...environment, timers };
}

describe("collecting garbage", () => {
  test("only tells, with dry-run", async () => {
    const { job, fileSystem } = await jobWithOrphan();
    await job.close();
    const before = await objectsOf(job.storage);
    const environment = passing(fileSystem);
    const report = await collectGarbage("/store", { mode: "dry-run", environment });
    assert.deepEqual(report, { mode: "dry-run", names: [orphan], bytes: 3, keptNames: 0 });
    assert.deepEqual(await objectsOf(job.storage), before);
  });

  test("takes over from a job that does not run, and removes what nothing references", async () => {
    const { job, fileSystem } = await jobWithOrphan();
    const { result } = await job.snapshot(4); // Of an owner that only pauses.
    const environment = passing(fileSystem);
    const report = await collectGarbage("/store", { mode: "take-over", environment });
    assert.deepEqual(
      [...report.names].sort(),
      [orphan, ...result.newFileIds.map((id) => `files/${id}`)].sort(),
    );
    const audit = await auditStorage(job.storage);
    assert.deepEqual(audit, { retained: [2, 3, 4], unreadable: [], missing: [], unreferenced: [] });
    const reader = new CheckpointReader(job.storage);
    const [taken, before] = [await reader.load(4), await reader.load(3)];
    assert.deepEqual(taken.handles, before.handles);
    assert.deepEqual(taken.userMetadata, before.userMetadata);
    assert.ok(taken.writerEpoch.number > before.writerEpoch.number);
    const commit = { checkpointId: 4, policy: "incremental", snapshots: [result] } as const;
    await assert.rejects(job.store.commit({ ...commit, userMetadata: undefined }), {
      code: "VARVE_FENCED",
    });
    const next = await Job.open(fileSystem, 2, 2);
    await next.checkpoint(5);
    await next.close();
    assert.deepEqual((await auditStorage(job.storage)).retained, [4, 5]);
  });

  test("follows a job that runs, and leaves what became part of a checkpoint meanwhile", async () => {
    const { job, fileSystem } = await jobWithOrphan();
    const early = await job.snapshot(4);
    const environment = passing(fileSystem);
    // What the job gives up is deleted after the checkpoint was acknowledged.
    const found = 1 + early.result.newFileIds.length;
    while ((await auditStorage(job.storage)).unreferenced.length > found) {
      await environment.timers.yieldTurn();
    }
    const waits: number[] = [];
    const collecting = collectGarbage("/store", {
      mode: "follow",
      checkpoints: 3,
      environment,
      onProgress: (phase, done) => {
        if (phase === "wait") waits.push(done);
      },
    });
    while (waits.length === 0) await environment.timers.yieldTurn(); // It has seen what is there now.
    await job.store.commit({
      checkpointId: 4,
      policy: "incremental",
      snapshots: [early.result],
      userMetadata: undefined,
    });
    job.confirmed = early.files;
    for (const id of [5, 6]) await job.checkpoint(id);
    const report = await collecting;
    assert.deepEqual(report.names, [orphan]);
    assert.equal(report.keptNames, early.result.newFileIds.length);
    assert.equal(waits[0], 0);
    await job.checkpoint(7); // Not fenced.
    await job.close();
    const { missing, unreferenced } = await auditStorage(job.storage);
    assert.deepEqual([missing, unreferenced], [[], []]);
  });

  test("removes nothing while a retained checkpoint cannot be read", async () => {
    const { job, fileSystem } = await jobWithOrphan();
    await job.close();
    fileSystem.damage("/store/metadata/0000000002", (bytes) => bytes.map((byte) => byte ^ 1));
    const before = await objectsOf(job.storage);
    const environment = passing(fileSystem);
    for (const mode of ["dry-run", "take-over"] as const) {
      await assert.rejects(collectGarbage("/store", { mode, environment }), {
        code: "VARVE_CORRUPTION",
      });
    }
    assert.deepEqual(await objectsOf(job.storage), before);
  });

  test("removes nothing while the newest one is gone, which the list shows with the others", async () => {
    const { job, fileSystem } = await jobWithOrphan();
    await job.close();
    const name = "metadata/0000000003";
    await fileSystem.unlink(`/store/${name}`);
    const before = await objectsOf(job.storage);
    for (const mode of ["dry-run", "take-over"] as const) {
      const collecting = collectGarbage("/store", { mode, environment: passing(fileSystem) });
      await assert.rejects(collecting, { code: "VARVE_CORRUPTION", file: name });
    }
    assert.deepEqual(await objectsOf(job.storage), before);
    const { checkpoints, damaged } = await listCheckpoints(job.storage);
    assert.deepEqual(
      [
        checkpoints.map(({ checkpointId }) => checkpointId),
        damaged.map((one) => one.completionNumber),
      ],
      [[2], [3]],
    );
  });

  test("makes nothing where there is nothing, and refuses what it does not know", async () => {
    const fileSystem = new MemoryFileSystem();
    const environment = passing(fileSystem);
    const report = await collectGarbage("/nowhere", { mode: "take-over", environment });
    assert.deepEqual(report.names, []);
    assert.equal(await fileSystem.stat("/nowhere"), undefined);
    for (const wrong of [
      { mode: "all" },
      { mode: "take-over", checkpoints: 5 },
      { mode: "follow", checkpoints: 1 },
      { mode: "dry-run", grace: 5 },
    ]) {
      await assert.rejects(collectGarbage("/store", { ...wrong, environment } as never), {
        code: "VARVE_INVALID_ARGUMENT",
      });
    }
  });
});

describe("pins of tools", () => {
  test("show in the list, and hold until they are taken back", async () => {
    const { job, fileSystem } = await jobWithOrphan();
    const environment = memoryEnvironment({ fileSystem, seed: 9 });
    const pinned = await pinCheckpoint("/store", { checkpointId: 2, environment });
    assert.deepEqual(pinned, { checkpointId: 2, completionNumber: 2 });
    for (const id of [4, 5, 6]) await job.checkpoint(id);
    const pins = async () => {
      const { checkpoints } = await listCheckpoints("/store", { environment });
      return checkpoints.map(({ checkpointId, isPinned }) => [checkpointId, isPinned]);
    };
    assert.deepEqual(await pins(), [
      [6, false],
      [5, false],
      [2, true],
    ]);
    await assert.rejects(pinCheckpoint("/store", { checkpointId: 3, environment }), notFound);
    await assert.rejects(unpinCheckpoint("/store", { checkpointId: 5, environment }), notFound);
    await unpinCheckpoint("/store/metadata/0000000002", { environment });
    await assert.rejects(unpinCheckpoint("/store", { checkpointId: 2, environment }), notFound);
    await job.checkpoint(7);
    await job.close();
    assert.deepEqual(await pins(), [
      [7, false],
      [6, false],
    ]);
  });
});
