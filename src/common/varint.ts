// Unsigned LEB128 of safe integers, at most 8 bytes.
import { CorruptionError } from "../errors.ts";

/** Bytes `writeVarint` takes. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Writes at `offset`; returns the offset just past it. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  while (rest >= 128) {
    target[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}

/** A position that readers advance. */
export interface Cursor {
  offset: number;
}

/** Reads at the cursor and advances it; CorruptionError past `end` or above 2^53-1. */
export function readVarint(source: Uint8Array, cursor: Cursor, end: number): number {
  let value = 0;
  let scale = 1;
  for (let count = 0; count < 8 && cursor.offset < end; count++) {
    const byte = source[cursor.offset++]!;
    value += (byte & 127) * scale;
    if (byte < 128) {
      if (value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    scale *= 128;
  }
  throw new CorruptionError("a variable-length integer is cut or too long", "row", cursor.offset);
}
