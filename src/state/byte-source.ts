import { isUtf8 } from "node:buffer";
import type { ByteSource, Serializer } from "../api/serializer.ts";
import { readVarint } from "../common/varint.ts";
import { CorruptionError } from "../errors.ts";

/** Reads serialized values from the arena or any other bytes. One per backend, moved about. */
export class ScratchSource implements ByteSource {
  offset = 0;
  end = 0;
  private _data: Uint8Array;
  private _buffer: Buffer;
  private _view: DataView;

  constructor(data: Uint8Array) {
    this._data = data;
    this._buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    this._view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  /** Points at a value of the bytes this source was made for. */
  seek(offset: number, length: number): this {
    this.offset = offset;
    this.end = offset + length;
    return this;
  }

  private _take(length: number): number {
    const start = this.offset;
    if (length < 0 || start + length > this.end) {
      throw new CorruptionError("a serialized value is cut", "value", start);
    }
    this.offset = start + length;
    return start;
  }

  u8(): number {
    return this._data[this._take(1)]!;
  }

  u32(): number {
    return this._view.getUint32(this._take(4), true);
  }

  f64(): number {
    return this._view.getFloat64(this._take(8), true);
  }

  varint(): number {
    return readVarint(this._data, this, this.end);
  }

  bytes(length: number): Uint8Array {
    const start = this._take(length);
    return new Uint8Array(this._data.subarray(start, start + length));
  }

  utf8(length: number): string {
    const start = this._take(length);
    const text = this._buffer.toString("utf8", start, start + length);
    // Where bytes are not UTF-8 this sign stands, which may also be a character of the text.
    if (text.includes("\ufffd")) this._requireUtf8(start, start + length);
    return text;
  }

  private _requireUtf8(start: number, end: number): void {
    if (isUtf8(this._data.slice(start, end))) return;
    throw new CorruptionError("a text is not UTF-8", "value", start);
  }

  value<T>(serializer: Serializer<T>): T {
    const length = serializer.fixedBytes ?? this.varint();
    const start = this._take(length);
    const end = this.end;
    this.seek(start, length);
    const value = serializer.deserialize(this);
    if (this.offset > start + length) {
      throw new CorruptionError("a serialized value is longer than it says", "value", start);
    }
    this.offset = start + length;
    this.end = end;
    return value;
  }
}
