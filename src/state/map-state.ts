import type { Serializer } from "../api/serializer.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { MapState } from "../api/state.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { KEY_PAYLOAD_BYTES_MAX } from "../format/key-codec.ts";
import { readEntry } from "../format/map-row.ts";
import { wrongLength } from "./byte-sink.ts";
import { MapRowsOfState } from "./map-rows.ts";
import { BufferedState, type StateHost, checkValueBytes } from "./state-core.ts";

export class BufferedMapState<K, V> extends BufferedState implements MapState<K, V> {
  private readonly _key: Pick<Serializer<K>, "serialize" | "deserialize">;
  private readonly _value: Serializer<V>;
  private readonly _rows: MapRowsOfState;

  constructor(host: StateHost, schema: StateSchema, key: Serializer<K>, value: Serializer<V>) {
    super(host, schema);
    this._key = key.ordered ?? key;
    this._value = value;
    this._rows = new MapRowsOfState(host.buffer, this.address, this.name);
  }

  get(key: K): V | undefined {
    this._encodeKey(key);
    const { keySink, source } = this.host;
    if (!this._rows.find(keySink.data, keySink.length)) return undefined;
    const { entry } = this._rows;
    return this._value.deserialize(source.seek(entry.valueOffset, entry.valueBytes));
  }

  contains(key: K): boolean {
    this._encodeKey(key);
    const { keySink } = this.host;
    return this._rows.find(keySink.data, keySink.length);
  }

  put(key: K, value: V): void {
    this.refuseUndefined(value, "use remove()");
    this.address.root(); // Refuses before anything is serialized.
    const { keySink, sink } = this.host;
    sink.reset();
    this._value.serialize(value, sink);
    const { fixedBytes, fingerprint } = this._value;
    if (fixedBytes !== undefined && fixedBytes !== sink.length) throw wrongLength(fingerprint);
    this._encodeKey(key);
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
    // All are tried before the first is put: a value that cannot be held changes nothing.
    for (const [key, value] of gathered) {
      this.refuseUndefined(value, "leave it out");
      this._encodeKey(key);
      this.host.sink.reset();
      this._value.serialize(value, this.host.sink);
      checkValueBytes(this.name, this.host.sink.length + this.host.keySink.length + 16);
    }
    for (const [key, value] of gathered) this.put(key, value);
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
    return this._iterate((key, value) => [key(), value()]);
  }

  mapKeys(): IterableIterator<K> {
    return this._iterate((key) => key());
  }

  values(): IterableIterator<V> {
    return this._iterate((_key, value) => value());
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries();
  }

  private _encodeKey(key: K): void {
    this.refuseUndefined(key, "a map key is a value");
    const { keySink } = this.host;
    keySink.reset();
    this._key.serialize(key, keySink);
    if (keySink.length > KEY_PAYLOAD_BYTES_MAX) {
      throw new InvalidArgumentError(
        `a map key of state "${this.name}" takes ${keySink.length} bytes; the limit is ${KEY_PAYLOAD_BYTES_MAX}`,
      );
    }
  }

  /**
   * Remembers the last key and goes on after it, so that changes made meanwhile neither repeat nor
   * skip an entry; where nothing changed it goes on from the entry itself.
   */
  private _iterate<R>(pick: (key: () => K, value: () => V) => R): IterableIterator<R> {
    const { host, address, buffer } = this;
    const rows = this._rows;
    const { source } = host;
    const { entry } = rows;
    address.root(); // Refuses without a current key.
    const keyToken = address.token();
    let last: Uint8Array | undefined;
    let [version, epoch, nextOffset, end] = [-1, 0, 0, 0];
    let isDone = false;
    const key = (): K => this._key.deserialize(source.seek(entry.keyOffset, entry.keyBytes));
    const value = (): V =>
      this._value.deserialize(source.seek(entry.valueOffset, entry.valueBytes));
    const advance = (): boolean => {
      if (epoch !== buffer.epochs.value && !address.isSame(keyToken)) {
        host.context.throwIfRefused();
        throw new InvalidArgumentError(
          `an iterator of map state "${this.name}" outlived its current key or namespace`,
        );
      }
      const isUnchanged = version === rows.version && epoch === buffer.epochs.value;
      if (isUnchanged && nextOffset < end) readEntry(buffer.u8, nextOffset, end, entry);
      else if (!rows.seekAfter(last)) return false;
      else end = rows.leafEnd;
      nextOffset = entry.end;
      version = rows.version;
      epoch = buffer.epochs.value;
      const found = buffer.u8.slice(entry.keyOffset, entry.keyOffset + entry.keyBytes);
      if (last !== undefined && Buffer.compare(last, found) >= 0) {
        // Going on after such a key would come back to it, for ever.
        throw new CorruptionError(`keys of a map of state "${this.name}" do not ascend`, "row", 0);
      }
      last = found;
      return true;
    };
    return {
      [Symbol.iterator]() {
        return this;
      },
      next(): IteratorResult<R> {
        if (isDone || !advance()) {
          isDone = true;
          return { done: true, value: undefined };
        }
        return { done: false, value: pick(key, value) };
      },
      return(): IteratorResult<R> {
        isDone = true;
        return { done: true, value: undefined };
      },
    };
  }
}
