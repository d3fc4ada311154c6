import type { ByteSink, Serializer } from "../api/serializer.ts";
import { varintBytes, writeVarint } from "../common/varint.ts";
import { InvalidArgumentError } from "../errors.ts";

const encoder = new TextEncoder();
/** Strings up to this length are tried without the encoder, which costs 100 ns a call. */
const SHORT_STRING_LENGTH = 64;

/** The scratch area that serializers write to. One per backend; reset before each value. */
export class ScratchSink implements ByteSink {
  data: Uint8Array = new Uint8Array(4096);
  length = 0;
  /** Of `data`, until something is written. */
  view: DataView = new DataView(this.data.buffer);

  reset(): void {
    this.length = 0;
  }

  /** A view of what was written. Valid until the next reset. */
  written(): Uint8Array {
    return this.data.subarray(0, this.length);
  }

  /** Makes room for so many bytes more. */
  room(bytes: number): void {
    if (this.length + bytes <= this.data.length) return;
    const grown = new Uint8Array(Math.max(this.data.length * 2, this.length + bytes));
    grown.set(this.data);
    this.data = grown;
    this.view = new DataView(grown.buffer);
  }

  u8(value: number): void {
    this.room(1);
    this.data[this.length++] = value;
  }

  u32(value: number): void {
    this.room(4);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  f64(value: number): void {
    this.room(8);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new InvalidArgumentError(`a varint is a safe integer >= 0, got ${String(value)}`);
    }
    this.room(8);
    this.length = writeVarint(this.data, this.length, value);
  }

  bytes(value: Uint8Array): void {
    this.room(value.length);
    this.data.set(value, this.length);
    this.length += value.length;
  }

  utf8(value: string): void {
    const count = value.length;
    if (count <= SHORT_STRING_LENGTH) {
      this.room(count);
      let at = this.length;
      let index = 0;
      for (; index < count; index++) {
        const code = value.charCodeAt(index);
        if (code > 127) break;
        this.data[at++] = code;
      }
      if (index === count) {
        this.length = at;
        return;
      }
    }
    if (!value.isWellFormed()) throw new InvalidArgumentError("a string has a lone surrogate");
    this.room(count * 3);
    this.length += encoder.encodeInto(value, this.data.subarray(this.length)).written;
  }

  value<T>(serializer: Serializer<T>, value: T): void {
    const start = this.length;
    serializer.serialize(value, this);
    const bytes = this.length - start;
    if (serializer.fixedBytes !== undefined) {
      if (bytes !== serializer.fixedBytes) throw wrongLength(serializer.fingerprint);
      return;
    }
    const prefix = varintBytes(bytes);
    this.room(prefix);
    this.data.copyWithin(start + prefix, start, this.length);
    writeVarint(this.data, start, bytes);
    this.length += prefix;
  }
}

export function wrongLength(fingerprint: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `serializer "${fingerprint}" wrote another number of bytes than its fixedBytes`,
  );
}
