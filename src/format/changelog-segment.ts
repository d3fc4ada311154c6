// Batches of net changes in a file that grows. Page: docs/formats/changelog-segment.md.
//   S1. A batch lies within the length that its reader was told: what is behind is not looked at.
//   S2. Counts and lengths of a batch agree with its index, and the index with its frames.
import type { SegmentHandle, SharedFile } from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import { KEY_GROUPS_MAX } from "../common/key-group.ts";
import { MIB } from "../common/units.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";
import {
  FRAME_HEADER_BYTES,
  FRAME_RAW_BYTES_MAX,
  decodeFrame,
  frameEnd,
  readFrameHeader,
} from "./frame.ts";
import type { FrameSource, FrameTools } from "./frame.ts";
import type { FrameChecksum } from "./frame-checksum.ts";

export const SEGMENT_MAGIC = "VARVESEG";
export const SEGMENT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 16; // Magic, u32 version, u32 reserved.
/** Readers refuse longer ones. Writers go on to the next one long before. */
export const SEGMENT_BYTES_MAX: number = 1024 * MIB;
/** Segments that one handle may name. */
export const SEGMENTS_MAX = 4096;

const BATCH_MAGIC = "VBAT";
export const BATCH_HEADER_BYTES = 56;
const BATCH_CHECKED_BYTES = 48;
const INDEX_ENTRY_BYTES = 8;
const INDEX_CHECKSUM_BYTES = 8;
const FRAMES_MAX = 4_194_304;

/** What a batch says of itself. */
export interface BatchHeader {
  readonly keyGroupCount: number;
  readonly firstKeyGroup: number;
  readonly lastKeyGroup: number;
  /** Change numbers: of the cut before, exclusive, and of the cut, inclusive. */
  readonly afterChange: number;
  readonly upToChange: number;
  readonly frameCount: number;
  readonly frameBytes: number;
  readonly rowCount: number;
}

/** Where a frame is in the segment, and the key groups of its rows. */
export interface BatchFrame {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly firstKeyGroup: number;
  readonly lastKeyGroup: number;
}

export interface SegmentBatch extends BatchHeader {
  readonly offset: number;
  /** Offset just past it. */
  readonly end: number;
  readonly frames: readonly BatchFrame[];
}

const noHash = "0".repeat(64);

/** What a registry of files knows a segment by: its length and hash grow. */
export function segmentFile({ id }: Pick<SegmentHandle, "id">): SharedFile {
  return { id, lengthBytes: 0, sha256: noHash };
}

export function encodeSegmentHeader(): Uint8Array {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  header.write(SEGMENT_MAGIC, 0, "latin1");
  header.writeUInt32LE(SEGMENT_VERSION, 8);
  return header;
}

export function encodeBatchHeader(batch: BatchHeader, checksum: FrameChecksum): Uint8Array {
  assert(batch.upToChange > batch.afterChange, "a batch of no changes");
  assert(batch.frameCount <= FRAMES_MAX, "a batch has more frames than a reader takes");
  const header = Buffer.alloc(BATCH_HEADER_BYTES);
  header.write(BATCH_MAGIC, 0, "latin1");
  header.writeUInt16LE(batch.keyGroupCount, 4);
  header.writeUInt16LE(batch.firstKeyGroup, 6);
  header.writeUInt16LE(batch.lastKeyGroup, 8);
  header.writeUInt32LE(batch.frameCount, 12);
  header.writeBigUInt64LE(BigInt(batch.afterChange), 16);
  header.writeBigUInt64LE(BigInt(batch.upToChange), 24);
  header.writeBigUInt64LE(BigInt(batch.frameBytes), 32);
  header.writeBigUInt64LE(BigInt(batch.rowCount), 40);
  const sum = checksum.xxh64(header.subarray(0, BATCH_CHECKED_BYTES));
  header.writeBigUInt64LE(sum, BATCH_CHECKED_BYTES);
  return header;
}

/** The index behind the frames. */
export function encodeBatchIndex(
  frames: readonly Omit<BatchFrame, "offset">[],
  checksum: FrameChecksum,
): Uint8Array {
  const bytes = frames.length * INDEX_ENTRY_BYTES;
  const index = Buffer.alloc(bytes + INDEX_CHECKSUM_BYTES);
  for (const [number, frame] of frames.entries()) {
    const at = number * INDEX_ENTRY_BYTES;
    index.writeUInt16LE(frame.firstKeyGroup, at);
    index.writeUInt16LE(frame.lastKeyGroup, at + 2);
    index.writeUInt32LE(frame.lengthBytes, at + 4);
  }
  index.writeBigUInt64LE(checksum.xxh64(index.subarray(0, bytes)), bytes);
  return index;
}

/** The batches of a segment's first bytes; reads headers and indexes, no frame. */
export function readSegmentBatches(
  bytes: Uint8Array,
  checksum: FrameChecksum,
  file: string,
): SegmentBatch[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkSegmentHeader(all, file);
  const batches: SegmentBatch[] = [];
  for (let offset = SEGMENT_HEADER_BYTES; offset < all.length;) {
    const batch = readBatch(all, offset, checksum, file);
    batches.push(batch);
    offset = batch.end;
  }
  return batches;
}

