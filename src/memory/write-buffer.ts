// All rows that are hot or not yet drained, off-heap, with one index over all generations. Hot: no allocation and no I/O on the path of a hit. Guarded by bench/state.
//   W1. Only records of the active generation change in place. Of others only word 3 changes.
//   W2. Superseding a record stamps it with the active generation: a drain or dump up to boundary p
//       takes exactly the records with generation <= p that are not superseded at or before p.
//   W3. `absentBelow` is set only on a record first made in its generation while nothing of its key
//       was in the buffer or the cold tier.
//   W4. A reference stays valid until `epochs` advances.
import { assert } from "../common/assert.ts";
import {
  CHUNK_UNITS,
  CHUNK_UNITS_SHIFT,
  KEY_LENGTH_MASK,
  RECORD_HEADER_BYTES,
  ROW_HEADER_SHIFT,
  RecordFlag,
  SLACK_BYTES_MAX,
  boundedUnits,
  recordUnits,
} from "../format/row-record.ts";
import { checkRowHeader } from "../format/row-value.ts";
import { type BufferOwner, type ColdTier, Counter } from "./buffer-contracts.ts";
import { ChunkLedger } from "./chunk-ledger.ts";
import { Epochs } from "./epochs.ts";
import type { ChunkPool } from "./chunk-pool.ts";
import { copyBytes } from "./copy-bytes.ts";
import { cleanSparse, recycleOldest } from "./reclaim.ts";
import { headroomOf } from "./room.ts";
import type { RowKey } from "./row-key.ts";
import { RowIndex, findRow } from "./row-index.ts";

/** What `lookup` returns for a key whose newest record is an undrained blind append. */
export const APPEND_PENDING = -1;

// Imports as constants of this module: V8 reads an import anew at each access, and folds these.
const findKey = findRow;
const UNITS_SHIFT: number = CHUNK_UNITS_SHIFT;

const SEAL_SHIFT = 3; // A generation of an eighth of the quota is sealed: neither tiny nor huge.

const GONE: number = RecordFlag.tombstone | RecordFlag.append;
const NOT_DIRTY: number = RecordFlag.clean | RecordFlag.tombstone;
const NOT_OVERWRITABLE: number = NOT_DIRTY | RecordFlag.append;

export class WriteBuffer {
  readonly pool: ChunkPool;
  readonly ledger: ChunkLedger;
  readonly index: RowIndex = new RowIndex();
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly cold: ColdTier | undefined;
  /** As `Counter`; longer, so that V8 keeps it off its heap and can take its address as known. */
  readonly counters: Float64Array = new Float64Array(16);
  /** Advances whenever references may have become invalid (W4). */
  readonly epochs: Epochs;
  /** Chunks evicted so far: what was read from the cold tier before is not to be inserted after. */
  recycledChunks = 0;
  /** True while a record could use up the headroom: attend to it before the next key is set. */
  isPressed = false;
  sealChunksMax: number = Infinity; // A generation is sealed at so many chunks, if not before.
  takesBlindAppends = true; // docs/decisions/0005
  /** Read hits in generations up to this one are copied forward: they are next to be recycled. */
  forwardUpTo = 0;
  private readonly _owner: BufferOwner;
  private _isStopped = false;

  constructor(
    pool: ChunkPool,
    cold: ColdTier | undefined,
    owner: BufferOwner,
    epochs: Epochs = new Epochs(),
  ) {
    this.pool = pool;
    this.epochs = epochs;
    this.ledger = new ChunkLedger(pool);
    this.i32 = pool.i32;
    this.f64 = pool.f64;
    this.u8 = pool.u8;
    this.view = pool.view;
    this.cold = cold;
    this._owner = owner;
    pool.join();
    pool.changeIndexBytes(this.index.bytes);
  }

  /** Newest record of the key whatever it is, tombstones included, or 0. */
  find(row: RowKey): number {
    return findKey(this.index, this.i32, row);
  }

  /** Whether a record's value may be overwritten where it is (W1). */
  isWritable(reference: number): boolean {
    return (
      this.ledger.generation[reference >>> UNITS_SHIFT] === this.ledger.active &&
      (this.i32[(reference << 1) + 1]! & NOT_OVERWRITABLE) === 0
    );
  }

