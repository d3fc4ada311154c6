// Entries that are put into a packed map at once: encoded first, then put into a copy of the row, so
// that a value that cannot be held changes nothing, and the row is looked for once.
//   E1. It holds no more than a packed map can: what does not fit is put entry by entry instead.
import { assert } from "../common/assert.ts";
import {
  EntryPosition,
  MAP_PACKED_BYTES_MAX,
  entryBytes,
  findEntry,
  readEntry,
  writeEntry,
} from "../format/map-row.ts";
import { copyBytes } from "../memory/copy-bytes.ts";

// An import as a constant of this module: V8 reads an import anew at each access, and folds this.
const findIn = findEntry;

export class EntryBatch {
  /** The entries of the row and the batch, after `putInto`. */
  readonly row: Uint8Array = new Uint8Array(MAP_PACKED_BYTES_MAX);
  private readonly _rowView: DataView = new DataView(this.row.buffer);
  private readonly _data: Uint8Array = new Uint8Array(MAP_PACKED_BYTES_MAX);
  private _length = 0;
  private _isWhole = true;
  private readonly _own: EntryPosition = new EntryPosition();
  private readonly _found: EntryPosition = new EntryPosition();

  reset(): void {
    this._length = 0;
    this._isWhole = true;
  }

  add(key: Uint8Array, keyBytes: number, value: Uint8Array, valueBytes: number): void {
    const end = this._length + entryBytes(keyBytes, valueBytes);
    this._isWhole &&= end <= MAP_PACKED_BYTES_MAX;
    if (!this._isWhole) return;
    writeEntry(this._data, this._length, key, keyBytes, value, valueBytes);
    this._length = end;
  }

  /** Whether all that was added is in it (E1). */
  get isWhole(): boolean {
    return this._isWhole;
  }

  /** Puts its entries among those of `from` in [start, end). Their bytes, or -1 if they are too many for a row. */
  putInto(from: Uint8Array, start: number, end: number): number {
    assert(this._isWhole, "E1: an entry of a batch is missing");
    const { _data: data, _own: own } = this;
    if (end - start > MAP_PACKED_BYTES_MAX) return -1;
    copyBytes(from, start, end, this.row, 0);
    let bytes = end - start;
    for (let at = 0; at < this._length && bytes >= 0; at = own.end) {
      readEntry(data, at, this._length, own);
      bytes = this._putOne(bytes);
    }
    return bytes;
  }

  /** Puts the entry that `_own` is at into the row, which has so many bytes. As many as it then has, or -1. */
  private _putOne(bytes: number): number {
    const { _data: data, _own: own, _found: found, row } = this;
    const isFound = findIn(row, this._rowView, 0, bytes, data, own.keyOffset, own.keyBytes, found);
    if (isFound && found.valueBytes === own.valueBytes) {
      copyBytes(data, own.valueOffset, own.end, row, found.valueOffset);
      return bytes;
    }
    const replaced = isFound ? found.end : found.offset;
    const after = bytes - (replaced - found.offset) + (own.end - own.offset);
    if (after > MAP_PACKED_BYTES_MAX) return -1;
    row.copyWithin(found.offset + own.end - own.offset, replaced, bytes);
    copyBytes(data, own.offset, own.end, row, found.offset);
    return after;
  }
}