function checkSegmentHeader(all: Buffer, file: string): void {
  if (all.length < SEGMENT_HEADER_BYTES || all.toString("latin1", 0, 8) !== SEGMENT_MAGIC) {
    throw new CorruptionError("not a changelog segment", file, 0);
  }
  const version = all.readUInt32LE(8);
  if (version !== SEGMENT_VERSION) {
    throw new UnsupportedFormatError(
      `changelog segment ${file}`,
      `version ${version}`,
      "version 1",
    );
  }
  if (all.readUInt32LE(12) !== 0) {
    throw new CorruptionError("reserved bytes of a changelog segment are not zero", file, 12);
  }
}

function readBatch(
  all: Buffer,
  offset: number,
  checksum: FrameChecksum,
  file: string,
): SegmentBatch {
  const fail = (what: string): never => {
    throw new CorruptionError(what, file, offset);
  };
  if (all.length - offset < BATCH_HEADER_BYTES) fail("the header of a batch is cut");
  const header = all.subarray(offset, offset + BATCH_HEADER_BYTES);
  if (header.toString("latin1", 0, 4) !== BATCH_MAGIC) fail("not a batch of changes");
  const sum = checksum.xxh64(header.subarray(0, BATCH_CHECKED_BYTES));
  if (sum !== header.readBigUInt64LE(BATCH_CHECKED_BYTES)) {
    fail("the checksum of a batch's header does not match");
  }
  const [afterChange, upToChange, frameBytes, rowCount] = [16, 24, 32, 40].map((at) =>
    Number(header.readBigUInt64LE(at)),
  ) as [number, number, number, number];
  const keyGroupCount = header.readUInt16LE(4);
  const firstKeyGroup = header.readUInt16LE(6);
  const lastKeyGroup = header.readUInt16LE(8);
  const frameCount = header.readUInt32LE(12);
  const isPossible =
    header.readUInt16LE(10) === 0 &&
    keyGroupCount >= 1 &&
    keyGroupCount <= KEY_GROUPS_MAX &&
    firstKeyGroup <= lastKeyGroup &&
    lastKeyGroup < keyGroupCount &&
    frameCount <= FRAMES_MAX &&
    Number.isSafeInteger(upToChange) &&
    afterChange < upToChange;
  if (!isPossible) fail("the header of a batch is impossible");
  const indexStart = offset + BATCH_HEADER_BYTES + frameBytes;
  const end = indexStart + frameCount * INDEX_ENTRY_BYTES + INDEX_CHECKSUM_BYTES;
  if (!(end <= all.length)) fail("a batch reaches beyond its segment"); // S1
  const groups = { firstKeyGroup, lastKeyGroup };
  const frames = readIndex(
    all,
    offset + BATCH_HEADER_BYTES,
    indexStart,
    end,
    groups,
    checksum,
    file,
  );
  const counts = { frameCount, frameBytes, rowCount };
  return { keyGroupCount, ...groups, afterChange, upToChange, ...counts, offset, end, frames };
}

function readIndex(
  all: Buffer,
  framesStart: number,
  start: number,
  end: number,
  groups: { readonly firstKeyGroup: number; readonly lastKeyGroup: number },
  checksum: FrameChecksum,
  file: string,
): BatchFrame[] {
  const sumAt = end - INDEX_CHECKSUM_BYTES;
  if (checksum.xxh64(all.subarray(start, sumAt)) !== all.readBigUInt64LE(sumAt)) {
    throw new CorruptionError("the checksum of a batch's index does not match", file, start);
  }
  const frames: BatchFrame[] = [];
  let offset = framesStart;
  let before = groups.firstKeyGroup;
  for (let at = start; at < sumAt; at += INDEX_ENTRY_BYTES) {
    const firstKeyGroup = all.readUInt16LE(at);
    const lastKeyGroup = all.readUInt16LE(at + 2);
    const lengthBytes = all.readUInt32LE(at + 4);
    const isInOrder =
      firstKeyGroup >= before &&
      firstKeyGroup <= lastKeyGroup &&
      lastKeyGroup <= groups.lastKeyGroup &&
      lengthBytes > FRAME_HEADER_BYTES &&
      lengthBytes <= start - offset;
    if (!isInOrder) throw new CorruptionError("a batch and its index disagree", file, at); // S2
    frames.push({ offset, lengthBytes, firstKeyGroup, lastKeyGroup });
    offset += lengthBytes;
    before = lastKeyGroup;
  }
  if (offset !== start) throw new CorruptionError("a batch and its index disagree", file, start);
  return frames;
}

/** Raw rows of a frame; a view of `bytes` if they are stored raw. */
export function readBatchFrame(
  bytes: Uint8Array,
  { offset, lengthBytes }: BatchFrame,
  tools: FrameTools,
  file: string,
): Uint8Array {
  const source: FrameSource = { file, fileOffset: 0, rawBytesMax: FRAME_RAW_BYTES_MAX };
  const end = offset + lengthBytes;
  const header = readFrameHeader(bytes, offset, end, source);
  if (frameEnd(offset, header) !== end) {
    throw new CorruptionError("a batch and its index disagree", file, offset); // S2
  }
  return decodeFrame(bytes, offset, header, tools, source);
}
