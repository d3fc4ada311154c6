// Built-in serializers of a fixed length, by one call for each value: collections have many elements, and
// a call for every four bytes costs more than the rest.
//   X1. The bytes are those of the serializer, and so is what is refused.
import type { Serializer } from "../api/serializer.ts";
import { checkSafe, f64, i64, refuse, u32 } from "./serializers.ts";

const TWO_32 = 4_294_967_296;

export interface FixedCodec {
  readonly bytes: number;
  read(view: DataView, offset: number): number;
  /** Throws InvalidArgumentError, having written nothing, if the serializer would. */
  write(view: DataView, offset: number, value: unknown): void;
}

const f64Codec: FixedCodec = {
  bytes: 8,
  read: (view, offset) => view.getFloat64(offset, true),
  write(view, offset, value) {
    if (typeof value !== "number") refuse("f64", value);
    view.setFloat64(offset, value, true);
  },
};

// Most integers have 32 bits. V8 keeps those as integers, in arrays too: a list is read twice as fast.

function integerOf(low: number, high: number): number {
  return high === low >> 31 ? low : checkSafe(high * TWO_32 + (low >>> 0));
}

function highWordOf(value: number): number {
  return (value | 0) === value ? value >> 31 : Math.floor(value / TWO_32);
}

const i64Codec: FixedCodec = {
  bytes: 8,
  read(view, offset) {
    return integerOf(view.getInt32(offset, true), view.getInt32(offset + 4, true));
  },
  write(view, offset, value) {
    if (typeof value !== "number" || !Number.isSafeInteger(value)) refuse("i64", value);
    view.setInt32(offset, value | 0, true);
    view.setInt32(offset + 4, highWordOf(value), true);
  },
};

const u32Codec: FixedCodec = {
  bytes: 4,
  read: (view, offset) => view.getUint32(offset, true),
  write(view, offset, value) {
    if (typeof value !== "number" || value >>> 0 !== value) refuse("u32", value);
    view.setUint32(offset, value, true);
  },
};

/** Undefined for what has no fixed length, or is the user's own. */
export function fixedCodecOf(serializer: Serializer<unknown>): FixedCodec | undefined {
  if (serializer === f64) return f64Codec;
  if (serializer === i64) return i64Codec;
  return serializer === u32 ? u32Codec : undefined;
}

// As a map's keys are written, in the order of which it iterates.

const number = new DataView(new ArrayBuffer(8));

const orderedF64: FixedCodec = {
  bytes: 8,
  read(view, offset) {
    const high = view.getInt32(offset);
    const flip = ~high >> 31;
    number.setInt32(0, high ^ (flip | 0x8000_0000));
    number.setInt32(4, view.getInt32(offset + 4) ^ flip);
    return number.getFloat64(0);
  },
  write(view, offset, value) {
    if (typeof value !== "number" || Number.isNaN(value)) refuse("f64 as a map key", value);
    view.setFloat64(offset, value + 0); // -0 + 0 is 0.
    const high = view.getInt32(offset);
    const flip = high >> 31;
    view.setInt32(offset, high ^ (flip | 0x8000_0000));
    view.setInt32(offset + 4, view.getInt32(offset + 4) ^ flip);
  },
};

const orderedI64: FixedCodec = {
  bytes: 8,
  read(view, offset) {
    return integerOf(view.getInt32(offset + 4), view.getInt32(offset) ^ 0x8000_0000);
  },
  write(view, offset, value) {
    if (typeof value !== "number" || !Number.isSafeInteger(value)) refuse("i64", value);
    view.setInt32(offset, highWordOf(value) ^ 0x8000_0000);
    view.setInt32(offset + 4, value | 0);
  },
};

const orderedU32: FixedCodec = {
  bytes: 4,
  read: (view, offset) => view.getUint32(offset),
  write(view, offset, value) {
    if (typeof value !== "number" || value >>> 0 !== value) refuse("u32", value);
    view.setUint32(offset, value);
  },
};

/** Undefined for what has no fixed length, or is the user's own. */
export function orderedCodecOf(serializer: Serializer<unknown>): FixedCodec | undefined {
  if (serializer === f64) return orderedF64;
  if (serializer === i64) return orderedI64;
  return serializer === u32 ? orderedU32 : undefined;
}
