// Goes through the entries of a map, in the order of its keys.
//   I1. It remembers its key and goes on after it, so that changes made meanwhile neither repeat nor skip
//       an entry; where nothing changed it goes on from the entry itself.
//   I2. It ends with its current key and namespace: once another is set it is refused.
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { compareKeyAt, readEntry } from "../format/map-row.ts";
import { copyBytes } from "../memory/copy-bytes.ts";
import type { EntryCodec } from "./entry-codec.ts";
import type { MapRowsOfState } from "./map-rows.ts";
import type { RowAddress } from "./row-address.ts";
import type { StateHost } from "./state-core.ts";

export class MapIterator<K, V, R> implements IterableIterator<R> {
  private readonly _host: StateHost;
  private readonly _address: RowAddress;
  private readonly _rows: MapRowsOfState;
  private readonly _codec: EntryCodec<K, V>;
  private readonly _pick: (at: MapIterator<K, V, R>) => R;
  private readonly _token: readonly number[];
  /** The key that it is at; a negative length before the first. */
  private _last: Uint8Array = new Uint8Array(32);
  private _lastBytes = -1;
  private _version = -1;
  private _epoch = 0;
  private _nextOffset = 0;
  private _end = 0;
  private _isDone = false;

  constructor(
    host: StateHost,
    address: RowAddress,
    rows: MapRowsOfState,
    codec: EntryCodec<K, V>,
    pick: (at: MapIterator<K, V, R>) => R,
  ) {
    this._host = host;
    this._address = address;
    this._rows = rows;
    this._codec = codec;
    this._pick = pick;
    this._token = address.token();
  }

  /** Of the entry that it is at. */
  key(): K {
    return this._codec.readKey(this._rows.entry);
  }

  value(): V {
    return this._codec.readValue(this._rows.entry);
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<R> {
    if (this._isDone || !this._advance()) {
      this._isDone = true;
      return { done: true, value: undefined };
    }
    return { done: false, value: this._pick(this) };
  }

  return(): IteratorResult<R> {
    this._isDone = true;
    return { done: true, value: undefined };
  }

  private _advance(): boolean {
    const rows = this._rows;
    const { buffer } = this._host;
    const epoch = buffer.epochs.value;
    if (this._epoch !== epoch && !this._address.isSame(this._token)) this._refuse(); // I2
    const isUnchanged = this._version === rows.version && this._epoch === epoch;
    if (isUnchanged && this._nextOffset < this._end) {
      readEntry(buffer.u8, this._nextOffset, this._end, rows.entry);
    } else if (isUnchanged && rows.isPacked) return false;
    else if (!rows.seekAfter(this._last, this._lastBytes)) return false;
    else this._end = rows.leafEnd;
    this._nextOffset = rows.entry.end;
    this._version = rows.version;
    this._epoch = buffer.epochs.value;
    this._ascend(rows.entry.keyOffset, rows.entry.keyBytes);
    return true;
  }

  /** I1. Going on after a key that is not above the one before would come back to it, for ever. */
  private _ascend(offset: number, length: number): void {
    const { u8 } = this._host.buffer;
    const before = this._lastBytes;
    if (before >= 0 && compareKeyAt(u8, offset, length, this._last, before) <= 0) {
      const what = `keys of a map of state "${this._address.name}" do not ascend`;
      throw new CorruptionError(what, "row", 0);
    }
    if (length > this._last.length) this._last = new Uint8Array(length * 2);
    copyBytes(u8, offset, offset + length, this._last, 0);
    this._lastBytes = length;
  }

  private _refuse(): never {
    this._host.context.throwIfRefused();
    throw new InvalidArgumentError(
      `an iterator of map state "${this._address.name}" outlived its current key or namespace`,
    );
  }
}
