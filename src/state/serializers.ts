// The built-in scalar serializers. Their bytes are specified in docs/formats/serializers.md.
import { deserialize as v8Deserialize, serialize as v8Serialize } from "node:v8";
import type { ByteSink, ByteSource, Serializer } from "../api/serializer.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";

const TWO_32 = 4_294_967_296;
const scratch = new DataView(new ArrayBuffer(8));

export function refuse(fingerprint: string, value: unknown): never {
  const text = typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
  throw new InvalidArgumentError(`${fingerprint} cannot hold ${text} (${typeof value})`);
}

/** Writes a word big-endian, so that the first bytes decide the order. One call, not four. */
function bigEndian(sink: ByteSink, word: number): void {
  sink.u32(swapBytes(word));
}

function fromBigEndian(source: ByteSource): number {
  return swapBytes(source.u32());
}

/** Bytes of a word in reverse, unsigned. */
function swapBytes(word: number): number {
  const reversed = (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
  return reversed >>> 0;
}

/** IEEE 754 double, 8 bytes. Takes every number, NaN included. */
export const f64: Serializer<number> = {
  fingerprint: "f64",
  fixedBytes: 8,
  serialize(value, sink) {
    if (typeof value !== "number") refuse("f64", value);
    sink.f64(value);
  },
  deserialize: (source) => source.f64(),
  ordered: {
    serialize(value, sink) {
      if (typeof value !== "number" || Number.isNaN(value)) refuse("f64 as a map key", value);
      scratch.setFloat64(0, value === 0 ? 0 : value);
      const flip = scratch.getInt32(0) < 0 ? -1 : 0;
      bigEndian(sink, scratch.getInt32(0) ^ (flip | 0x8000_0000));
      bigEndian(sink, scratch.getInt32(4) ^ flip);
    },
    deserialize(source) {
      const high = fromBigEndian(source) | 0;
      const flip = high < 0 ? 0 : -1;
      scratch.setInt32(0, high ^ (flip | 0x8000_0000));
      scratch.setInt32(4, (fromBigEndian(source) | 0) ^ flip);
      return scratch.getFloat64(0);
    },
  },
};

/** A safe integer as a number, 8 bytes, two's complement. */
export const i64: Serializer<number> = {
  fingerprint: "i64",
  fixedBytes: 8,
  serialize(value, sink) {
    if (!Number.isSafeInteger(value)) refuse("i64", value);
    sink.u32(value >>> 0);
    sink.u32(Math.floor(value / TWO_32) >>> 0);
  },
  deserialize(source) {
    const low = source.u32();
    return checkSafe((source.u32() | 0) * TWO_32 + low);
  },
  ordered: {
    serialize(value, sink) {
      if (!Number.isSafeInteger(value)) refuse("i64", value);
      bigEndian(sink, (Math.floor(value / TWO_32) ^ 0x8000_0000) >>> 0);
      bigEndian(sink, value >>> 0);
    },
    deserialize(source) {
      const high = (fromBigEndian(source) ^ 0x8000_0000) | 0;
      return checkSafe(high * TWO_32 + fromBigEndian(source));
    },
  },
};

export function checkSafe(value: number): number {
  if (Number.isSafeInteger(value)) return value;
  throw new CorruptionError("a stored i64 is not a safe integer", "value", 0);
}

/** An integer from 0 to 2^32-1, 4 bytes. */
export const u32: Serializer<number> = {
  fingerprint: "u32",
  fixedBytes: 4,
  serialize(value, sink) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) refuse("u32", value);
    sink.u32(value);
  },
  deserialize: (source) => source.u32(),
  ordered: {
    serialize(value, sink) {
      if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) refuse("u32", value);
      bigEndian(sink, value);
    },
    deserialize: fromBigEndian,
  },
};

const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;

function checkBigint(value: bigint): void {
  if (typeof value !== "bigint" || value < I64_MIN || value > I64_MAX) refuse("bigint64", value);
}

