// Keys and namespaces as bytes: a tag, then a payload that is prefix-free and ordered.
// Page: docs/formats/row-key.md. The number and plain-ASCII cases of state/key-context.ts write the
// same bytes; a test compares them.
import type { Key } from "../api/state.ts";
import type { Cursor } from "../common/varint.ts";
import { murmurBytes } from "../common/murmur3.ts";
import { CorruptionError, InvalidArgumentError, UnsupportedFormatError } from "../errors.ts";

/** On disk: never renumber, only add. */
export const KeyTag = { number: 16, bigint: 32, string: 48, bytes: 64 } as const;

/** Largest payload of a key, terminator and escapes included. */
export const KEY_PAYLOAD_BYTES_MAX = 4096;
export const BIGINT_MAGNITUDE_BYTES_MAX = 120;

/** Offsets in a row key. */
export const STATE_ID_OFFSET = 2;
export const PART_OFFSET = 6;
export const KEY_TAG_OFFSET = 7;
export const ROW_KEY_PREFIX_BYTES = 8;
/** Values of the part byte. */
export const RowPart = { root: 0, node: 1 } as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const scratch = new DataView(new ArrayBuffer(8));

export function keyTagOf(key: Key): number {
  const type: string = typeof key;
  switch (type) {
    case "number":
      return KeyTag.number;
    case "bigint":
      return KeyTag.bigint;
    case "string":
      return KeyTag.string;
    default:
      if (key instanceof Uint8Array) return KeyTag.bytes;
      throw new InvalidArgumentError(
        `a key is a string, number, bigint or Uint8Array, got ${describe(key)}`,
      );
  }
}

/** Payload of a key. Throws InvalidArgumentError for what cannot be a key. */
export function encodeKeyPayload(key: Key): Uint8Array {
  const payload = encodeUnchecked(key);
  if (payload.length > KEY_PAYLOAD_BYTES_MAX) {
    throw new InvalidArgumentError(
      `a key takes ${payload.length} bytes encoded; the limit is ${KEY_PAYLOAD_BYTES_MAX}`,
    );
  }
  return payload;
}

function encodeUnchecked(key: Key): Uint8Array {
  switch (keyTagOf(key)) {
    case KeyTag.number:
      return encodeNumber(key as number);
    case KeyTag.bigint:
      return encodeBigint(key as bigint);
    case KeyTag.string:
      if (!(key as string).isWellFormed()) {
        throw new InvalidArgumentError("a key string has a lone surrogate");
      }
      return escape(encoder.encode(key as string));
    default:
      return escape(key as Uint8Array);
  }
}

/** Specified hash: MurmurHash3_x86_32, seed = tag, over the zero-padded payload. Signed. */
export function hashKeyPayload(tag: number, payload: Uint8Array): number {
  return murmurBytes(tag, payload);
}

/** 32-bit id of a state: the same hash over its name, seed 0. Unsigned. */
export function stateIdOf(name: string): number {
  return murmurBytes(0, encoder.encode(name)) >>> 0;
}

/** Reads tag and payload at the cursor and advances it. */
export function decodeKey(bytes: Uint8Array, cursor: Cursor): Key {
  const tag = bytes[cursor.offset++];
  switch (tag) {
    case KeyTag.number: {
      const key = decodeNumber(take(bytes, cursor, 8));
      // No key is encoded so: it would be a row that nobody finds under the key it decodes to.
      if (Number.isNaN(key) || Object.is(key, -0)) throw cut(cursor.offset);
      return key;
    }
    case KeyTag.bigint:
      return decodeBigint(bytes, cursor);
    case KeyTag.string:
      try {
        return decoder.decode(unescape(bytes, cursor));
      } catch (cause) {
        if (cause instanceof CorruptionError) throw cause;
        throw new CorruptionError("a key is not UTF-8", "row key", cursor.offset, { cause });
      }
    case KeyTag.bytes:
      return unescape(bytes, cursor);
    case undefined:
      throw cut(cursor.offset);
    default:
      throw new UnsupportedFormatError("key", `tag ${tag}`, "tags 16, 32, 48, 64");
  }
}

/** Offset just past the key at `offset`, tag included, without decoding it. */
export function skipKey(bytes: Uint8Array, offset: number): number {
  const start = offset + 1;
  switch (bytes[offset]) {
    case KeyTag.number:
      return within(bytes, start + 8);
    case KeyTag.bigint: {
      const lead = bytes[start] ?? 0;
      return within(bytes, start + 1 + (lead < 128 ? 127 - lead : lead - 128));
    }
    case KeyTag.string:
    case KeyTag.bytes: {
      let zero = bytes.indexOf(0, start);
      while (zero >= 0 && bytes[zero + 1] === 0xff) zero = bytes.indexOf(0, zero + 2);
      if (zero < 0 || bytes[zero + 1] !== 1) throw cut(start);
      return zero + 2;
    }
    case undefined:
      throw cut(offset);
    default:
      throw new UnsupportedFormatError("key", `tag ${bytes[offset]}`, "tags 16, 32, 48, 64");
  }
}

