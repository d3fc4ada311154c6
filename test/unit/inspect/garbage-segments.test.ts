// Changelog segments among the files of checkpoints: who has them, and when they go.
import assert from "node:assert/strict";
import { test } from "vitest";
import type { SegmentHandle } from "../../../src/api/keyed-state-backend.ts";
import { scanRetained } from "../../../src/checkpoint/retained-scan.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import type { MemoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { segmentFile } from "../../../src/format/changelog-segment.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { type GarbageReport, collectGarbage, pinCheckpoint } from "../../../src/inspect/index.ts";
import { encodeSegment, segmentHandle } from "../../support/changelog-segments.ts";
import { Job, objectsOf } from "../../support/checkpoints.ts";

const checksum = await loadFrameChecksum();
const keyGroups = { max: 128, first: 0, last: 127 };
const ids = ["aa", "bb", "cc"].map((byte) => byte.repeat(16));

/** A segment whose first so many batches are of one change each. */
function segment(batches: number, from: number = 0): Uint8Array {
  return encodeSegment(
    Array.from({ length: batches }, (_none, index) => {
      return { keyGroups, afterChange: from + index, upToChange: from + index + 1, changes: [] };
    }),
    { checksum },
  );
}

/** Checkpoint `id` of the job, with these segments after its base. */
async function checkpoint(
  job: Job,
  id: number,
  segments: readonly SegmentHandle[],
  newSegments: readonly string[] = segments.map((one) => one.id),
): Promise<void> {
  const { result, files } = await job.snapshot(id);
  const log = { baseChangeNumber: 0, segments };
  await job.store.commit({
    checkpointId: id,
    policy: "changelog",
    snapshots: [
      {
        ...result,
        handle: { ...result.handle, ...(segments.length === 0 ? {} : { log }) },
        files: [...result.files, ...segments.map(segmentFile)],
        newFileIds: [...result.newFileIds, ...newSegments],
      },
    ],
    userMetadata: undefined,
  });
  job.confirmed = files;
}

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

test("a segment stays while a checkpoint has it, at whatever length, or a pinned one", async () => {
  const fileSystem = new MemoryFileSystem();
  const job = await Job.open(fileSystem, 1, 2);
  const whole = segment(4);
  for (const id of ids) await job.storage.putBytes(`files/${id}`, whole);
  const first = segmentHandle(ids[0]!, whole, segment(1).length);
  await checkpoint(job, 1, [first]);
  const environment = passing(fileSystem);
  await pinCheckpoint("/store", { checkpointId: 1, environment });
  await checkpoint(job, 2, [segmentHandle(ids[0]!, whole, segment(2).length)], []);
  await checkpoint(job, 3, [segmentHandle(ids[1]!, whole, segment(3).length)]);
  await checkpoint(job, 4, [segmentHandle(ids[1]!, whole)], []);
  await job.close();

  const { pool } = await Job.open(fileSystem, 2, 2);
  const scan = await scanRetained(job.storage, pool);
  await pool.close();
  assert.deepEqual(scan.unreadable, []);
  assert.deepEqual(
    scan.retained.map(({ completionNumber, files }) => {
      return [completionNumber, files.flat().filter(({ lengthBytes }) => lengthBytes === 0)];
    }),
    [
      [1, [segmentFile({ id: ids[0]! })]],
      [3, [segmentFile({ id: ids[1]! })]],
      [4, [segmentFile({ id: ids[1]! })]],
    ],
  );
  assert.deepEqual(scan.leftovers.files, [`files/${ids[2]}`]);
  const report = await collectGarbage("/store", { mode: "take-over", environment });
  assert.deepEqual(report.names, [`files/${ids[2]}`]);
  const names = await objectsOf(job.storage);
  assert.ok(ids.slice(0, 2).every((id) => names.includes(`files/${id}`)));
});

test("an id at one length is one content", async () => {
  const fileSystem = new MemoryFileSystem();
  const job = await Job.open(fileSystem, 1, 3);
  const [whole, other] = [segment(1), segment(1, 5)];
  assert.equal(whole.length, other.length);
  await job.storage.putBytes(`files/${ids[0]}`, whole);
  await checkpoint(job, 1, [segmentHandle(ids[0]!, whole)]);
  await checkpoint(job, 2, [segmentHandle(ids[0]!, other)], []);
  await job.close();
  const environment = passing(fileSystem);
  await assert.rejects(collectGarbage("/store", { mode: "take-over", environment }), {
    code: "VARVE_CORRUPTION",
  });
  assert.ok((await objectsOf(job.storage)).includes(`files/${ids[0]}`));
});

test("a segment that nothing names yet stays while the job runs", async () => {
  const fileSystem = new MemoryFileSystem();
  const job = await Job.open(fileSystem, 1, 2);
  await checkpoint(job, 1, []);
  const orphan = `files/${ids[1]}`;
  await job.storage.putBytes(`files/${ids[0]}`, segment(0));
  await job.storage.putBytes(orphan, Uint8Array.of(1, 2, 3));
  const environment = passing(fileSystem);
  const collecting: { report: Promise<GarbageReport> | undefined } = { report: undefined };
  await new Promise<void>((resolve) => {
    const onProgress = (): void => resolve(); // What is there was marked.
    const options = { mode: "follow", checkpoints: 2, environment, onProgress } as const;
    collecting.report = collectGarbage("/store", options);
  });
  for (const id of [2, 3]) await checkpoint(job, id, []);
  const report = (await collecting.report)!;
  assert.deepEqual(report.names, [orphan]);
  assert.equal(report.keptNames, 1);
  assert.ok((await objectsOf(job.storage)).includes(`files/${ids[0]}`));
  await job.close();
});
