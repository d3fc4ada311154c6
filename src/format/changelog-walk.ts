// Reads the batches of a changelog segment, piece by piece: a segment may be larger than memory. Headers
// and indexes are looked at, and of frames their headers. Page: docs/formats/changelog-segment.md.
//   S1. A batch lies within the length that its reader was told: what is behind is not looked at.
//   S2. Counts and lengths of a batch agree with its index, and the index with its frames.
//   S3. What is kept is never more than the pieces that were given.
import { KEY_GROUPS_MAX } from "../common/key-group.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";
import { CHANGE_BYTES_MIN } from "./changelog-rows.ts";
import {
  BATCHES_MAX,
  BATCH_CHECKED_BYTES,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  FRAMES_MAX,
  INDEX_CHECKSUM_BYTES,
  INDEX_ENTRY_BYTES,
  SEGMENT_HEADER_BYTES,
  SEGMENT_MAGIC,
  SEGMENT_VERSION,
} from "./changelog-segment.ts";
import type { BatchFrame, BatchHeader } from "./changelog-segment.ts";
import type { FrameChecksum } from "./frame-checksum.ts";
import {
  FRAME_HEADER_BYTES,
  FRAME_RAW_BYTES_MAX,
  decodeFrame,
  frameEnd,
  readFrameHeader,
} from "./frame.ts";
import type { FrameTools } from "./frame.ts";

/** A frame as its own header and the index describe it. */
export interface WalkedFrame extends BatchFrame {
  readonly rawLength: number;
}

export interface SegmentBatch extends BatchHeader {
  readonly offset: number;
  /** Offset just past it. */
  readonly end: number;
  readonly frames: readonly WalkedFrame[];
}

/** What the next bytes are. */
type Part = "segment" | "batch" | "frame" | "index";

/** A batch whose index is not read yet. */
interface OpenBatch {
  readonly header: BatchHeader;
  readonly offset: number;
  readonly indexStart: number;
  readonly frames: { readonly offset: number; lengthBytes: number; rawLength: number }[];
}

/** Takes the first `lengthBytes` bytes of a segment, from its start, in pieces of any length. */
export class SegmentWalk {
  readonly #lengthBytes: number;
  readonly #checksum: FrameChecksum;
  readonly #file: string;
  readonly #visit: (batch: SegmentBatch) => void;
  #part: Part = "segment";
  /** Length of the part, and where it begins. */
  #partBytes = SEGMENT_HEADER_BYTES;
  #offset = 0;
  /** Bytes to pass over before it. */
  #skipBytes = 0;
  /** The beginning of a part that reaches beyond a piece. */
  #carry: Buffer = Buffer.alloc(BATCH_HEADER_BYTES);
  #carriedBytes = 0;
  #batch: OpenBatch | undefined = undefined;
  #batchCount = 0;
  #frameCount = 0;

  constructor(
    lengthBytes: number,
    checksum: FrameChecksum,
    file: string,
    visit: (batch: SegmentBatch) => void,
  ) {
    this.#lengthBytes = lengthBytes;
    this.#checksum = checksum;
    this.#file = file;
    this.#visit = visit;
  }

