// Batches of net changes in a file that grows: limits, and how they are written. They are read by
// changelog-walk.ts. Page: docs/formats/changelog-segment.md.
import type { SegmentHandle, SharedFile } from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import { MIB } from "../common/units.ts";
import type { FrameChecksum } from "./frame-checksum.ts";

export const SEGMENT_MAGIC = "VARVESEG";
export const SEGMENT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 16; // Magic, u32 version, u32 reserved.
/** Readers refuse longer ones. Writers go on to the next one long before. */
export const SEGMENT_BYTES_MAX: number = 1024 * MIB;
/** Segments that one handle may name. */
export const SEGMENTS_MAX = 4096;

/** Batches and frames of one segment; writers come to neither in 64 MiB. */
export const BATCHES_MAX = 1_048_576;
export const FRAMES_MAX = 4_194_304;

export const BATCH_MAGIC = "VBAT";
export const BATCH_HEADER_BYTES = 56;
export const BATCH_CHECKED_BYTES = 48;
export const INDEX_ENTRY_BYTES = 8;
export const INDEX_CHECKSUM_BYTES = 8;

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
