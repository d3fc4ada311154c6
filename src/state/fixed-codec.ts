// Built-in serializers of a fixed length, by one call for each value: lists have many elements, and a
// call for every four bytes costs more than the rest.
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

const i64Codec: FixedCodec = {
  bytes: 8,
  read(view, offset) {
    return checkSafe(view.getInt32(offset + 4, true) * TWO_32 + view.getUint32(offset, true));
  },
  write(view, offset, value) {
    if (typeof value !== "number" || !Number.isSafeInteger(value)) refuse("i64", value);
    view.setInt32(offset, value | 0, true);
    view.setInt32(offset + 4, Math.floor(value / TWO_32), true);
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
