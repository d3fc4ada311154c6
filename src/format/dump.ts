// Rows in a file: the base of the memory backend. Page: docs/formats/dump.md.
//   D1. Keys ascend strictly within a file; the files of a dump are in the order of their keys.
//   D2. The footer states how many frames and rows there are: a file that ends early between two
//       frames is damaged, not short.
import { assert } from "../common/assert.ts";
import { MIB } from "../common/units.ts";
import { readVarint, varintBytes, writeVarint } from "../common/varint.ts";
import type { Cursor } from "../common/varint.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";
import { FRAME_RAW_BYTES_MAX, decodeFrame, frameEnd, readFrameHeader } from "./frame.ts";
import type { FrameSource, FrameTools } from "./frame.ts";
import type { FrameChecksum } from "./frame-checksum.ts";

export const DUMP_MAGIC = "VARVEDMP";
const FOOTER_MAGIC = "VARVEEND";
export const DUMP_VERSION = 1;
export const DUMP_HEADER_BYTES = 16; // Magic, u32 version, u32 reserved.
// Footer: magic, u64 frames, u64 rows, u64 raw bytes, u64 xxHash64 of the 32 bytes before.
export const DUMP_FOOTER_BYTES = 40;

/** Writers begin a new file once one has this many raw bytes, so that readers need little memory. */
export const DUMP_FILE_RAW_BYTES: number = 16 * MIB;
/** Readers refuse more: what a writer may put into one file, and a margin. */
export const DUMP_FILE_RAW_BYTES_MAX: number = 64 * MIB;
/** Largest key and largest row (header byte and payload) of a dump. */
const KEY_BYTES_MAX = 12_288;
const ROW_BYTES_MAX = 524_288;
const LOOP_BYTES_MAX = 48;

export interface DumpTotals {
  readonly frameCount: number;
  readonly rowCount: number;
  readonly rawBytes: number;
}

export function encodeDumpHeader(): Uint8Array {
  const header = Buffer.alloc(DUMP_HEADER_BYTES);
  header.write(DUMP_MAGIC, 0, "latin1");
  header.writeUInt32LE(DUMP_VERSION, 8);
  return header;
}

export function encodeDumpFooter(totals: DumpTotals, checksum: FrameChecksum): Uint8Array {
  const footer = Buffer.alloc(DUMP_FOOTER_BYTES);
  footer.write(FOOTER_MAGIC, 0, "latin1");
  footer.writeBigUInt64LE(BigInt(totals.frameCount), 8);
  footer.writeBigUInt64LE(BigInt(totals.rowCount), 16);
  footer.writeBigUInt64LE(BigInt(totals.rawBytes), 24);
  footer.writeBigUInt64LE(checksum.xxh64(footer.subarray(0, 32)), 32);
  return footer;
}

/** Bytes a row takes in a frame. */
export function dumpRowBytes(keyBytes: number, rowBytes: number): number {
  return varintBytes(keyBytes) + keyBytes + varintBytes(rowBytes) + rowBytes;
}

/** Writes a row of `header` byte and payload; returns the offset just past it. */
export function writeDumpRow(
  target: Uint8Array,
  offset: number,
  key: Uint8Array,
  header: number,
  payload: Uint8Array,
): number {
  assert(key.length <= KEY_BYTES_MAX, "row key longer than a dump takes");
  assert(payload.length < ROW_BYTES_MAX, "row longer than a dump takes");
  let at = writeVarint(target, offset, key.length);
  target.set(key, at);
  at = writeVarint(target, at + key.length, payload.length + 1);
  target[at++] = header;
  target.set(payload, at);
  return at + payload.length;
}

/**
 * As `writeDumpRow`, of a key and a stored row that are pieces of larger arrays. Hot: no views.
 * Short pieces are copied by a loop, which is faster.
 */
export function copyDumpRow(
  target: Uint8Array,
  offset: number,
  key: Uint8Array,
  keyBytes: number,
  source: Uint8Array,
  start: number,
  end: number,
): number {
  assert(keyBytes <= KEY_BYTES_MAX, "row key longer than a dump takes");
  assert(end - start <= ROW_BYTES_MAX, "row longer than a dump takes");
  const at = copyPiece(target, writeVarint(target, offset, keyBytes), key, 0, keyBytes);
  return copyPiece(target, writeVarint(target, at, end - start), source, start, end);
}

function copyPiece(
  target: Uint8Array,
  offset: number,
  source: Uint8Array,
  start: number,
  end: number,
): number {
  const length = end - start;
  if (length > LOOP_BYTES_MAX) target.set(source.subarray(start, end), offset);
  else for (let at = 0; at < length; at++) target[offset + at] = source[start + at]!;
  return offset + length;
}

/** Calls `visit` for each row of a frame's raw bytes. The arrays are views of `rows`. */
export function readDumpRows(
  rows: Uint8Array,
  file: string,
  fileOffset: number,
  visit: (key: Uint8Array, row: Uint8Array) => void,
): void {
  walkDumpRows(rows, file, fileOffset, (keyStart, keyEnd, rowStart, rowEnd) => {
    visit(rows.subarray(keyStart, keyEnd), rows.subarray(rowStart, rowEnd));
  });
}

/** Where a row's key and the row itself are in a frame's raw bytes; ends are exclusive. */
export type VisitPlaces = (
  keyStart: number,
  keyEnd: number,
  rowStart: number,
  rowEnd: number,
) => void;