  add(bytes: Uint8Array): void {
    const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < piece.length;) {
      if (this.#skipBytes > 0) {
        const skipped = Math.min(this.#skipBytes, piece.length - at);
        this.#skipBytes -= skipped;
        at += skipped;
        continue;
      }
      const missing = this.#partBytes - this.#carriedBytes;
      const end = Math.min(piece.length, at + missing);
      if (end - at === this.#partBytes) this.#take(piece.subarray(at, end));
      else this.#keep(piece.subarray(at, end));
      at = end;
    }
  }

  /** All bytes were given. */
  finish(): void {
    if (this.#part === "batch" && this.#carriedBytes === 0) return;
    const what = this.#part === "segment" ? "not a changelog segment" : "a batch is cut";
    throw new CorruptionError(what, this.#file, this.#offset);
  }

  /** S3 */
  #keep(bytes: Buffer): void {
    const carried = this.#carriedBytes + bytes.length;
    if (carried > this.#carry.length) {
      const larger = Buffer.alloc(Math.min(this.#partBytes, carried * 2));
      this.#carry.copy(larger, 0, 0, this.#carriedBytes);
      this.#carry = larger;
    }
    bytes.copy(this.#carry, this.#carriedBytes);
    this.#carriedBytes = carried;
    if (carried < this.#partBytes) return;
    this.#carriedBytes = 0;
    this.#take(this.#carry.subarray(0, carried));
  }

  #take(part: Buffer): void {
    switch (this.#part) {
      case "segment":
        this.#checkSegment(part);
        return this.#expect("batch", BATCH_HEADER_BYTES, SEGMENT_HEADER_BYTES);
      case "batch":
        return this.#begin(part);
      case "frame":
        return this.#frame(part);
      case "index":
        return this.#end(part);
    }
  }

  #expect(part: Part, partBytes: number, offset: number): void {
    this.#skipBytes = offset - this.#offset - this.#partBytes;
    this.#part = part;
    this.#partBytes = partBytes;
    this.#offset = offset;
  }

  #checkSegment(header: Buffer): void {
    if (header.toString("latin1", 0, 8) !== SEGMENT_MAGIC) {
      throw new CorruptionError("not a changelog segment", this.#file, 0);
    }
    const version = header.readUInt32LE(8);
    if (version !== SEGMENT_VERSION) {
      const what = `changelog segment ${this.#file}`;
      throw new UnsupportedFormatError(what, `version ${version}`, "version 1");
    }
    if (header.readUInt32LE(12) !== 0) this.#fail("reserved bytes of a segment are not zero", 12);
  }

  #begin(bytes: Buffer): void {
    const header = this.#readHeader(bytes);
    const { frameCount, frameBytes } = header;
    const indexStart = this.#offset + BATCH_HEADER_BYTES + frameBytes;
    const end = indexStart + frameCount * INDEX_ENTRY_BYTES + INDEX_CHECKSUM_BYTES;
    if (!(end <= this.#lengthBytes)) this.#fail("a batch reaches beyond its segment"); // S1
    this.#frameCount += frameCount;
    if (++this.#batchCount > BATCHES_MAX || this.#frameCount > FRAMES_MAX) {
      this.#fail("a segment has more batches or frames than one can have");
    }
    this.#batch = { header, offset: this.#offset, indexStart, frames: [] };
    this.#next(this.#batch, this.#offset + BATCH_HEADER_BYTES);
  }

  #readHeader(header: Buffer): BatchHeader {
    if (header.toString("latin1", 0, 4) !== BATCH_MAGIC) this.#fail("not a batch of changes");
    const sum = this.#checksum.xxh64(header.subarray(0, BATCH_CHECKED_BYTES));
    if (sum !== header.readBigUInt64LE(BATCH_CHECKED_BYTES)) {
      this.#fail("the checksum of a batch's header does not match");
    }
    const number = (at: number): number => Number(header.readBigUInt64LE(at));
    const found: BatchHeader = {
      keyGroupCount: header.readUInt16LE(4),
      firstKeyGroup: header.readUInt16LE(6),
      lastKeyGroup: header.readUInt16LE(8),
      frameCount: header.readUInt32LE(12),
      afterChange: number(16),
      upToChange: number(24),
      frameBytes: number(32),
      rowCount: number(40),
    };
    const isPossible =
      header.readUInt16LE(10) === 0 &&
      found.keyGroupCount >= 1 &&
      found.keyGroupCount <= KEY_GROUPS_MAX &&
      found.firstKeyGroup <= found.lastKeyGroup &&
      found.lastKeyGroup < found.keyGroupCount &&
      found.frameCount <= FRAMES_MAX &&
      Number.isSafeInteger(found.upToChange) &&
      found.afterChange < found.upToChange;
    if (!isPossible) this.#fail("the header of a batch is impossible");
    return found;
  }

  /** What follows at `offset` in the batch: a frame, or the index. */
  #next(batch: OpenBatch, offset: number): void {
    const { header, frames, indexStart } = batch;
    if (frames.length < header.frameCount) {
      if (indexStart - offset < FRAME_HEADER_BYTES) this.#disagree(batch.offset);
      this.#expect("frame", FRAME_HEADER_BYTES, offset);
      return;
    }
    if (offset !== indexStart) this.#disagree(batch.offset);
    const indexBytes = header.frameCount * INDEX_ENTRY_BYTES + INDEX_CHECKSUM_BYTES;
    this.#expect("index", indexBytes, indexStart);
  }

  #frame(bytes: Buffer): void {
    const batch = this.#batch!;
    const offset = this.#offset;
    const source = { file: this.#file, fileOffset: offset, rawBytesMax: FRAME_RAW_BYTES_MAX };
    const header = readFrameHeader(bytes, 0, batch.indexStart - offset, source);
    const lengthBytes = frameEnd(0, header);
    batch.frames.push({ offset, lengthBytes, rawLength: header.rawLength });
    this.#next(batch, offset + lengthBytes);
  }

  /** S2 */
  #end(index: Buffer): void {
    const { header, offset, indexStart, frames } = this.#batch!;
    const sumAt = index.length - INDEX_CHECKSUM_BYTES;
    if (this.#checksum.xxh64(index.subarray(0, sumAt)) !== index.readBigUInt64LE(sumAt)) {
      this.#fail("the checksum of a batch's index does not match");
    }
    let before = header.firstKeyGroup;
    let rawBytes = 0;
    const walked = frames.map((frame, number): WalkedFrame => {
      const at = number * INDEX_ENTRY_BYTES;
      const firstKeyGroup = index.readUInt16LE(at);
      const lastKeyGroup = index.readUInt16LE(at + 2);
      const agrees =
        firstKeyGroup >= before &&
        firstKeyGroup <= lastKeyGroup &&
        lastKeyGroup <= header.lastKeyGroup &&
        index.readUInt32LE(at + 4) === frame.lengthBytes &&
        frame.rawLength > 0;
      if (!agrees) this.#disagree(indexStart + at);
      before = lastKeyGroup;
      rawBytes += frame.rawLength;
      return { ...frame, firstKeyGroup, lastKeyGroup };
    });
    const { rowCount, frameCount } = header;
    if (rowCount < frameCount || rowCount > rawBytes / CHANGE_BYTES_MIN) this.#disagree(offset);
    const end = indexStart + index.length;
    this.#visit({ ...header, offset, end, frames: walked });
    this.#batch = undefined;
    this.#expect("batch", BATCH_HEADER_BYTES, end);
  }

  #disagree(at: number): never {
    return this.#fail("a batch and its index disagree", at);
  }

  #fail(message: string, at: number = this.#offset): never {
    throw new CorruptionError(message, this.#file, at);
  }
}

/** The batches of a segment's first bytes, which are all at hand. */
export function readSegmentBatches(
  bytes: Uint8Array,
  checksum: FrameChecksum,
  file: string,
): SegmentBatch[] {
  const batches: SegmentBatch[] = [];
  const walk = new SegmentWalk(bytes.length, checksum, file, (batch) => batches.push(batch));
  walk.add(bytes);
  walk.finish();
  return batches;
}

/**
 * Raw rows of a frame; a view of `bytes` if they are stored raw. `bytes` are those of the segment from
 * `bytesOffset` on.
 */
export function readBatchFrame(
  bytes: Uint8Array,
  { offset, lengthBytes }: Pick<BatchFrame, "offset" | "lengthBytes">,
  tools: FrameTools,
  file: string,
  bytesOffset = 0,
): Uint8Array {
  const source = { file, fileOffset: bytesOffset, rawBytesMax: FRAME_RAW_BYTES_MAX };
  const start = offset - bytesOffset;
  const header = readFrameHeader(bytes, start, start + lengthBytes, source);
  if (frameEnd(start, header) !== start + lengthBytes) {
    throw new CorruptionError("a batch and its index disagree", file, offset); // S2
  }
  return decodeFrame(bytes, start, header, tools, source);
}
