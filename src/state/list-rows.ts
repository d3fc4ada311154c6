// The rows of a list in the write buffer: packed, chunked, or blind appends over what is unknown.
// Formats: format/list-row.ts. The record of a root row holds the payload, without the header byte.
//   S1. A blind append exists only while the root row is not in the buffer. Whoever brings the root
//       in merges the appends that are not drained, and supersedes them.
//   S2. An append is merged only if its change number is above the root's appliedChange: a drain may
//       have applied it while nobody told this thread.
//   S3. Of the chunks that a directory claims one in so many is looked for before all are removed.
import { assert } from "../common/assert.ts";
import { CorruptionError } from "../errors.ts";
import {
  LIST_CHUNK_BYTES,
  LIST_PACKED_BYTES_MAX,
  type ListAppend,
  type ListRows,
  decodeListDirectory,
  listRows,
  mergeAppends,
  newChunksMax,
} from "../format/list-row.ts";
import { RecordFlag, SLACK_BYTES_MAX, recordUnits } from "../format/row-record.ts";
import { RowKind } from "../format/row-value.ts";
import { growAppend, reserveAppend } from "../memory/blind-append.ts";
import { copyBytes } from "../memory/copy-bytes.ts";
import { APPEND_PENDING, type WriteBuffer } from "../memory/write-buffer.ts";
import type { RowAddress } from "./row-address.ts";

/** As a constant of this module: V8 reads an import anew at each access, and folds this. */
const PACKED: number = RowKind.listPacked;
/** appliedChange of a root row, and the references of an append record: both 8 bytes. */
const ROOT_HEADER_BYTES = 8;
/** A blind append larger than this is merged with the list instead of growing further. */
const BLIND_BYTES_MAX = 16_384;
/** A list with more than this many chunks that are on average a quarter full is packed anew when read. */
const SPARSE_CHUNKS_MIN = 8;
/** S3: 4 MiB of list for each. */
const PROBED_CHUNKS = 1024;

export class ListRowsOfState {
  private readonly _buffer: WriteBuffer;
  private readonly _address: RowAddress;
  private readonly _name: string;
  private readonly _changeNumberBase: number;
  /** Where the run is that was sought last, in the arena. */
  offset = 0;
  bytes = 0;
  // Of the list that was opened last.
  private _root = 0;
  private _isPacked = false;
  private _elementBytes = 0;

  constructor(buffer: WriteBuffer, address: RowAddress, name: string, changeNumberBase: number) {
    this._buffer = buffer;
    this._address = address;
    this._name = name;
    this._changeNumberBase = changeNumberBase;
  }

  /** Appends encoded elements; reads nothing that is not in the buffer. */
  append(elements: Uint8Array, length: number): void {
    const buffer = this._buffer;
    const row = this._address.root();
    const reference = buffer.find(row);
    if (reference === 0) {
      this._appendToUnknown(elements, length);
      return;
    }
    const word1 = buffer.i32[(reference << 1) + 1]!;
    if ((word1 & RecordFlag.tombstone) !== 0) {
      this._store(elements, length, false);
    } else if ((word1 & RecordFlag.append) !== 0) {
      this._appendBlind(reference, elements, length);
    } else if (buffer.header(reference) === RowKind.listPacked) {
      this._appendPacked(reference, elements, length);
    } else {
      this._appendChunk(reference, elements, length);
    }
  }

  private _appendToUnknown(elements: Uint8Array, length: number): void {
    const buffer = this._buffer;
    if (buffer.cold === undefined || buffer.cold.isEmpty) {
      this._store(elements, length, true);
      return;
    }
    if (length > BLIND_BYTES_MAX || !buffer.takesBlindAppends) {
      this.load();
      this._appendLoaded(elements, length);
      return;
    }
    const row = this._address.root();
    const bytes = ROOT_HEADER_BYTES + length;
    const reference = reserveAppend(buffer, row, bytes, bytes);
    copyBytes(elements, 0, length, buffer.u8, buffer.valueOffset(reference) + ROOT_HEADER_BYTES);
  }

