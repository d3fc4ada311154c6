// LevelDB's log container (db/log_format.h): what MANIFEST and the WAL are made of.
// Page: docs/formats/leveldb-directory.md#log-container.
//
//   file      32 KiB blocks; a block ends in up to 6 zero bytes where no header fits
//   physical  u32 masked CRC-32C of type and payload | u16 length | u8 type | payload
//   record    one physical record (full), or first, middle*, last
//
//   L1. The reader takes a prefix of whole records. Only a cut at the very end counts as torn tail;
//       bytes that are all there and wrong are corruption, wherever they stand.
import { CorruptionError } from "../errors.ts";
import { crc32c, maskCrc } from "./leveldb-crc32c.ts";

export const LOG_BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;

const PhysicalType = { full: 1, first: 2, middle: 3, last: 4 } as const;

export interface LogRecord {
  readonly bytes: Uint8Array;
  /** File offset just past the record. */
  readonly endOffset: number;
}

export interface LogPrefix {
  readonly records: readonly LogRecord[];
  /** File offset just past the last whole record: where the next read may start. */
  readonly endOffset: number;
  /** Bytes after `endOffset`: a record that is not complete yet. */
  readonly tornBytes: number;
}

/** Reads `bytes`, which stand at `startOffset` of `file`, the end of a whole record or 0. */
export function readLog(bytes: Uint8Array, startOffset: number, file: string): LogPrefix {
  const records: LogRecord[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let fragments: Uint8Array[] | undefined;
  let wholeEnd = 0;
  let at = 0;
  for (;;) {
    const left = LOG_BLOCK_BYTES - ((startOffset + at) % LOG_BLOCK_BYTES);
    if (left < HEADER_BYTES) {
      at += left;
      continue;
    }
    if (at + HEADER_BYTES > bytes.length) break;
    const length = view.getUint16(at + 4, true);
    const type = bytes[at + 6]!;
    if (type === 0 && isZero(bytes, at)) break;
    if (HEADER_BYTES + length > left)
      throw bad("a log record crosses a block", file, startOffset + at);
    const end = at + HEADER_BYTES + length;
    if (end > bytes.length) break;
    if (maskCrc(crc32c(bytes, at + 6, end)) !== view.getUint32(at, true)) {
      throw bad("a log record has a wrong checksum", file, startOffset + at);
    }
    const payload = bytes.subarray(at + HEADER_BYTES, end);
    const begins = type === PhysicalType.full || type === PhysicalType.first;
    if (type > PhysicalType.last || type === 0 || begins !== (fragments === undefined)) {
      throw bad("a log record has the wrong type", file, startOffset + at);
    }
    at = end;
    fragments = fragments === undefined ? [payload] : [...fragments, payload];
    if (type === PhysicalType.full || type === PhysicalType.last) {
      records.push({ bytes: joined(fragments), endOffset: startOffset + at });
      fragments = undefined;
      wholeEnd = at;
    }
  }
  return {
    records,
    endOffset: startOffset + wholeEnd,
    tornBytes: Math.max(0, bytes.length - wholeEnd),
  };
}

/** The bytes of a log that holds these records. */
export function writeLog(records: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let used = 0;
  for (const record of records) {
    let at = 0;
    do {
      let left = LOG_BLOCK_BYTES - (used % LOG_BLOCK_BYTES);
      if (left < HEADER_BYTES) {
        parts.push(new Uint8Array(left));
        used += left;
        left = LOG_BLOCK_BYTES;
      }
      const length = Math.min(record.length - at, left - HEADER_BYTES);
      const part = physicalRecord(
        record.subarray(at, at + length),
        at === 0,
        at + length === record.length,
      );
      parts.push(part);
      used += part.length;
      at += length;
    } while (at < record.length);
  }
  return joined(parts);
}

function physicalRecord(payload: Uint8Array, begins: boolean, ends: boolean): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[6] = begins
    ? ends
      ? PhysicalType.full
      : PhysicalType.first
    : ends
      ? PhysicalType.last
      : PhysicalType.middle;
  bytes.set(payload, HEADER_BYTES);
  view.setUint16(4, payload.length, true);
  view.setUint32(0, maskCrc(crc32c(bytes, 6, bytes.length)), true);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function isZero(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}

function bad(message: string, file: string, offset: number): CorruptionError {
  return new CorruptionError(message, file, offset);
}
