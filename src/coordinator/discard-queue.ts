// What is to be deleted, handed out in bounded batches, one at a time. Plain data and pure steps.
//   D1. In the order of being added; of one addition, metadata before files. So metadata is gone
//       durably before any file that only it references.
//   D2. A failed batch stays at the head and is handed out again when there is the next occasion:
//       nothing overtakes it (D1).
//   D3. Bounded: while there are more than `backlogMax` names, further ones are given up and counted.
//       They are found as unreferenced when the storage is opened the next time.
import { assert } from "../common/assert.ts";
import type { FileId } from "./file-table.ts";

/** Names in one batch: what one request to an object store deletes at most. */
export const DISCARD_BATCH_MAX = 1000;
/** A million names are about 60 MB. */
const backlogMax = 1_000_000;

export interface DiscardBatch {
  /** Completion numbers of metadata. */
  readonly metadata: readonly number[];
  readonly files: readonly FileId[];
}

export interface DiscardQueue {
  /** Each at most a batch; of one kind. */
  readonly batches: DiscardBatch[];
  isUnderWay: boolean;
  hasFailed: boolean;
  backlog: number;
  /** Names given up (D3), and attempts that failed. */
  givenUp: number;
  failures: number;
}

export function newDiscardQueue(): DiscardQueue {
  return {
    batches: [],
    isUnderWay: false,
    hasFailed: false,
    backlog: 0,
    givenUp: 0,
    failures: 0,
  };
}

export function addDiscards(
  queue: DiscardQueue,
  metadata: readonly number[],
  files: readonly FileId[],
): void {
  const count = metadata.length + files.length;
  if (queue.backlog > backlogMax) {
    queue.givenUp += count; // D3
    return;
  }
  queue.backlog += count;
  for (let at = 0; at < metadata.length; at += DISCARD_BATCH_MAX) {
    queue.batches.push({ metadata: metadata.slice(at, at + DISCARD_BATCH_MAX), files: [] });
  }
  for (let at = 0; at < files.length; at += DISCARD_BATCH_MAX) {
    queue.batches.push({ metadata: [], files: files.slice(at, at + DISCARD_BATCH_MAX) });
  }
}

/** The batch to delete next, if none is under way and the last one has not failed. */
export function takeDiscard(queue: DiscardQueue): DiscardBatch | undefined {
  const [head] = queue.batches;
  if (head === undefined || queue.isUnderWay || queue.hasFailed) return undefined;
  queue.isUnderWay = true;
  return head;
}

/** What became of the batch under way. */
export function settleDiscard(queue: DiscardQueue, isDeleted: boolean): void {
  assert(queue.isUnderWay, "a discard is reported that was not asked for");
  queue.isUnderWay = false;
  queue.hasFailed = !isDeleted;
  if (!isDeleted) {
    queue.failures++;
    return;
  }
  const batch = queue.batches.shift()!;
  queue.backlog -= batch.metadata.length + batch.files.length;
}

/** The next occasion (D2). */
export function retryDiscard(queue: DiscardQueue): void {
  queue.hasFailed = false;
}