  /** Appends to a list whose root row, if it has one, is in the buffer. */
  private _appendLoaded(elements: Uint8Array, length: number): void {
    const reference = this._buffer.lookup(this._address.root());
    assert(reference !== APPEND_PENDING, "S1: the root was brought in");
    if (reference === 0) this._store(elements, length, true);
    else if (this._buffer.header(reference) === RowKind.listPacked) {
      this._appendPacked(reference, elements, length);
    } else this._appendChunk(reference, elements, length);
  }

  private _appendBlind(reference: number, elements: Uint8Array, length: number): void {
    const buffer = this._buffer;
    const row = this._address.root();
    const { ledger } = buffer;
    const generation = buffer.generationOf(reference);
    if (generation <= ledger.drained) {
      buffer.drop(row, reference);
      this._appendToUnknown(elements, length);
      return;
    }
    const isActive = generation === ledger.active;
    const before = isActive ? buffer.valueBytes(reference) : ROOT_HEADER_BYTES;
    const bytes = before + length;
    if (bytes > BLIND_BYTES_MAX) {
      this.load();
      this._appendLoaded(elements, length);
      return;
    }
    let target = reference;
    if (!isActive || !growAppend(buffer, row, reference, bytes)) {
      if (buffer.makeRoom(recordUnits(row.length, bytes * 2))) {
        this.append(elements, length); // The generation may have been sealed. Now there is room.
        return;
      }
      target = reserveAppend(buffer, row, bytes, bytes * 2);
      if (isActive) this._takeOver(reference, target, before);
    }
    copyBytes(elements, 0, length, buffer.u8, buffer.valueOffset(target) + before);
  }

  /** Moves references and elements of an append record to a larger one of the same generation. */
  private _takeOver(reference: number, target: number, bytes: number): void {
    const buffer = this._buffer;
    assert(buffer.generationOf(target) === buffer.generationOf(reference), "S1: a seal in between");
    const from = buffer.valueOffset(reference);
    buffer.u8.copyWithin(buffer.valueOffset(target), from, from + bytes);
    buffer.supersede(reference);
  }

  private _appendPacked(reference: number, elements: Uint8Array, length: number): void {
    const buffer = this._buffer;
    const before = buffer.valueBytes(reference);
    const bytes = before + length;
    if (bytes - ROOT_HEADER_BYTES > LIST_PACKED_BYTES_MAX) {
      const from = buffer.valueOffset(reference) + ROOT_HEADER_BYTES;
      const all = new Uint8Array(bytes - ROOT_HEADER_BYTES);
      all.set(buffer.u8.subarray(from, from + before - ROOT_HEADER_BYTES));
      all.set(elements.subarray(0, length), before - ROOT_HEADER_BYTES);
      this._store(all, all.length, false);
      return;
    }
    const row = this._address.root();
    const target = buffer.resize(row, RowKind.listPacked, bytes, bytes + (bytes >> 1));
    copyBytes(elements, 0, length, buffer.u8, buffer.valueOffset(target) + before);
  }

  private _appendChunk(reference: number, elements: Uint8Array, length: number): void {
    const buffer = this._buffer;
    const { chunkCount } = this._directory(reference);
    const row = this._address.node(chunkCount - 1);
    const last = buffer.find(row);
    const isHere = last !== 0 && (buffer.i32[(last << 1) + 1]! & RecordFlag.tombstone) === 0;
    const before = isHere ? buffer.valueBytes(last) : 0;
    if (isHere && before + length <= LIST_CHUNK_BYTES) {
      const bytes = before + length;
      const target = buffer.resize(row, RowKind.listChunk, bytes, bytes + (bytes >> 1));
      copyBytes(elements, 0, length, buffer.u8, buffer.valueOffset(target) + before);
      return;
    }
    this._write(mergeAppends(this._stored(reference), [this._asAppend(elements, length)]), false);
  }

  private _asAppend(elements: Uint8Array, length: number): ListAppend {
    return { changeNumber: Number.MAX_SAFE_INTEGER, elements: elements.subarray(0, length) };
  }

  /** Makes these elements the whole list. No older rows of it may remain unaccounted for. */
  private _store(elements: Uint8Array, length: number, isAbsent: boolean): void {
    if (length <= LIST_PACKED_BYTES_MAX) this._storePacked(elements, length, isAbsent);
    else this._write(listRows(this._changeNumber, elements.subarray(0, length)), isAbsent);
  }

