// One SharedArrayBuffer for the whole budget of a host, cut into chunks. The system commits its
// pages when they are first touched, so reserving it costs nothing.
//   C1. A chunk belongs to at most one member. Chunk 0 is never handed out: reference 0 means none.
//   C2. Chunks in use, indexes and what else is reserved stay within the capacity, the memory budget.
import { assert } from "../common/assert.ts";
import { CHUNK_BYTES } from "../format/row-record.ts";

/** Largest arena: typed arrays of bytes end at 4 GiB on Node 20. */
export const ARENA_BYTES_MAX: number = 4 * 1024 * 1024 * 1024 - CHUNK_BYTES;

export class ChunkPool {
  readonly arena: SharedArrayBuffer;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly chunkCount: number;
  private readonly _capacityBytes: number;
  private readonly _free: number[] = [];
  private readonly _isTaken: Uint8Array;
  private _taken = 0;
  private _indexBytes = 0;
  /** Memory that others of the same budget use: memtables, caches, buffers in flight. */
  private _reservedBytes = 0;
  private _members = 0;

  /** `capacityBytes` covers chunks, indexes and reservations together. */
  constructor(capacityBytes: number) {
    this._capacityBytes = capacityBytes;
    this.chunkCount = Math.floor(Math.min(capacityBytes, ARENA_BYTES_MAX) / CHUNK_BYTES) + 1;
    this.arena = new SharedArrayBuffer(this.chunkCount * CHUNK_BYTES);
    this.i32 = new Int32Array(this.arena);
    this.f64 = new Float64Array(this.arena);
    this.u8 = new Uint8Array(this.arena);
    this.view = new DataView(this.arena);
    this._isTaken = new Uint8Array(this.chunkCount);
    // Popped from the end: low chunks first, and the most recently released (touched) one before that.
    for (let chunk = this.chunkCount - 1; chunk >= 1; chunk--) this._free.push(chunk);
  }

  get capacityBytes(): number {
    return this._capacityBytes;
  }

  join(): void {
    this._members++;
  }

  leave(): void {
    this._members--;
  }

  /** Chunks a member may own: an even share of what the indexes leave. */
  get quota(): number {
    const chunkBytes = Math.max(0, this._capacityBytes - this._indexBytes - this._reservedBytes);
    return Math.floor(chunkBytes / CHUNK_BYTES / Math.max(1, this._members));
  }

  /** A chunk, or 0 if none is free. */
  take(): number {
    if (this.usedBytes + CHUNK_BYTES > this._capacityBytes) return 0; // C2
    const chunk = this._free.pop() ?? 0;
    if (chunk === 0) return 0;
    assert(this._isTaken[chunk] === 0, "C1: a chunk was handed out twice");
    this._isTaken[chunk] = 1;
    this._taken++;
    return chunk;
  }

  release(chunk: number): void {
    assert(this._isTaken[chunk] === 1, "C1: a chunk was released twice");
    this._isTaken[chunk] = 0;
    this._taken--;
    this._free.push(chunk);
  }

  /** Accounts for a change of an index's size. */
  changeIndexBytes(delta: number): void {
    this._indexBytes += delta;
  }

  /** Accounts for memory outside the arena that the budget covers too. */
  changeReservedBytes(delta: number): void {
    this._reservedBytes += delta;
  }

  get indexBytes(): number {
    return this._indexBytes;
  }

  get usedBytes(): number {
    return this._taken * CHUNK_BYTES + this._indexBytes + this._reservedBytes;
  }
}
