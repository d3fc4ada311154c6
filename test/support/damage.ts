// Damage for decoders: they must answer with a typed error, and with nothing else.
import assert from "node:assert/strict";
import { CorruptionError, UnsupportedFormatError } from "../../src/errors.ts";

/** Every copy with one bit flipped goes to `decode`, which must throw a typed error. */
export function refuseEveryFlippedBit(
  clean: Uint8Array,
  decode: (dirty: Uint8Array) => unknown,
): void {
  for (let bit = 0; bit < clean.length * 8; bit++) {
    const dirty = Uint8Array.from(clean);
    dirty[Math.floor(bit / 8)]! ^= 1 << (bit % 8);
    refuse(() => decode(dirty), `bit ${bit}`);
  }
}

/** Every prefix, and the bytes with one more at the end, must be refused too. */
export function refuseEveryOtherLength(
  clean: Uint8Array,
  decode: (dirty: Uint8Array) => unknown,
): void {
  for (let length = 0; length < clean.length; length++) {
    refuse(() => decode(clean.subarray(0, length)), `length ${length}`);
  }
  const longer = new Uint8Array(clean.length + 1);
  longer.set(clean);
  refuse(() => decode(longer), "one byte more");
}

function refuse(decode: () => unknown, context: string): void {
  let thrown: unknown;
  try {
    decode();
  } catch (error) {
    thrown = error;
  }
  const isTyped = thrown instanceof CorruptionError || thrown instanceof UnsupportedFormatError;
  const what = thrown instanceof Error ? thrown.message : "accepted";
  assert.ok(isTyped, `${context}: ${what}`);
}
