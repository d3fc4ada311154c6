// The log of a handle, read in ranges through the storage: no local copy, nothing stays open.
//   L1. Every segment's length and SHA-256, as the handle names them, and the chain of batches are
//       verified before a change is used; each frame and row as it is decoded.
//   L2. Of the frames only those whose key groups are asked for are read.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { KeyedStateHandle, SegmentHandle } from "../api/keyed-state-backend.ts";
import { type ChainBatch, LogChain, type VerifiedSegment } from "../checkpoint/log-chain.ts";
import { fileName } from "../checkpoint/layout.ts";
import { CorruptionError } from "../errors.ts";
import { ChangeCheck } from "../format/changelog-check.ts";
import { readBatchFrame } from "../format/changelog-walk.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import type { FrameTools } from "../format/frame.ts";
import { loadCodec } from "../workers/codec.ts";
import { FRAME_NUMBERS, verifyOpenedSegment } from "../workers/segment-tasks.ts";
import type { Groups } from "./row-source.ts";
import { StoredFile, readableOf } from "./stored-file.ts";

/** Changes of one frame, all of wanted key groups. */
export interface LoggedFrame {
  readonly rows: Uint8Array;
  readonly file: string;
  readonly offset: number;
  readonly upToChange: number;
}

/** A frame whose rows are not looked at yet. */
export interface OneFrame {
  readonly file: string;
  /** Of the handle, those that the index names. */
  readonly groups: Groups;
  readonly decode: () => Promise<LoggedFrame>;
}

export class LogSource {
  readonly handle: KeyedStateHandle;
  readonly chain: LogChain;
  readonly #files: ReadonlyMap<VerifiedSegment, StoredFile>;
  readonly #check: ChangeCheck;

  private constructor(
    handle: KeyedStateHandle,
    chain: LogChain,
    files: ReadonlyMap<VerifiedSegment, StoredFile>,
  ) {
    this.handle = handle;
    this.chain = chain;
    this.#files = files;
    this.#check = new ChangeCheck(chain.claims);
  }

  /** Verifies what the handle's log names (L1). */
  static async open(storage: CheckpointStorage, handle: KeyedStateHandle): Promise<LogSource> {
    const chain = new LogChain(handle, handle.keyGroups);
    const files = new Map<VerifiedSegment, StoredFile>();
    for (const segment of handle.log?.segments ?? []) {
      const file = storedSegment(storage, segment);
      const verified = await verifyStoredSegment(file, segment, () => undefined);
      files.set(verified, file);
      chain.add(verified);
    }
    chain.finish();
    return new LogSource(handle, chain, files);
  }

  /** Raw bytes of the frames that have changes of these key groups, as far as the index tells. */
  rawBytesOf(groups: Groups): number {
    let rawBytes = 0;
    for (const batch of this.chain.batches) {
      for (const frame of framesOf(batch, groups)) {
        rawBytes += batch.segment.frames[frame * FRAME_NUMBERS + 2]!;
      }
    }
    return rawBytes;
  }

  /** Of how many key groups an average raw byte's frame has rows, as far as the index tells. */
  groupsOfBytes(): number {
    const { first, last } = this.handle.keyGroups;
    let [rawBytes, all] = [0, 0];
    for (const { segment, firstFrame, endFrame } of this.chain.batches) {
      for (
        let at = firstFrame * FRAME_NUMBERS;
        at < endFrame * FRAME_NUMBERS;
        at += FRAME_NUMBERS
      ) {
        const [raw, span] = [segment.frames[at + 2]!, segment.frames[at + 3]!];
        rawBytes += raw;
        all += raw * (Math.min(last, span & 0xffff) - Math.max(first, span >>> 16) + 1);
      }
    }
    return rawBytes === 0 ? 0 : all / rawBytes;
  }