/** As `readDumpRows`, without views. Hot. */
function walkDumpRows(
  rows: Uint8Array,
  file: string,
  fileOffset: number,
  visit: VisitPlaces,
): void {
  const cursor: Cursor = { offset: 0 };
  while (cursor.offset < rows.length) {
    const keyEnd = endOfPiece(rows, cursor, KEY_BYTES_MAX, file, fileOffset);
    const keyStart = cursor.offset;
    cursor.offset = keyEnd;
    const rowEnd = endOfPiece(rows, cursor, ROW_BYTES_MAX, file, fileOffset);
    const rowStart = cursor.offset;
    cursor.offset = rowEnd;
    visit(keyStart, keyEnd, rowStart, rowEnd);
  }
}

/** Reads a length, and leaves the cursor at the piece, whose end is returned. */
function endOfPiece(
  rows: Uint8Array,
  cursor: Cursor,
  bytesMax: number,
  file: string,
  fileOffset: number,
): number {
  let length = rows[cursor.offset] ?? 128;
  if (length < 128) cursor.offset++;
  else {
    try {
      length = readVarint(rows, cursor, rows.length);
    } catch (cause) {
      throw new CorruptionError("a length in a dump is damaged", file, fileOffset, { cause });
    }
  }
  if (length === 0 || length > bytesMax || length > rows.length - cursor.offset) {
    throw new CorruptionError("a row of a dump is out of bounds", file, fileOffset);
  }
  return cursor.offset + length;
}

/** Checks header and footer, and returns what the footer says. */
export function readDumpTotals(
  bytes: Uint8Array,
  checksum: FrameChecksum,
  file: string,
): DumpTotals {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (all.length < DUMP_HEADER_BYTES || all.toString("latin1", 0, 8) !== DUMP_MAGIC) {
    throw new CorruptionError("not a dump", file, 0);
  }
  const version = all.readUInt32LE(8);
  if (version !== DUMP_VERSION) {
    throw new UnsupportedFormatError(`dump ${file}`, `version ${version}`, "version 1");
  }
  if (all.readUInt32LE(12) !== 0) {
    throw new CorruptionError("reserved bytes of a dump are not zero", file, 12);
  }
  const start = all.length - DUMP_FOOTER_BYTES;
  if (start < DUMP_HEADER_BYTES || all.toString("latin1", start, start + 8) !== FOOTER_MAGIC) {
    throw new CorruptionError("a dump has no footer", file, Math.max(0, start));
  }
  if (checksum.xxh64(all.subarray(start, start + 32)) !== all.readBigUInt64LE(start + 32)) {
    throw new CorruptionError("the checksum of a dump's footer does not match", file, start);
  }
  const [frameCount, rowCount, rawBytes] = [8, 16, 24].map((at) =>
    Number(all.readBigUInt64LE(start + at)),
  ) as [number, number, number];
  if (rawBytes > DUMP_FILE_RAW_BYTES_MAX) {
    throw new CorruptionError("a dump has more rows than a file may hold", file, start);
  }
  return { frameCount, rowCount, rawBytes };
}

/**
 * Calls `visit` with the raw rows of each frame, after verifying frame, rows and order; `visitRow`,
 * before that, with the places of each row in them. Throws at the end if the footer disagrees.
 */
export function readDump(
  bytes: Uint8Array,
  tools: FrameTools,
  file: string,
  visit: (rows: Uint8Array) => void,
  visitRow?: (rows: Uint8Array, ...places: Parameters<VisitPlaces>) => void,
): DumpTotals {
  const totals = readDumpTotals(bytes, tools.checksum, file);
  const source: FrameSource = { file, fileOffset: 0, rawBytesMax: FRAME_RAW_BYTES_MAX };
  const end = bytes.length - DUMP_FOOTER_BYTES;
  let frameCount = 0;
  let rowCount = 0;
  let rawBytes = 0;
  let before: Uint8Array = new Uint8Array(0);
  let [beforeStart, beforeEnd] = [0, 0];
  for (let offset = DUMP_HEADER_BYTES; offset < end; frameCount++) {
    const header = readFrameHeader(bytes, offset, end, source);
    rawBytes += header.rawLength;
    if (rawBytes > totals.rawBytes) {
      throw new CorruptionError("a dump has more rows than its footer says", file, offset);
    }
    const rows = decodeFrame(bytes, offset, header, tools, source);
    walkDumpRows(rows, file, offset, (keyStart, keyEnd, rowStart, rowEnd) => {
      if (!isAscending(before, beforeStart, beforeEnd, rows, keyStart, keyEnd)) {
        throw new CorruptionError("keys of a dump do not ascend", file, offset); // D1
      }
      before = rows;
      beforeStart = keyStart;
      beforeEnd = keyEnd;
      rowCount++;
      visitRow?.(rows, keyStart, keyEnd, rowStart, rowEnd);
    });
    visit(rows);
    offset = frameEnd(offset, header);
  }
  const isWhole =
    frameCount === totals.frameCount &&
    rowCount === totals.rowCount &&
    rawBytes === totals.rawBytes;
  if (!isWhole) throw new CorruptionError("a dump and its footer disagree", file, end); // D2
  return totals;
}

/** Whether a piece of `a` is before one of `b`, bytewise; an empty one is before every other. */
function isAscending(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  const length = Math.min(aEnd - aStart, bEnd - bStart);
  for (let at = 0; at < length; at++) {
    const difference = a[aStart + at]! - b[bStart + at]!;
    if (difference !== 0) return difference < 0;
  }
  return aEnd - aStart < bEnd - bStart;
}