  /** As `listRows` would encode it, straight into the record. */
  private _storePacked(elements: Uint8Array, length: number, isAbsent: boolean): void {
    const buffer = this._buffer;
    const change = this._changeNumber;
    const bytes = ROOT_HEADER_BYTES + length;
    const capacity = bytes + Math.min(SLACK_BYTES_MAX >> 1, bytes >> 1);
    const row = this._address.root();
    const reference = buffer.reserve(row, RowKind.listPacked, bytes, capacity, isAbsent);
    const offset = buffer.valueOffset(reference);
    this._stampChange(offset, change);
    copyBytes(elements, 0, length, buffer.u8, offset + ROOT_HEADER_BYTES);
  }

  /** Into the root's header: up to which change appends are part of the row. */
  private _stampChange(offset: number, change: number): void {
    const { i32 } = this._buffer;
    i32[offset >>> 2] = change;
    i32[(offset >>> 2) + 1] = Math.floor(change / 4_294_967_296);
  }

  private get _changeNumber(): number {
    return this._changeNumberBase + this._buffer.ledger.active;
  }

  private _write(rows: ListRows, isAbsent: boolean): void {
    const buffer = this._buffer;
    const change = this._changeNumber;
    for (const { index, row } of rows.chunks) {
      this._put(this._address.node(index), row, isAbsent);
    }
    const reference = this._put(this._address.root(), rows.root, isAbsent);
    this._stampChange(buffer.valueOffset(reference), change);
  }

  private _put(
    row: Parameters<WriteBuffer["reserve"]>[0],
    stored: Uint8Array,
    isAbsent: boolean,
  ): number {
    const buffer = this._buffer;
    const bytes = stored.length - 1;
    const capacity = bytes + Math.min(SLACK_BYTES_MAX >> 1, bytes >> 1);
    const reference = buffer.reserve(row, stored[0]!, bytes, capacity, isAbsent);
    buffer.u8.set(stored.subarray(1), buffer.valueOffset(reference));
    return reference;
  }

  /** Brings the root row in, appends merged (S1). Reference, or 0 if the list is empty. */
  load(): number {
    const buffer = this._buffer;
    const row = this._address.root();
    const reference = buffer.lookup(row);
    if (reference !== APPEND_PENDING) return reference;
    const appends = this._takePending();
    const root = buffer.cold?.getSync(row.view());
    this._write(mergeAppends(root, appends), false);
    return buffer.find(this._address.root());
  }

  /** Takes the undrained blind appends of the list out of the buffer, oldest first. */
  private _takePending(): ListAppend[] {
    const buffer = this._buffer;
    const row = this._address.root();
    const appends: ListAppend[] = [];
    let reference = buffer.find(row);
    let generation = buffer.generationOf(reference);
    buffer.index.removeAt(buffer.index.slotOf(row.hash, reference));
    while (reference !== 0 && generation > buffer.ledger.drained) {
      const from = buffer.valueOffset(reference);
      const older = buffer.i32[from >>> 2]!;
      const olderGeneration = buffer.i32[(from >>> 2) + 1]!;
      appends.push({
        changeNumber: this._changeNumberBase + generation,
        elements: buffer.u8.slice(from + ROOT_HEADER_BYTES, from + buffer.valueBytes(reference)),
      });
      buffer.supersede(reference);
      reference = older;
      generation = olderGeneration;
    }
    return appends.reverse();
  }

  /**
   * Brings the root row in. How many runs of elements the list has: `seek` each, in order, and read it
   * before the next; then `close`.
   */
  open(): number {
    const reference = this.load();
    this._root = reference;
    this._elementBytes = 0;
    if (reference === 0) return 0;
    this._isPacked = this._buffer.header(reference) === PACKED;
    return this._isPacked ? 1 : this._directory(reference).chunkCount;
  }

