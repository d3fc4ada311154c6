import type { Serializer } from "../api/serializer.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { MapState } from "../api/state.ts";
import { InvalidArgumentError } from "../errors.ts";
import { RowKind } from "../format/row-value.ts";
import { copyBytes } from "../memory/copy-bytes.ts";
import { EntryBatch } from "./entry-batch.ts";
import { EntryCodec } from "./entry-codec.ts";
import { MapIterator } from "./map-iterator.ts";
import { MapRowsOfState } from "./map-rows.ts";
import { BufferedState, type StateHost, checkValueBytes } from "./state-core.ts";

export class BufferedMapState<K, V> extends BufferedState implements MapState<K, V> {
  private readonly _codec: EntryCodec<K, V>;
  private readonly _rows: MapRowsOfState;
  private readonly _batch: EntryBatch = new EntryBatch();

  constructor(host: StateHost, schema: StateSchema, key: Serializer<K>, value: Serializer<V>) {
    super(host, schema);
    this._codec = new EntryCodec(host, schema.name, key, value);
    this._rows = new MapRowsOfState(host.buffer, this.address, this.name);
  }

  get(key: K): V | undefined {
    this._encodeKey(key);
    const { keySink } = this.host;
    if (!this._rows.find(keySink.data, keySink.length)) return undefined;
    return this._codec.readValue(this._rows.entry);
  }

  contains(key: K): boolean {
    this._encodeKey(key);
    const { keySink } = this.host;
    return this._rows.find(keySink.data, keySink.length);
  }

  put(key: K, value: V): void {
    this.address.root(); // Refuses before anything is serialized.
    this._encodeValue(value, "use remove()");
    this._encodeKey(key);
    const { keySink, sink } = this.host;
    checkValueBytes(this.name, sink.length + keySink.length + 16);
    this._rows.put(keySink.data, keySink.length, sink.data, sink.length);
  }

  putAll(entries: Iterable<readonly [K, V]>): void {
    if (typeof entries !== "object" || entries === null || !(Symbol.iterator in entries)) {
      throw new InvalidArgumentError(`map state "${this.name}" takes an iterable of [key, value]`);
    }
    const gathered = [...entries];
    for (const entry of gathered) {
      if (Array.isArray(entry) && entry.length === 2) continue;
      throw new InvalidArgumentError(`map state "${this.name}" takes entries [key, value]`);
    }
    this.address.root(); // Refuses before anything is serialized.
    // All are tried before the first is put: a value that cannot be held changes nothing.
    const batch = this._batch;
    batch.reset();
    for (const [key, value] of gathered) {
      this._encodeValue(value, "leave it out");
      this._encodeKey(key);
      const { keySink, sink } = this.host;
      checkValueBytes(this.name, sink.length + keySink.length + 16);
      batch.add(keySink.data, keySink.length, sink.data, sink.length);
    }
    if (gathered.length === 0 || this._putPacked(batch)) return;
    for (const [key, value] of gathered) this.put(key, value);
  }

  /** Puts the batch into a map that is one row, before and after; false, with nothing changed, if it is not. */
  private _putPacked(batch: EntryBatch): boolean {
    if (!batch.isWhole) return false;
    const { buffer } = this;
    const row = this.address.root();
    const reference = buffer.lookup(row);
    const isAbsent = reference === 0;
    if (!isAbsent && buffer.header(reference) !== RowKind.mapPacked) return false;
    const start = isAbsent ? 0 : buffer.valueOffset(reference);
    const before = isAbsent ? 0 : buffer.valueBytes(reference);
    const bytes = batch.putInto(buffer.u8, start, start + before);
    if (bytes < 0) return false;
    this._rows.version++;
    const spare = bytes > before ? bytes >> 1 : 0;
    const made = buffer.reserve(row, RowKind.mapPacked, bytes, bytes + spare, isAbsent);
    copyBytes(batch.row, 0, bytes, buffer.u8, buffer.valueOffset(made));
    return true;
  }

  remove(key: K): void {
    this._encodeKey(key);
    this._rows.remove(this.host.keySink.data, this.host.keySink.length);
  }

  isEmpty(): boolean {
    return this._rows.isEmpty;
  }

  clear(): void {
    this._rows.clear();
  }

  entries(): IterableIterator<[K, V]> {
    return this._iterate((at) => [at.key(), at.value()]);
  }

  mapKeys(): IterableIterator<K> {
    return this._iterate((at) => at.key());
  }

  values(): IterableIterator<V> {
    return this._iterate((at) => at.value());
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries();
  }

  private _iterate<R>(pick: (at: MapIterator<K, V, R>) => R): IterableIterator<R> {
    this.address.root(); // Refuses without a current key.
    return new MapIterator(this.host, this.address, this._rows, this._codec, pick);
  }

  private _encodeValue(value: V, remedy: string): void {
    this.refuseUndefined(value, remedy);
    this._codec.writeValue(value);
  }

  private _encodeKey(key: K): void {
    this.refuseUndefined(key, "a map key is a value");
    this._codec.writeKey(key);
  }
}
