import type { Serializer } from "../api/serializer.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Key, ListState } from "../api/state.ts";
import { readVarint, varintBytes, writeVarint } from "../common/varint.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { wrongLength } from "./byte-sink.ts";
import { ListRowsOfState } from "./list-rows.ts";
import { BufferedState, type StateHost, checkValueBytes } from "./state-core.ts";

export class BufferedListState<T> extends BufferedState implements ListState<T> {
  private readonly _serializer: Serializer<T>;
  private readonly _rows: ListRowsOfState;
  private readonly _cursor = { offset: 0 };

  constructor(host: StateHost, schema: StateSchema, serializer: Serializer<T>) {
    super(host, schema);
    this._serializer = serializer;
    this._rows = new ListRowsOfState(host.buffer, this.address, this.name, host.changeNumberBase);
  }

  get(): T[] {
    const elements: T[] = [];
    const { source } = this.host;
    const { u8 } = this.buffer;
    const cursor = this._cursor;
    this._rows.visit((offset, bytes) => {
      const end = offset + bytes;
      cursor.offset = offset;
      while (cursor.offset < end) {
        const length = readVarint(u8, cursor, end);
        const at = cursor.offset;
        if (length > end - at) {
          throw new CorruptionError(`an element of list "${this.name}" is cut`, "row", 0);
        }
        elements.push(this._serializer.deserialize(source.seek(at, length)));
        cursor.offset = at + length;
      }
    });
    return elements;
  }

  isEmpty(): boolean {
    return this._rows.load() === 0;
  }

  add(element: T): void {
    this.address.root(); // Refuses before anything is serialized.
    const { sink } = this.host;
    sink.reset();
    this._encode(element);
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
    this._rows.replace(this.host.sink.written());
  }

  clear(): void {
    this._rows.replace(new Uint8Array(0));
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
    for (const element of gathered) this._encode(element);
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