  /** Sets `offset` and `bytes`, the arena range of a run. */
  seek(run: number): void {
    const buffer = this._buffer;
    if (this._isPacked) {
      this.offset = buffer.valueOffset(this._root) + ROOT_HEADER_BYTES;
      this.bytes = buffer.valueBytes(this._root) - ROOT_HEADER_BYTES;
      if (this.bytes < 0) throw new CorruptionError(`the list "${this._name}" is cut`, "row", 0);
      return;
    }
    const chunk = buffer.lookup(this._address.node(run));
    if (chunk <= 0 || buffer.header(chunk) !== RowKind.listChunk) throw this._missingChunk(run);
    this.offset = buffer.valueOffset(chunk);
    this.bytes = buffer.valueBytes(chunk);
    this._elementBytes += this.bytes;
  }

  /** After all of so many runs were read. */
  close(runs: number): void {
    const isSparse = this._elementBytes < (runs * LIST_CHUNK_BYTES) / 4;
    if (runs > SPARSE_CHUNKS_MIN && isSparse) this._pack();
  }

  /** Rewrites a list that many small appends have scattered. */
  private _pack(): void {
    const parts: Uint8Array[] = [];
    const buffer = this._buffer;
    const { chunkCount } = this._directory(buffer.lookup(this._address.root()));
    for (let index = 0; index < chunkCount; index++) {
      const chunk = buffer.lookup(this._address.node(index));
      const from = buffer.valueOffset(chunk);
      parts.push(buffer.u8.slice(from, from + buffer.valueBytes(chunk)));
    }
    const all = Buffer.concat(parts);
    this.replace(all, all.length);
  }

  /** Makes these elements the whole list; none clears it. */
  replace(elements: Uint8Array, length: number): void {
    const chunksBefore = this._chunkBound();
    if (length === 0) {
      this._removeChunks(0, chunksBefore);
      this._buffer.remove(this._address.root(), false);
      return;
    }
    if (length <= LIST_PACKED_BYTES_MAX) {
      this._storePacked(elements, length, false);
      if (chunksBefore > 0) this._removeChunks(0, chunksBefore);
      return;
    }
    const rows = listRows(this._changeNumber, elements.subarray(0, length));
    this._write(rows, false);
    this._removeChunks(rows.chunks.length, chunksBefore);
  }

  /** Number of chunks the list may have below, drains under way included. Forgets pending appends. */
  private _chunkBound(): number {
    const buffer = this._buffer;
    const row = this._address.root();
    const reference = buffer.lookup(row);
    if (reference === 0) return 0;
    if (reference !== APPEND_PENDING) {
      return buffer.header(reference) === RowKind.listDirectory
        ? this._requireChunks(this._directory(reference).chunkCount)
        : 0;
    }
    const pending = this._takePending();
    const root = buffer.cold?.getSync(row.view());
    const added = pending.reduce((sum, append) => sum + append.elements.length, 0);
    if (root !== undefined && root[0] === RowKind.listDirectory) {
      const { chunkCount } = decodeListDirectory(root);
      return this._requireChunks(chunkCount) + pending.length + newChunksMax(added);
    }
    const total = added + (root?.length ?? 0);
    return total > LIST_PACKED_BYTES_MAX ? pending.length + newChunksMax(total) : 0;
  }

  /** A forged count would be a loop of hours: S3. Returns it. */
  private _requireChunks(count: number): number {
    for (let index = PROBED_CHUNKS - 1; index < count; index += PROBED_CHUNKS) {
      if (this._buffer.lookup(this._address.node(index)) <= 0) throw this._missingChunk(index);
    }
    return count;
  }

  private _missingChunk(index: number): CorruptionError {
    return new CorruptionError(`chunk ${index} of list "${this._name}" is missing`, "row", 0);
  }

  private _removeChunks(first: number, end: number): void {
    for (let index = first; index < end; index++) {
      this._buffer.remove(this._address.node(index), false);
    }
  }

  private _directory(reference: number): ReturnType<typeof decodeListDirectory> {
    return decodeListDirectory(this._stored(reference));
  }

  /** The stored form of a record: header byte and value, copied. */
  private _stored(reference: number): Uint8Array {
    const buffer = this._buffer;
    const bytes = buffer.valueBytes(reference);
    const from = buffer.valueOffset(reference);
    const stored = new Uint8Array(1 + bytes);
    stored[0] = buffer.header(reference);
    stored.set(buffer.u8.subarray(from, from + bytes), 1);
    return stored;
  }
}