  /** The key's row, read from the cold tier if need be; 0 if it has none; or APPEND_PENDING. */
  lookup(row: RowKey): number {
    const reference = this.find(row);
    if (reference === 0) return this._lookupCold(row);
    if ((this.i32[(reference << 1) + 1]! & GONE) !== 0) return this._lookupGone(row, reference);
    this.counters[Counter.hotReads]!++;
    if (this.ledger.generation[reference >>> UNITS_SHIFT]! <= this.forwardUpTo) {
      return this._forward(row, reference);
    }
    return reference;
  }

  private _lookupGone(row: RowKey, reference: number): number {
    if ((this.i32[(reference << 1) + 1]! & RecordFlag.tombstone) !== 0) {
      this.counters[Counter.hotReads]!++;
      return 0;
    }
    if (this.ledger.generation[reference >>> UNITS_SHIFT]! > this.ledger.drained) {
      return APPEND_PENDING;
    }
    this.drop(row, reference); // The append is part of the stored row: it says nothing by itself.
    return this._lookupCold(row);
  }

  private _lookupCold(row: RowKey): number {
    const { cold } = this;
    if (cold === undefined || cold.isEmpty) return 0;
    const stored = cold.getSync(row.view());
    if (stored === undefined) {
      this.counters[Counter.coldMisses]!++;
      return 0;
    }
    this.counters[Counter.coldReads]!++;
    return this.insertClean(row, stored);
  }

  /** Adds a row as it stands in the cold tier. The key must have no record. */
  insertClean(row: RowKey, stored: Uint8Array): number {
    const header = checkRowHeader(stored);
    const valueBytes = stored.length - 1;
    const units = recordUnits(row.length, valueBytes);
    this.makeRoom(units);
    const reference = this.append(row, header, valueBytes, units, RecordFlag.clean);
    this.insert(row.hash, reference);
    copyBytes(stored, 1, stored.length, this.u8, this.valueOffset(reference));
    return reference;
  }

  private _forward(row: RowKey, reference: number): number {
    const units = this.i32[(reference << 1) + 2]! >>> 16;
    const { ledger } = this;
    // Only into room that is open already: opening a chunk might recycle the very record.
    if (ledger.position + units > ledger.end) return reference;
    const target = ledger.position;
    ledger.position += units;
    this.u8.copyWithin(target * 8, reference * 8, (reference + units) * 8);
    ledger.liveUnits[target >>> UNITS_SHIFT]! += units;
    this.i32[(target << 1) + 1]! |= RecordFlag.clean; // Its generation is drained.
    this.i32[(target << 1) + 1]! &= ~RecordFlag.absentBelow;
    this.relink(row.hash, reference, target);
    this.counters[Counter.forwardedRows]!++;
    return target;
  }

  /**
   * A dirty record of the active generation for the key, with `valueBytes` of value to be written
   * by the caller at `valueOffset`. `capacityBytes` may ask for room to grow. `isAbsent` says that
   * the caller has just looked and found nothing.
   */
  reserve(
    row: RowKey,
    header: number,
    valueBytes: number,
    capacityBytes: number,
    isAbsent: boolean,
  ): number {
    let old = this.find(row);
    if (old !== 0 && this._fitsInPlace(row, old, header, valueBytes)) return old;
    const units = boundedUnits(row.length, valueBytes, capacityBytes);
    if (this.makeRoom(units)) old = this.find(row);
    const flags = this._flagsOver(old, isAbsent);
    const reference = this.append(row, header, valueBytes, units, flags);
    if (old === 0) this.insert(row.hash, reference);
    else this.relink(row.hash, old, reference);
    return reference;
  }

