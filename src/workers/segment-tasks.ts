// Reads changelog segments. A stored segment may have grown since the checkpoint that is read: only the
// bytes that its handle names are looked at.
//   G1. Of several things that are wrong the hash is what is reported: the rest follows from it.
//   G2. What a task holds at a time is a piece, or the frames of its request, whose raw bytes the
//       caller keeps within CHANGES_RAW_BYTES_MAX.
import { createHash } from "node:crypto";
import type { ReadableFile } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { MIB } from "../common/units.ts";
import { CorruptionError } from "../errors.ts";
import { ChangeCheck } from "../format/changelog-check.ts";
import { encodeSegmentHeader } from "../format/changelog-segment.ts";
import { SegmentWalk, readBatchFrame, readSegmentBatches } from "../format/changelog-walk.ts";
import type { SegmentBatch } from "../format/changelog-walk.ts";
import type { FrameChecksum } from "../format/frame-checksum.ts";
import { concatenate } from "../format/frame-sequence.ts";
import { reading } from "./file-tasks.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

const PIECE_BYTES = 524_288;
/** Raw bytes that one "decodeChanges" is asked for: few enough to stay in a core's cache. */
export const CHANGES_RAW_BYTES_MAX: number = 2 * MIB;

/** Numbers of a batch, and of a frame, in the flat answers of "verifySegment". */
export const BATCH_NUMBERS = 8;
export const FRAME_NUMBERS = 4;

export async function verifySegment(
  request: WorkerTasks["verifySegment"]["request"],
  context: TaskContext,
): Promise<WorkerTasks["verifySegment"]["response"]> {
  const { checksum } = await context.tools();
  const work = (opened: ReadableFile): Promise<WorkerTasks["verifySegment"]["response"]> =>
    verifyOpenedSegment(opened, request, checksum, context.checkStop);
  return reading(request.path, context, work, "read");
}

/** As the task, of a file that is open. */
export async function verifyOpenedSegment(
  opened: ReadableFile,
  request: Omit<WorkerTasks["verifySegment"]["request"], "path">,
  checksum: FrameChecksum,
  checkStop: () => void,
): Promise<WorkerTasks["verifySegment"]["response"]> {
  const { lengthBytes, sha256, file } = request;
  const found = new FoundBatches();
  const walk = new SegmentWalk(lengthBytes, checksum, file, (batch) => found.add(batch));
  let fault: { readonly cause: unknown } | undefined;
  const hash = createHash("sha256");
  for await (const piece of piecesOf(opened, lengthBytes, file)) {
    checkStop();
    hash.update(piece);
    fault ??= faultOf(() => walk.add(piece));
  }
  if (hash.digest("hex") !== sha256) {
    throw new CorruptionError("the SHA-256 of the segment does not match", file, 0); // G1
  }
  fault ??= faultOf(() => walk.finish());
  if (fault !== undefined) throw fault.cause;
  return found.take();
}

function faultOf(work: () => void): { readonly cause: unknown } | undefined {
  try {
    work();
    return undefined;
  } catch (cause) {
    return { cause };
  }
}

/** The first `lengthBytes` of a file, in pieces that are valid until the next one. */
async function* piecesOf(
  opened: ReadableFile,
  lengthBytes: number,
  file: string,
): AsyncGenerator<Uint8Array> {
  if (opened.sizeBytes < lengthBytes) throw tooShort(opened.sizeBytes, lengthBytes, file);
  const array = new Uint8Array(Math.min(PIECE_BYTES, lengthBytes));
  for (let at = 0; at < lengthBytes;) {
    const piece = await opened.read(at, Math.min(PIECE_BYTES, lengthBytes - at), array);
    if (piece.length === 0) throw tooShort(at, lengthBytes, file); // Cut since it was opened.
    at += piece.length;
    yield piece;
  }
}

function tooShort(found: number, expected: number, file: string): CorruptionError {
  return new CorruptionError(`the segment has ${found} bytes of ${expected}`, file, found);
}

/** Batches as flat numbers: a segment may have a million, and they go from thread to thread. */
class FoundBatches {
  readonly #batches: number[] = [];
  readonly #frames: number[] = [];