function within(bytes: Uint8Array, end: number): number {
  if (end > bytes.length) throw cut(bytes.length);
  return end;
}

function encodeNumber(key: number): Uint8Array {
  if (Number.isNaN(key)) throw new InvalidArgumentError("a key cannot be NaN");
  const payload = new Uint8Array(8);
  scratch.setFloat64(0, key === 0 ? 0 : key);
  const flip = scratch.getInt32(0) < 0 ? -1 : 0;
  const high = scratch.getInt32(0) ^ (flip | 0x8000_0000);
  const low = scratch.getInt32(4) ^ flip;
  const view = new DataView(payload.buffer);
  view.setInt32(0, high);
  view.setInt32(4, low);
  return payload;
}

function decodeNumber(payload: Uint8Array): number {
  const view = new DataView(payload.buffer, payload.byteOffset, 8);
  const flip = view.getInt32(0) < 0 ? 0 : -1;
  scratch.setInt32(0, view.getInt32(0) ^ (flip | 0x8000_0000));
  scratch.setInt32(4, view.getInt32(4) ^ flip);
  return scratch.getFloat64(0);
}

function encodeBigint(key: bigint): Uint8Array {
  const magnitude = key < 0n ? -key : key;
  const digits = magnitude === 0n ? "" : magnitude.toString(16);
  const length = (digits.length + 1) >> 1;
  if (length > BIGINT_MAGNITUDE_BYTES_MAX) {
    throw new InvalidArgumentError(
      `a bigint key takes ${length} bytes; the limit is ${BIGINT_MAGNITUDE_BYTES_MAX}`,
    );
  }
  const payload = new Uint8Array(1 + length);
  const flip = key < 0n ? 0xff : 0;
  payload[0] = key < 0n ? 127 - length : 128 + length;
  const padded = digits.padStart(length * 2, "0");
  for (let at = 0; at < length; at++) {
    payload[1 + at] = Number.parseInt(padded.slice(at * 2, at * 2 + 2), 16) ^ flip;
  }
  return payload;
}

function decodeBigint(bytes: Uint8Array, cursor: Cursor): bigint {
  const lead = take(bytes, cursor, 1)[0]!;
  const isNegative = lead < 128;
  const length = isNegative ? 127 - lead : lead - 128;
  if (length > BIGINT_MAGNITUDE_BYTES_MAX || (isNegative && length === 0)) throw cut(cursor.offset);
  const digits = take(bytes, cursor, length);
  if (digits[0] === (isNegative ? 0xff : 0)) throw cut(cursor.offset); // As long as it must be.
  let magnitude = 0n;
  for (const byte of digits) {
    magnitude = (magnitude << 8n) | BigInt(isNegative ? byte ^ 0xff : byte);
  }
  return isNegative ? -magnitude : magnitude;
}

function escape(bytes: Uint8Array): Uint8Array {
  let zeros = 0;
  for (const byte of bytes) if (byte === 0) zeros++;
  const payload = new Uint8Array(bytes.length + zeros + 2);
  let at = 0;
  for (const byte of bytes) {
    payload[at++] = byte;
    if (byte === 0) payload[at++] = 0xff;
  }
  payload[at + 1] = 1;
  return payload;
}

function unescape(bytes: Uint8Array, cursor: Cursor): Uint8Array {
  const start = cursor.offset;
  const zero = bytes.indexOf(0, start);
  if (zero >= 0 && bytes[zero + 1] === 1) {
    cursor.offset = zero + 2;
    return new Uint8Array(bytes.subarray(start, zero)); // A Buffer's slice would be a view.
  }
  return unescapeZeros(bytes, cursor);
}

function unescapeZeros(bytes: Uint8Array, cursor: Cursor): Uint8Array {
  const out: number[] = [];
  for (;;) {
    const byte = take(bytes, cursor, 1)[0]!;
    if (byte !== 0) {
      out.push(byte);
      continue;
    }
    const mark = take(bytes, cursor, 1)[0]!;
    if (mark === 1) return Uint8Array.from(out);
    if (mark !== 0xff) throw cut(cursor.offset);
    out.push(0);
  }
}

function take(bytes: Uint8Array, cursor: Cursor, length: number): Uint8Array {
  const start = cursor.offset;
  if (start + length > bytes.length) throw cut(start);
  cursor.offset = start + length;
  return bytes.subarray(start, start + length);
}

function cut(offset: number): CorruptionError {
  return new CorruptionError("a key is cut or malformed", "row key", offset);
}

function describe(value: unknown): string {
  return value === null ? "null" : typeof value;
}
