// Decodes the frames of a chain in the worker pool, a few tasks ahead of who takes them.
//   A1. At most twice `pool.threads` answers are under way or waiting, each of at most 2 MiB.
//   A2. Rows of a batch are counted: a frame that is not there is noticed.
import { setMaxListeners } from "node:events";
import { assert } from "../common/assert.ts";
import { CorruptionError } from "../errors.ts";
import { CHANGES_RAW_BYTES_MAX, FRAME_NUMBERS } from "../workers/segment-tasks.ts";
import type { WorkerTasks } from "../workers/tasks.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { ChainBatch, LogChain, VerifiedSegment } from "./log-chain.ts";

/** Stored bytes between two frames of a task, which are read and not used. */
const GAP_BYTES_MAX = 65_536;
/** Stored bytes that a task reads, gaps included. */
const SPAN_BYTES_MAX = CHANGES_RAW_BYTES_MAX + 1_048_576;
/** Frames of a task: their numbers are copied. */
const FRAMES_PER_TASK_MAX = 65_536;

/** Changes of one frame, of the wanted key groups only. */
export interface ChangeFrame {
  /** At least one change, as `readChanges` reads them; checked. The receiver may keep it. */
  readonly rows: Uint8Array;
  /** Stored name of the segment, and where the frame is in it: for errors. */
  readonly file: string;
  readonly offset: number;
  /** Of the batch: the changes after one change number, up to another one, inclusive. */
  readonly afterChange: number;
  readonly upToChange: number;
}

interface DecodeTask {
  readonly segment: VerifiedSegment;
  /** Of each frame. */
  readonly batches: readonly ChainBatch[];
  readonly frames: Uint32Array;
}

type Answer = WorkerTasks["decodeChanges"]["response"];

/** R3 */
export async function* decodeChain(
  chain: LogChain,
  pool: WorkerPool,
  signal: AbortSignal | undefined,
): AsyncGenerator<ChangeFrame> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const onAbort = (): void => stop.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const tasks = planTasks(chain);
  const ahead: { readonly task: DecodeTask; readonly answer: Promise<Answer> }[] = [];
  const count = new RowCount();
  try {
    for (;;) {
      while (ahead.length < pool.threads * 2) {
        const { value: task } = tasks.next();
        if (task === undefined) break;
        const answer = submit(task, chain, pool, stop.signal);
        answer.catch(() => undefined); // Awaited in its turn.
        ahead.push({ task, answer });
      }
      const next = ahead.shift();
      if (next === undefined) break;
      yield* framesOf(next.task, await next.answer, count);
    }
    count.finish();
  } finally {
    stop.abort();
    await Promise.allSettled(ahead.map(({ answer }) => answer)); // Then files may be removed.
    signal?.removeEventListener("abort", onAbort);
  }
}

function submit(
  { segment, frames }: DecodeTask,
  { claims, wanted }: LogChain,
  pool: WorkerPool,
  signal: AbortSignal,
): Promise<Answer> {
  const { path, file } = segment;
  return pool.submit("decodeChanges", { ...claims, path, frames, wanted, file }, { signal });
}

function* framesOf(
  { segment, batches, frames }: DecodeTask,
  { bytes, lengths, rowCounts }: Answer,
  count: RowCount,
): Generator<ChangeFrame> {
  assert(lengths.length === batches.length, "an answer has other frames than its request");
  let at = 0;
  for (const [index, batch] of batches.entries()) {
    count.add(batch, rowCounts[index]!);
    const end = at + lengths[index]!;
    if (end > at) {
      const { afterChange, upToChange } = batch;
      const offset = frames[index * FRAME_NUMBERS]!;
      const rows = bytes.subarray(at, end);
      yield { rows, file: segment.file, offset, afterChange, upToChange };
    }
    at = end;
  }
}

/** A2 */
class RowCount {
  #batch: ChainBatch | undefined = undefined;
  #rows = 0;

  add(batch: ChainBatch, rows: number): void {
    if (batch !== this.#batch) {
      this.finish();
      this.#batch = batch;
      this.#rows = 0;
    }
    this.#rows += rows;
  }

  finish(): void {
    const batch = this.#batch;
    if (batch?.rowCount === undefined || batch.rowCount === this.#rows) return;
    const what = `a batch has ${this.#rows} rows instead of ${batch.rowCount}`;
    throw new CorruptionError(what, batch.segment.file, batch.offset);
  }
}

/** Packs frames into tasks, in the order of the chain. */
function* planTasks({ batches }: LogChain): Generator<DecodeTask, undefined> {
  let numbers: number[] = [];
  let of: ChainBatch[] = [];
  let rawBytes = 0;
  const take = (): DecodeTask => {
    const task = { segment: of[0]!.segment, batches: of, frames: Uint32Array.from(numbers) };
    [numbers, of, rawBytes] = [[], [], 0];
    return task;
  };
  for (const batch of batches) {
    const { frames } = batch.segment;
    for (let frame = batch.firstFrame; frame < batch.endFrame; frame++) {
      const at = frame * FRAME_NUMBERS;
      const [offset, lengthBytes, raw] = [frames[at]!, frames[at + 1]!, frames[at + 2]!];
      const isNext =
        of.length === 0 ||
        (of[0]!.segment === batch.segment &&
          of.length < FRAMES_PER_TASK_MAX &&
          rawBytes + raw <= CHANGES_RAW_BYTES_MAX &&
          offset + lengthBytes - numbers[0]! <= SPAN_BYTES_MAX &&
          offset - endOf(numbers) <= GAP_BYTES_MAX);
      if (!isNext) yield take();
      numbers.push(offset, lengthBytes, raw, frames[at + 3]!);
      of.push(batch);
      rawBytes += raw;
    }
  }
  if (of.length > 0) yield take();
}

/** Offset just past the last frame. */
function endOf(numbers: readonly number[]): number {
  const last = numbers.length - FRAME_NUMBERS;
  return numbers[last]! + numbers[last + 1]!;
}
