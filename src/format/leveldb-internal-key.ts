// LevelDB's internal keys (db/dbformat.h): user key, then u64 little-endian `sequence << 8 | type`.
// The trailer exceeds 2^53, so it is handled as two 32-bit halves.
import { assert } from "../common/assert.ts";

export const INTERNAL_KEY_TRAILER_BYTES = 8;

/** Type of an entry, in the lowest byte of the trailer. */
export const EntryType = { deletion: 0, value: 1 } as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

export function encodeInternalKey(
  userKey: Uint8Array,
  sequence: number,
  type: EntryType,
): Uint8Array {
  assert(Number.isSafeInteger(sequence) && sequence >= 0, "a sequence is a safe integer");
  const key = new Uint8Array(userKey.length + INTERNAL_KEY_TRAILER_BYTES);
  const view = new DataView(key.buffer);
  key.set(userKey);
  view.setUint32(userKey.length, ((sequence % 0x100_0000) * 256 + type) >>> 0, true);
  view.setUint32(userKey.length + 4, Math.floor(sequence / 0x100_0000), true);
  return key;
}

export function userKeyOf(internalKey: Uint8Array): Uint8Array {
  return internalKey.subarray(0, internalKey.length - INTERNAL_KEY_TRAILER_BYTES);
}

export function entryTypeOf(internalKey: Uint8Array): number {
  return internalKey[internalKey.length - INTERNAL_KEY_TRAILER_BYTES]!;
}

/** Above 2^53 the result is not exact, but still above 2^53. */
export function sequenceOf(internalKey: Uint8Array): number {
  const { low, high } = trailerOf(internalKey);
  return high * 0x100_0000 + (low >>> 8);
}

/** User keys ascending as bytes; of one user key the newest first. */
export function compareInternalKeys(left: Uint8Array, right: Uint8Array): number {
  const order = Buffer.compare(userKeyOf(left), userKeyOf(right));
  if (order !== 0) return order;
  const a = trailerOf(left);
  const b = trailerOf(right);
  return a.high === b.high ? b.low - a.low : b.high - a.high;
}

function trailerOf(internalKey: Uint8Array): { readonly low: number; readonly high: number } {
  const at = internalKey.length - INTERNAL_KEY_TRAILER_BYTES;
  const view = new DataView(internalKey.buffer, internalKey.byteOffset, internalKey.byteLength);
  return { low: view.getUint32(at, true), high: view.getUint32(at + 4, true) };
}
