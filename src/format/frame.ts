// The envelope around stored bytes. Page: docs/formats/frame.md.
//   E1. A frame is raw exactly when LZ4 would not make it smaller, so every changed codec byte
//       contradicts the lengths.
//   E2. Lengths are checked against limits, and against the bytes there are, before anything is
//       allocated or decompressed.
import { assert } from "../common/assert.ts";
import { MIB } from "../common/units.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";
import type { FrameChecksum } from "./frame-checksum.ts";

// Header, little-endian.
const CODEC_OFFSET = 0; //          u8   FrameCodec
const ENCRYPTION_OFFSET = 1; //     u8   0: none
const RESERVED_OFFSET = 2; //       u16  0
const RAW_LENGTH_OFFSET = 4; //     u32  bytes
const STORED_LENGTH_OFFSET = 8; //  u32  bytes
const CHECKSUM_OFFSET = 12; //      u64  xxHash64 of the stored bytes
export const FRAME_HEADER_BYTES = 20;

/** Most raw bytes of a frame, except where a page says otherwise. */
export const FRAME_RAW_BYTES_MAX: number = MIB;
/** LZ4 makes at most this many bytes of one; more is damage or malice. */
const LZ4_RATIO_MAX = 255;

/** On disk: never renumber, only add. */
export const FrameCodec = { raw: 0, lz4: 1 } as const;
export type FrameCodec = (typeof FrameCodec)[keyof typeof FrameCodec];

/** Compresses blocks. The bytes are LZ4's block format, whichever library makes them. */
export interface BlockCodec {
  readonly name: string;
  /** Writes the compressed block to the start of `target`, which is no shorter. Its length; 0 if it would not be smaller. */
  compress(raw: Uint8Array, target: Uint8Array): number;
  /** Exactly `rawLength` bytes, or undefined if the block does not hold them. */
  decompress(block: Uint8Array, rawLength: number): Uint8Array | undefined;
}

/** What decoding needs. Without `codec` only raw frames are read. */
export interface FrameTools {
  readonly checksum: FrameChecksum;
  readonly codec?: BlockCodec | undefined;
}

/** Where the bytes are from, for errors and limits. */
export interface FrameSource {
  readonly file: string;
  /** Offset in the file of the first of the bytes. */
  readonly fileOffset: number;
  /** Most raw bytes a frame may have here. */
  readonly rawBytesMax: number;
}

export interface FrameHeader {
  readonly codec: FrameCodec;
  readonly rawLength: number;
  readonly storedLength: number;
  readonly checksum: bigint;
}

/** Most bytes that the frame of so many has. */
export function frameBytesMax(rawBytes: number): number {
  return FRAME_HEADER_BYTES + rawBytes;
}

/** One frame: header and stored bytes. Raw without a codec, or where LZ4 does not shrink it. */
export function encodeFrame(raw: Uint8Array, tools: FrameTools): Uint8Array {
  const frame = new Uint8Array(frameBytesMax(raw.length));
  const end = encodeFrameInto(frame, 0, raw, tools);
  return end === frame.length ? frame : frame.slice(0, end);
}

/** As `encodeFrame`, at an offset with room for `frameBytesMax`. Offset just past the frame. */
export function encodeFrameInto(
  target: Uint8Array,
  offset: number,
  raw: Uint8Array,
  tools: FrameTools,
): number {
  assert(raw.length <= 0xffff_ffff, "frame longer than its u32 length field");
  const start = offset + FRAME_HEADER_BYTES;
  assert(start + raw.length <= target.length, "no room for a frame");
  const room = target.subarray(start, start + raw.length);
  const blockBytes = raw.length === 0 ? 0 : (tools.codec?.compress(raw, room) ?? 0);
  assert(blockBytes === 0 || blockBytes < raw.length, "E1: a block that does not shrink");
  const isRaw = blockBytes === 0;
  if (isRaw) room.set(raw);
  const stored = isRaw ? room : room.subarray(0, blockBytes);
  const view = new DataView(target.buffer, target.byteOffset + offset, FRAME_HEADER_BYTES);
  view.setUint8(CODEC_OFFSET, isRaw ? FrameCodec.raw : FrameCodec.lz4);
  view.setUint8(ENCRYPTION_OFFSET, 0); // The target may have been used before.
  view.setUint16(RESERVED_OFFSET, 0, true);
  view.setUint32(RAW_LENGTH_OFFSET, raw.length, true);
  view.setUint32(STORED_LENGTH_OFFSET, stored.length, true);
  view.setBigUint64(CHECKSUM_OFFSET, tools.checksum.xxh64(stored), true);
  return start + stored.length;
}

/** The header of the frame at `offset`; its stored bytes are all within `end`. */
export function readFrameHeader(
  bytes: Uint8Array,
  offset: number,
  end: number,
  source: FrameSource,
): FrameHeader {
  const at = source.fileOffset + offset;
  if (end - offset < FRAME_HEADER_BYTES) {
    throw new CorruptionError("a frame header is cut", source.file, at);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, FRAME_HEADER_BYTES);
  const codec = view.getUint8(CODEC_OFFSET);
  const encryption = view.getUint8(ENCRYPTION_OFFSET);
  if (codec !== FrameCodec.raw && codec !== FrameCodec.lz4) {
    throw new UnsupportedFormatError(`frame in ${source.file}`, `codec ${codec}`, "codecs 0 and 1");
  }
  if (encryption !== 0) {
    throw new UnsupportedFormatError(
      `frame in ${source.file}`,
      `encryption ${encryption}`,
      "unencrypted frames",
    );
  }
  if (view.getUint16(RESERVED_OFFSET, true) !== 0) {
    throw new CorruptionError("reserved bytes of a frame are not zero", source.file, at);
  }
  const rawLength = view.getUint32(RAW_LENGTH_OFFSET, true);
  const storedLength = view.getUint32(STORED_LENGTH_OFFSET, true);
  if (rawLength > source.rawBytesMax || storedLength > end - offset - FRAME_HEADER_BYTES) {
    throw new CorruptionError("a frame is longer than it can be", source.file, at); // E2
  }
  const isPlausible =
    codec === FrameCodec.raw
      ? storedLength === rawLength
      : storedLength < rawLength && rawLength <= storedLength * LZ4_RATIO_MAX;
  if (!isPlausible) {
    throw new CorruptionError("codec and lengths of a frame disagree", source.file, at); // E1
  }
  return { codec, rawLength, storedLength, checksum: view.getBigUint64(CHECKSUM_OFFSET, true) };
}

/** Offset just past the frame at `offset`. */
export function frameEnd(offset: number, header: FrameHeader): number {
  return offset + FRAME_HEADER_BYTES + header.storedLength;
}

/** The raw bytes of the frame at `offset`; a view of `bytes` if they are stored raw. */
export function decodeFrame(
  bytes: Uint8Array,
  offset: number,
  header: FrameHeader,
  tools: FrameTools,
  source: FrameSource,
): Uint8Array {
  const stored = bytes.subarray(offset + FRAME_HEADER_BYTES, frameEnd(offset, header));
  const at = source.fileOffset + offset;
  if (tools.checksum.xxh64(stored) !== header.checksum) {
    throw new CorruptionError("the checksum of a frame does not match", source.file, at);
  }
  if (header.codec === FrameCodec.raw) return stored;
  if (tools.codec === undefined) {
    throw new CorruptionError("a frame is compressed where none may be", source.file, at);
  }
  const raw = tools.codec.decompress(stored, header.rawLength);
  if (raw === undefined) {
    throw new CorruptionError("a frame does not decompress", source.file, at);
  }
  return raw;
}