/** A bigint from -2^63 to 2^63-1, 8 bytes, two's complement. */
export const bigint64: Serializer<bigint> = {
  fingerprint: "bigint64",
  fixedBytes: 8,
  serialize(value, sink) {
    checkBigint(value);
    scratch.setBigInt64(0, value);
    sink.u32(scratch.getUint32(4));
    sink.u32(scratch.getUint32(0));
  },
  deserialize(source) {
    scratch.setUint32(4, source.u32());
    scratch.setUint32(0, source.u32());
    return scratch.getBigInt64(0);
  },
  ordered: {
    serialize(value, sink) {
      checkBigint(value);
      scratch.setBigInt64(0, value);
      bigEndian(sink, (scratch.getUint32(0) ^ 0x8000_0000) >>> 0);
      bigEndian(sink, scratch.getUint32(4));
    },
    deserialize(source) {
      scratch.setInt32(0, fromBigEndian(source) ^ 0x8000_0000);
      scratch.setUint32(4, fromBigEndian(source));
      return scratch.getBigInt64(0);
    },
  },
};

/** true or false, 1 byte. */
export const bool: Serializer<boolean> = {
  fingerprint: "bool",
  fixedBytes: 1,
  serialize(value, sink) {
    if (typeof value !== "boolean") refuse("bool", value);
    sink.u8(value ? 1 : 0);
  },
  deserialize(source) {
    const byte = source.u8();
    if (byte > 1) throw new CorruptionError("a stored bool is neither 0 nor 1", "value", 0);
    return byte === 1;
  },
};

/** A well-formed string as UTF-8. */
export const utf8: Serializer<string> = {
  fingerprint: "utf8",
  serialize(value, sink) {
    if (typeof value !== "string") refuse("utf8", value);
    sink.utf8(value);
  },
  deserialize: (source) => source.utf8(source.remaining),
};

/** Bytes as they are. */
export const bytes: Serializer<Uint8Array> = {
  fingerprint: "bytes",
  serialize(value, sink) {
    if (!(value instanceof Uint8Array)) refuse("bytes", value);
    sink.bytes(value);
  },
  deserialize: (source) => source.bytes(source.remaining),
};

/**
 * Whatever `JSON.stringify` can write, as UTF-8. Refuses undefined, functions, symbols and bigints.
 * What JSON drops or replaces inside objects (undefined members, NaN) is dropped here too.
 */
export function json<T>(): Serializer<T> {
  return jsonSerializer as Serializer<T>;
}

const jsonSerializer: Serializer<unknown> = {
  fingerprint: "json",
  serialize(value, sink) {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (cause) {
      throw new InvalidArgumentError(`json cannot hold this value: ${String(cause)}`, { cause });
    }
    if (text === undefined) refuse("json", value);
    sink.utf8(text);
  },
  deserialize(source) {
    const text = source.utf8(source.remaining);
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new CorruptionError("a stored value is not JSON", "value", 0, { cause });
    }
  },
};

/**
 * Node's structured clone. **For trusted data only**: the decoder is not hardened, its format
 * belongs to V8, and whoever can write the checkpoint storage controls what it builds.
 */
export function v8<T>(): Serializer<T> {
  return v8Serializer as Serializer<T>;
}

const v8Serializer: Serializer<unknown> = {
  fingerprint: "v8",
  serialize(value, sink) {
    if (value === undefined) refuse("v8", value);
    try {
      sink.bytes(v8Serialize(value));
    } catch (cause) {
      throw new InvalidArgumentError(`v8 cannot hold this value: ${String(cause)}`, { cause });
    }
  },
  deserialize(source) {
    try {
      return v8Deserialize(source.bytes(source.remaining)) as unknown;
    } catch (cause) {
      throw new CorruptionError("a stored value is not a structured clone", "value", 0, { cause });
    }
  },
};