  add(batch: SegmentBatch): void {
    const { keyGroupCount, firstKeyGroup, lastKeyGroup, afterChange, upToChange } = batch;
    const { offset, rowCount, frameCount } = batch;
    this.#batches.push(keyGroupCount, firstKeyGroup, lastKeyGroup, afterChange, upToChange);
    this.#batches.push(offset, rowCount, frameCount);
    for (const frame of batch.frames) {
      const groups = frame.firstKeyGroup * 65_536 + frame.lastKeyGroup;
      this.#frames.push(frame.offset, frame.lengthBytes, frame.rawLength, groups);
    }
  }

  take(): WorkerTasks["verifySegment"]["response"] {
    return { batches: Float64Array.from(this.#batches), frames: Uint32Array.from(this.#frames) };
  }
}

/** Page: docs/formats/changelog-segment.md, merged segments. */
export async function mergeSegments(
  { segments, keyGroups, afterChange }: WorkerTasks["mergeSegments"]["request"],
  context: TaskContext,
): Promise<WorkerTasks["mergeSegments"]["response"]> {
  const { checksum } = await context.tools();
  const parts: Uint8Array[] = [encodeSegmentHeader()];
  let change: number | undefined;
  for (const { bytes, sha256, file } of segments) {
    context.checkStop();
    if (createHash("sha256").update(bytes).digest("hex") !== sha256) {
      throw new CorruptionError("the SHA-256 of the segment does not match", file, 0); // G1
    }
    for (const batch of readSegmentBatches(bytes, checksum, file)) {
      const isOwn = batch.firstKeyGroup <= keyGroups.last && batch.lastKeyGroup >= keyGroups.first;
      if (!isOwn || batch.upToChange <= afterChange) continue;
      if (change !== undefined && batch.afterChange !== change) {
        const what = `a batch has the changes after ${batch.afterChange}, where those after ${change} were to come`;
        throw new CorruptionError(what, file, batch.offset);
      }
      change = batch.upToChange;
      parts.push(bytes.subarray(batch.offset, batch.end));
    }
  }
  const bytes = concatenate(parts);
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Kept between tasks of the thread. Taken while one uses it: on the main thread several run at a time. */
let spare: Uint8Array | undefined;

export async function decodeChanges(
  request: WorkerTasks["decodeChanges"]["request"],
  context: TaskContext,
): Promise<WorkerTasks["decodeChanges"]["response"]> {
  const { path, file, frames, wanted } = request;
  const count = frames.length / FRAME_NUMBERS;
  assert(count > 0, "a task without frames");
  const start = frames[0]!;
  const last = (count - 1) * FRAME_NUMBERS;
  const length = frames[last]! + frames[last + 1]! - start;
  const array = spare !== undefined && spare.length >= length ? spare : new Uint8Array(length);
  spare = undefined;
  const read = (opened: ReadableFile): Promise<Uint8Array> => opened.read(start, length, array);
  const stored = await reading(path, context, read, "read");
  if (stored.length < length) throw tooShort(start + stored.length, start + length, file);
  const tools = await context.tools();
  const check = new ChangeCheck(request);
  let rawBytes = 0;
  for (let at = 0; at < frames.length; at += FRAME_NUMBERS) rawBytes += frames[at + 2]!;
  assert(rawBytes <= CHANGES_RAW_BYTES_MAX, "G2: more raw bytes than a task takes");
  const bytes = new Uint8Array(rawBytes);
  const lengths = new Uint32Array(count);
  const rowCounts = new Uint32Array(count);
  let used = 0;
  for (let index = 0; index < count; index++) {
    context.checkStop();
    const at = index * FRAME_NUMBERS;
    const frame = { offset: frames[at]!, lengthBytes: frames[at + 1]! };
    const groups = frames[at + 3]!;
    const rows = readBatchFrame(stored, frame, tools, file, start);
    if (rows.length !== frames[at + 2]!) {
      throw new CorruptionError("the segment changed while it was read", file, frame.offset);
    }
    const span = { first: groups >>> 16, last: groups & 0xffff };
    const part = check.check(rows, span, wanted, file, frame.offset);
    bytes.set(rows.subarray(part.start, part.end), used);
    used += part.end - part.start;
    lengths[index] = part.end - part.start;
    rowCounts[index] = part.rowCount;
  }
  spare = array; // Nothing refers to it: the rows were copied.
  // A view of more bytes than it shows would be copied with all of them.
  return { bytes: used === rawBytes ? bytes : bytes.slice(0, used), lengths, rowCounts };
}