  /** As `reserve`, keeping the first bytes of the old value. The key must have a live record. */
  resize(row: RowKey, header: number, valueBytes: number, capacityBytes: number): number {
    let old = this.find(row);
    assert(old !== 0, "resize of a row that is not in the buffer");
    if (this._fitsInPlace(row, old, header, valueBytes)) return old;
    const units = boundedUnits(row.length, valueBytes, capacityBytes);
    if (this.makeRoom(units)) {
      old = this.lookup(row); // The clean original may have been recycled: then it is read again.
      if (this._fitsInPlace(row, old, header, valueBytes)) return old;
      this.makeRoom(units);
      old = this.find(row);
      assert(old !== 0, "resize lost its row");
    }
    const kept = Math.min(valueBytes, this.valueBytes(old));
    const flags = this._flagsOver(old, false);
    const reference = this.append(row, header, valueBytes, units, flags);
    const from = this.valueOffset(old);
    this.u8.copyWithin(this.valueOffset(reference), from, from + kept);
    this.relink(row.hash, old, reference);
    return reference;
  }

  /** Makes an active record with enough room hold a value of this length (W1). */
  private _fitsInPlace(
    row: RowKey,
    reference: number,
    header: number,
    valueBytes: number,
  ): boolean {
    const { i32 } = this;
    if (this.ledger.generation[reference >>> UNITS_SHIFT] !== this.ledger.active) return false;
    const record = reference << 1;
    const word1 = i32[record + 1]!;
    if ((word1 & RecordFlag.append) !== 0) return false;
    const units = i32[record + 2]! >>> 16;
    const capacity = units * 8 - RECORD_HEADER_BYTES - ((row.length + 7) & ~7);
    const slack = capacity - valueBytes;
    if (slack < 0 || slack > SLACK_BYTES_MAX) return false;
    i32[record + 1] =
      (word1 & ~NOT_DIRTY & ~(0xff << ROW_HEADER_SHIFT)) | (header << ROW_HEADER_SHIFT);
    i32[record + 2] = (units << 16) | slack;
    return true;
  }

  /** Removes the key's row; leaves a tombstone where something may be below. */
  remove(row: RowKey, isAbsent: boolean): void {
    const { cold, ledger, i32 } = this;
    const old = this.find(row);
    if (cold === undefined) return old === 0 ? undefined : this.drop(row, old);
    if (old === 0) {
      if (isAbsent || cold.isEmpty) return;
    } else {
      const word1 = i32[(old << 1) + 1]!;
      if ((word1 & RecordFlag.tombstone) !== 0) return;
      const isActive = this.generationOf(old) === ledger.active;
      if (isActive && (word1 & RecordFlag.absentBelow) !== 0) return this.drop(row, old);
    }
    const reference = this.reserve(row, 0, 0, 0, false);
    i32[(reference << 1) + 1]! |= RecordFlag.tombstone;
  }

  /** Takes a record out of the buffer as if its key had never been here. */
  drop(row: RowKey, reference: number): void {
    this.index.removeAt(this.index.slotOf(row.hash, reference));
    this.supersede(reference);
  }

  /** Stamps a record as superseded now (W2). It must no longer be in the index. */
  supersede(reference: number): void {
    const record = reference << 1;
    assert(this.i32[record + 3] === 0, "W2: a record was superseded twice");
    this.i32[record + 3] = this.ledger.active;
    this.epochs.advance();
    this.ledger.discount(reference >>> UNITS_SHIFT, this.i32[record + 2]! >>> 16);
  }

  valueOffset(reference: number): number {
    const keyBytes = this.i32[(reference << 1) + 1]! & KEY_LENGTH_MASK;
    return (reference + 2 + ((keyBytes + 7) >>> 3)) * 8;
  }

  valueBytes(reference: number): number {
    const record = reference << 1;
    const keyBytes = this.i32[record + 1]! & KEY_LENGTH_MASK;
    const word2 = this.i32[record + 2]!;
    return (word2 >>> 16) * 8 - RECORD_HEADER_BYTES - ((keyBytes + 7) & ~7) - (word2 & 0xffff);
  }

  header(reference: number): number {
    return (this.i32[(reference << 1) + 1]! >>> ROW_HEADER_SHIFT) & 0xff;
  }

  generationOf(reference: number): number {
    return this.ledger.generation[reference >>> UNITS_SHIFT]!;
  }

