import type { Serializer } from "../api/serializer.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Key, ListState } from "../api/state.ts";
import { readVarint, varintBytes, writeVarint } from "../common/varint.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { wrongLength } from "./byte-sink.ts";
import { type FixedCodec, fixedCodecOf } from "./fixed-codec.ts";
import { ListRowsOfState } from "./list-rows.ts";
import { BufferedState, type StateHost, checkValueBytes } from "./state-core.ts";

export class BufferedListState<T> extends BufferedState implements ListState<T> {
  private readonly _serializer: Serializer<T>;
  private readonly _codec: FixedCodec | undefined;
  private readonly _view: DataView;
  private readonly _rows: ListRowsOfState;
  private readonly _cursor = { offset: 0 };

  constructor(host: StateHost, schema: StateSchema, serializer: Serializer<T>) {
    super(host, schema);
    this._serializer = serializer;
    this._codec = fixedCodecOf(serializer as Serializer<unknown>);
    const { buffer, byteOffset, byteLength } = host.buffer.u8;
    this._view = new DataView(buffer, byteOffset, byteLength);
    this._rows = new ListRowsOfState(host.buffer, this.address, this.name, host.changeNumberBase);
  }

  get(): T[] {
    const rows = this._rows;
    const codec = this._codec;
    const runs = rows.open();
    let elements: T[] = [];
    for (let run = 0, count = 0; run < runs; run++) {
      rows.seek(run);
      const { offset, bytes } = rows;
      if (codec === undefined) {
        this._read(offset, offset + bytes, elements);
        continue;
      }
      // Most lists are one run, and for an array to grow costs as much as reading.
      // oxlint-disable-next-line unicorn/no-new-array -- Array.from calls a function for each element
      if (runs === 1) elements = new Array(Math.floor(bytes / (codec.bytes + 1)));
      count = this._readFixed(codec, offset, offset + bytes, elements as number[], count);
    }
    rows.close(runs);
    return elements;
  }

  private _read(offset: number, end: number, elements: T[]): void {
    const { source } = this.host;
    const { u8 } = this.buffer;
    const cursor = this._cursor;
    cursor.offset = offset;
    while (cursor.offset < end) {
      const length = readVarint(u8, cursor, end);
      const at = cursor.offset;
      if (length > end - at) throw this._cut();
      elements.push(this._serializer.deserialize(source.seek(at, length)));
      cursor.offset = at + length;
    }
  }

  /** Into `elements` from the index `first` on. The index after the last one. */
  private _readFixed(
    codec: FixedCodec,
    offset: number,
    end: number,
    elements: number[],
    first: number,
  ): number {
    const { u8 } = this.buffer;
    const view = this._view;
    const { bytes } = codec;
    let index = first;
    for (let at = offset; at < end; at += bytes + 1) {
      if (u8[at] !== bytes || at + bytes >= end) throw this._cut();
      elements[index++] = codec.read(view, at + 1);
    }
    return index;
  }

  private _cut(): CorruptionError {
    return new CorruptionError(`an element of list "${this.name}" is cut`, "row", 0);
  }

  isEmpty(): boolean {
    return this._rows.load() === 0;
  }

  add(element: T): void {
    const { sink } = this.host;
    if (this._codec === undefined) {
      this.address.root(); // Refuses before anything is serialized.
      sink.reset();
      this._encode(element);
    } else this._encodeOne(this._codec, element);
    this._rows.append(sink.data, sink.length);
  }

  addAll(elements: Iterable<T>): void {
    this.address.root();
    this._encodeAll(elements);
    const { sink } = this.host;
    if (sink.length > 0) this._rows.append(sink.data, sink.length);
  }

  update(elements: Iterable<T>): void {
    this.address.root();
    this._encodeAll(elements);
    const { sink } = this.host;
    this._rows.replace(sink.data, sink.length);
  }

  clear(): void {
    this._rows.replace(this.host.sink.data, 0);
  }

  mergeNamespaces(target: Key, sources: Iterable<Key>): void {
    const all: T[] = [];
    const collect = (): void => {
      for (const element of this.get()) all.push(element);
    };
    this.merge(target, sources, collect, () => this.addAll(all));
  }

  private _encodeAll(elements: Iterable<T>): void {
    if (typeof elements !== "object" || elements === null || !(Symbol.iterator in elements)) {
      throw new InvalidArgumentError(`list state "${this.name}" takes an iterable of elements`);
    }
    // Gathered first: the iterable may use states of its own, and with them the sink.
    const gathered = Array.isArray(elements) ? (elements as readonly T[]) : [...elements];
    this.host.sink.reset();
    if (this._codec === undefined) for (const element of gathered) this._encode(element);
    else this._encodeFixed(this._codec, gathered);
  }

  private _encodeOne(codec: FixedCodec, element: T): void {
    this.refuseUndefined(element, "leave it out");
    const { sink } = this.host;
    codec.write(sink.view, 1, element);
    sink.data[0] = codec.bytes;
    sink.length = 1 + codec.bytes;
  }

  private _encodeFixed(codec: FixedCodec, elements: readonly T[]): void {
    const { sink } = this.host;
    const { bytes } = codec;
    sink.room(elements.length * (bytes + 1));
    const { data, view } = sink;
    let at = 0;
    for (const element of elements) {
      this.refuseUndefined(element, "leave it out");
      codec.write(view, at + 1, element);
      data[at] = bytes;
      at += bytes + 1;
    }
    sink.length = at;
  }

  /** Appends the element's length and bytes to the sink. */
  private _encode(element: T): void {
    this.refuseUndefined(element, "leave it out");
    const { sink } = this.host;
    const start = sink.length;
    sink.u8(0);
    this._serializer.serialize(element, sink);
    const bytes = sink.length - start - 1;
    const { fixedBytes } = this._serializer;
    if (fixedBytes !== undefined && bytes !== fixedBytes) {
      throw wrongLength(this._serializer.fingerprint);
    }
    if (bytes < 128) {
      sink.data[start] = bytes;
      return;
    }
    checkValueBytes(this.name, bytes + 16);
    const prefix = varintBytes(bytes);
    for (let extra = 1; extra < prefix; extra++) sink.u8(0);
    sink.data.copyWithin(start + prefix, start + 1, start + 1 + bytes);
    writeVarint(sink.data, start, bytes);
  }
}