  /** Names the frames that have changes of these key groups. */
  contentOf(groups: Groups): string {
    const names: string[] = [];
    for (const batch of this.chain.batches) {
      for (const frame of framesOf(batch, groups)) {
        names.push(`${batch.segment.file} ${batch.segment.frames[frame * FRAME_NUMBERS]!}`);
      }
    }
    return names.join("\n");
  }

  /** The changes of these key groups, in order. */
  async *frames(groups: Groups): AsyncGenerator<LoggedFrame, void, void> {
    const tools = await frameTools();
    for (const batch of this.chain.batches) {
      let rowCount = 0;
      let frameCount = 0;
      for (const frame of framesOf(batch, groups)) {
        const found = await this.#decode(batch, frame, groups, tools);
        rowCount += found.rowCount;
        frameCount++;
        if (found.rows.length > 0) yield found;
      }
      const isWhole = frameCount === batch.endFrame - batch.firstFrame;
      if (isWhole && batch.rowCount !== undefined && rowCount !== batch.rowCount) {
        const what = `a batch has ${rowCount} rows instead of ${batch.rowCount}`;
        throw new CorruptionError(what, batch.segment.file, batch.offset);
      }
    }
  }

  /** Every frame of the chain that has rows of the handle's key groups, to be decoded by itself. */
  *eachFrame(): Generator<OneFrame, void, void> {
    const { first, last } = this.handle.keyGroups;
    const own = { first, last };
    for (const batch of this.chain.batches) {
      for (const frame of framesOf(batch, own)) {
        const span = batch.segment.frames[frame * FRAME_NUMBERS + 3]!;
        const groups = {
          first: Math.max(first, span >>> 16),
          last: Math.min(last, span & 0xffff),
        };
        const decode = async (): Promise<LoggedFrame> =>
          this.#decode(batch, frame, own, await frameTools());
        yield { file: batch.segment.file, groups, decode };
      }
    }
  }

  async #decode(
    { segment, upToChange }: ChainBatch,
    frame: number,
    groups: Groups,
    tools: FrameTools,
  ): Promise<LoggedFrame & { readonly rowCount: number }> {
    const { frames, file } = segment;
    const at = frame * FRAME_NUMBERS;
    const [offset, lengthBytes, span] = [frames[at]!, frames[at + 1]!, frames[at + 3]!];
    const stored = await this.#files.get(segment)!.read(offset, lengthBytes);
    const raw = readBatchFrame(stored, { offset, lengthBytes }, tools, file, offset);
    const groupsOfFrame = { first: span >>> 16, last: span & 0xffff };
    const part = this.#check.check(raw, groupsOfFrame, groups, file, offset);
    const rows = raw.subarray(part.start, part.end);
    return { rows, file, offset, upToChange, rowCount: part.rowCount };
  }
}

async function frameTools(): Promise<FrameTools> {
  return { checksum: await loadFrameChecksum(), codec: loadCodec() };
}

export function storedSegment(storage: CheckpointStorage, segment: SegmentHandle): StoredFile {
  return new StoredFile(storage, segment, true);
}

/** Length, SHA-256 and headers of what a handle names of a segment. */
export async function verifyStoredSegment(
  stored: StoredFile,
  { id, lengthBytes, sha256 }: SegmentHandle,
  checkStop: () => void,
): Promise<VerifiedSegment> {
  const file = fileName(id);
  await stored.requireLength();
  const checksum = await loadFrameChecksum();
  const request = { lengthBytes, sha256, file };
  const found = await verifyOpenedSegment(readableOf(stored), request, checksum, checkStop);
  return { path: stored.name, file, ...found };
}

/** Numbers of the batch's frames that may have rows of these key groups. */
function* framesOf(batch: ChainBatch, { first, last }: Groups): Generator<number> {
  const { frames } = batch.segment;
  for (let frame = batch.firstFrame; frame < batch.endFrame; frame++) {
    const span = frames[frame * FRAME_NUMBERS + 3]!;
    if (span >>> 16 <= last && (span & 0xffff) >= first) yield frame;
  }
}
