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
  readonly chunkCount: number;
  readonly #capacityBytes: number;
  readonly #free: number[] = [];
  readonly #isTaken: Uint8Array;
  #taken = 0;
  #indexBytes = 0;
  /** Memory that others of the same budget use: memtables, caches, buffers in flight. */
  #reservedBytes = 0;
  #members = 0;

  /** `capacityBytes` covers chunks, indexes and reservations together. */
  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes;
    this.chunkCount = Math.floor(Math.min(capacityBytes, ARENA_BYTES_MAX) / CHUNK_BYTES) + 1;
    this.arena = new SharedArrayBuffer(this.chunkCount * CHUNK_BYTES);
    this.i32 = new Int32Array(this.arena);
    this.f64 = new Float64Array(this.arena);
    this.u8 = new Uint8Array(this.arena);
    this.#isTaken = new Uint8Array(this.chunkCount);
    // Popped from the end: low chunks first, and the most recently released (touched) one before that.
    for (let chunk = this.chunkCount - 1; chunk >= 1; chunk--) this.#free.push(chunk);
  }

  get capacityBytes(): number {
    return this.#capacityBytes;
  }

  join(): void {
    this.#members++;
  }

  leave(): void {
    this.#members--;
  }

  /** Chunks a member may own: an even share of what the indexes leave. */
  get quota(): number {
    const chunkBytes = Math.max(0, this.#capacityBytes - this.#indexBytes - this.#reservedBytes);
    return Math.floor(chunkBytes / CHUNK_BYTES / Math.max(1, this.#members));
  }

  /** A chunk, or 0 if none is free. */
  take(): number {
    if (this.usedBytes + CHUNK_BYTES > this.#capacityBytes) return 0; // C2
    const chunk = this.#free.pop() ?? 0;
    if (chunk === 0) return 0;
    assert(this.#isTaken[chunk] === 0, "C1: a chunk was handed out twice");
    this.#isTaken[chunk] = 1;
    this.#taken++;
    return chunk;
  }

  release(chunk: number): void {
    assert(this.#isTaken[chunk] === 1, "C1: a chunk was released twice");
    this.#isTaken[chunk] = 0;
    this.#taken--;
    this.#free.push(chunk);
  }

  /** Accounts for a change of an index's size. */
  changeIndexBytes(delta: number): void {
    this.#indexBytes += delta;
  }

  /** Accounts for memory outside the arena that the budget covers too. */
  changeReservedBytes(delta: number): void {
    this.#reservedBytes += delta;
  }

  get indexBytes(): number {
    return this.#indexBytes;
  }

  get usedBytes(): number {
    return this.#taken * CHUNK_BYTES + this.#indexBytes + this.#reservedBytes;
  }
}