  /** Writes header and key of a new record into room that was made. */
  append(row: RowKey, header: number, valueBytes: number, units: number, flags: number): number {
    const { i32, ledger } = this;
    const reference = ledger.position;
    ledger.position = reference + units;
    assert(ledger.position <= ledger.end, "a record does not fit its chunk");
    ledger.liveUnits[reference >>> UNITS_SHIFT]! += units;
    const record = reference << 1;
    const keyBytes = row.length;
    const keyPadded = (keyBytes + 7) & ~7;
    i32[record] = row.hash;
    i32[record + 1] = keyBytes | (header << ROW_HEADER_SHIFT) | flags;
    i32[record + 2] = (units << 16) | (units * 8 - RECORD_HEADER_BYTES - keyPadded - valueBytes);
    i32[record + 3] = 0;
    const { words } = row;
    for (let word = 0; word < keyPadded >> 2; word++) i32[record + 4 + word] = words[word]!;
    return reference;
  }

  /** Adds a key that has no slot. */
  insert(hash: number, reference: number): void {
    if (this.index.isFull) {
      const before = this.index.bytes;
      this.index.grow();
      this.pool.changeIndexBytes(this.index.bytes - before);
      this.updatePressure();
    }
    this.index.insert(hash, reference);
  }

  /** Makes the index refer to `reference` instead of `old`, which is superseded. */
  relink(hash: number, old: number, reference: number): void {
    const at = this.index.slotOf(hash, old);
    this.index.slots[at + 1] = reference;
    this.supersede(old);
  }

  private _flagsOver(old: number, isAbsent: boolean): number {
    if (old === 0) {
      const isKnown = isAbsent || this.cold === undefined || this.cold.isEmpty;
      return isKnown ? RecordFlag.absentBelow : 0; // W3
    }
    if (this.ledger.generation[old >>> UNITS_SHIFT] !== this.ledger.active) return 0;
    return this.i32[(old << 1) + 1]! & RecordFlag.absentBelow;
  }

  /** Makes the open chunk hold `units` more. True if references may have become invalid (W4). */
  makeRoom(units: number): boolean {
    const { ledger } = this;
    if (ledger.position + units <= ledger.end) return false;
    assert(units <= CHUNK_UNITS, "a record is larger than a chunk");
    if (
      this.cold !== undefined &&
      ledger.activeCount >= Math.min(this.sealChunksMax, Math.max(1, this.pool.quota >> SEAL_SHIFT))
    ) {
      this._owner.generationSealed(this.seal());
    }
    let chunk = ledger.ownedCount < this.pool.quota ? this.pool.take() : 0;
    while (chunk === 0 && recycleOldest(this)) chunk = this.pool.take();
    if (chunk === 0) chunk = this.pool.take(); // Another member may have left some.
    if (chunk === 0) this._owner.exhausted();
    ledger.open(chunk);
    this.epochs.advance();
    this._afterOpening();
    return true;
  }

  /** Ends the active generation in O(1). Returns the boundary: everything before is up to it. */
  seal(): number {
    this.epochs.advance();
    return this.ledger.seal();
  }

  /** Everything up to `boundary` is in the cold tier. */
  markDrained(boundary: number): void {
    this.epochs.advance();
    this.ledger.markDrained(boundary);
    this.updatePressure();
  }

  private _afterOpening(): void {
    const { ledger } = this;
    if (this.cold !== undefined) {
      const isShort = ledger.ownedCount + 2 > this.pool.quota;
      this.forwardUpTo = isShort ? ledger.oldestCleanGeneration() : 0;
    } else if (ledger.ownedCount + this.headroomChunks > this.pool.quota) {
      cleanSparse(this);
    }
    this.updatePressure();
  }

  /** Chunks kept free for the record under way. */
  get headroomChunks(): number {
    return headroomOf(this.pool.quota, this.index);
  }

  /** From now on every key has to be attended to: the backend serves no more. */
  stopServing(): void {
    this._isStopped = true;
    this.isPressed = true;
  }

  updatePressure(): void {
    if (this._isStopped) return;
    const { ledger } = this;
    const bound = this.cold === undefined ? ledger.ownedCount : ledger.undrainedCount;
    this.isPressed = this.pool.quota - bound < this.headroomChunks;
  }

  close(): void {
    this.ledger.releaseAll();
    this.pool.changeIndexBytes(-this.index.bytes);
    this.pool.leave();
  }
}
