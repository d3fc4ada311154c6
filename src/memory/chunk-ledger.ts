// Which chunks a write buffer owns, to which generation each belongs, and how much of it is live.
//   G1. Generations only grow; chunks enter in the order of their generations.
//   G2. A chunk is given back only when nobody reads it any more: its generation is drained, or it
//       is not handed to a drain or dump, and all of its records are superseded, moved or evicted;
//       and likewise for the append to a changelog.
//   G3. While a changelog is written nothing is marked drained before it is appended: what is clean
//       for the cold tier would otherwise be missing from the log.
import { assert } from "../common/assert.ts";
import { CHUNK_UNITS, CHUNK_UNITS_SHIFT } from "../format/row-record.ts";
import type { ChunkPool } from "./chunk-pool.ts";

/** A chunk as drain and dump threads need to know it. */
export interface ChunkExtent {
  readonly chunk: number;
  readonly generation: number;
  readonly usedUnits: number;
}

export class ChunkLedger {
  readonly pool: ChunkPool;
  /** Generation of each owned chunk; 0 for chunks of others. Hot: read on every write. */
  readonly generation: Int32Array;
  /** Units in records that are not superseded. */
  readonly liveUnits: Int32Array;
  readonly usedUnits: Int32Array;
  /** Takes writes. */
  active = 1;
  /** Everything up to it is in the cold tier. */
  drained = 0;
  /** Everything up to it is handed to a drain or dump, or drained. */
  requested = 0;
  /** Everything up to it is in the changelog; kept up to date only while there is one. */
  appended = 0;
  /** Everything up to it is handed to an append, or appended. */
  appendRequested = 0;
  /** Where the next record goes, in units, and where its chunk ends. */
  position = 0;
  end = 0;
  ownedCount = 0;
  undrainedCount = 0;
  private _activeChunk = 0;
  private _activeCount = 0;
  // Chunks in the order they were opened. An entry counts while #place of its chunk points at it.
  private _queue: number[] = [];
  private _queueBase = 0;
  private _queueHead = 0;
  private readonly _place: Float64Array;

  constructor(pool: ChunkPool) {
    this.pool = pool;
    this.generation = new Int32Array(pool.chunkCount);
    this.liveUnits = new Int32Array(pool.chunkCount);
    this.usedUnits = new Int32Array(pool.chunkCount);
    this._place = new Float64Array(pool.chunkCount).fill(-1);
  }

  get activeChunk(): number {
    return this._activeChunk;
  }

  /** Chunks of the active generation. */
  get activeCount(): number {
    return this._activeCount;
  }

  /** Makes `chunk`, just taken from the pool, the one that takes records. */
  open(chunk: number): void {
    this._closeActive();
    this.generation[chunk] = this.active;
    this.liveUnits[chunk] = 0;
    this.usedUnits[chunk] = 0;
    this._place[chunk] = this._queueBase + this._queue.length;
    this._queue.push(chunk);
    this._activeChunk = chunk;
    this._activeCount++;
    this.ownedCount++;
    this.undrainedCount++;
    this.position = chunk << CHUNK_UNITS_SHIFT;
    this.end = this.position + CHUNK_UNITS;
  }

  /** Ends the active generation and begins the next. Returns the ended one: the boundary. */
  seal(): number {
    this._closeActive();
    this._activeCount = 0;
    assert(this.active < 0x7fff_fff0, "G1: generations are exhausted");
    return this.active++;
  }

  private _closeActive(): void {
    if (this._activeChunk === 0) return;
    const chunk = this._activeChunk;
    this.usedUnits[chunk] = this.position - (chunk << CHUNK_UNITS_SHIFT);
    this._activeChunk = 0;
    this.position = 0;
    this.end = 0;
    if (this.liveUnits[chunk] === 0) this.releaseIfUnread(chunk);
  }

  /** Whether a drain, dump or append may still read the chunk. */
  isRead(chunk: number): boolean {
    const generation = this.generation[chunk]!;
    if (generation > this.drained && generation <= this.requested) return true;
    return generation > this.appended && generation <= this.appendRequested;
  }

  /** Everything up to `boundary` is in the changelog, or need not be. */
  markAppended(boundary: number): void {
    assert(boundary >= this.appended, "G3: appends went backwards");
    this.appended = boundary;
    this.appendRequested = Math.max(this.appendRequested, boundary);
    this._releaseSuperseded();
  }

  /** No append reads any more: what was handed to one and failed is given up. */
  endAppends(): void {
    this.appended = this.appendRequested;
    this._releaseSuperseded();
  }

  private _releaseSuperseded(): void {
    for (const chunk of this.owned()) {
      if (this.liveUnits[chunk] === 0 && chunk !== this._activeChunk) this.releaseIfUnread(chunk);
    }
  }

  /** Counts `units` of a record as superseded, and gives the chunk back if that was the last. */
  discount(chunk: number, units: number): void {
    const live = this.liveUnits[chunk]! - units;
    assert(live >= 0, "G2: more units superseded than live");
    this.liveUnits[chunk] = live;
    if (live === 0 && chunk !== this._activeChunk) this.releaseIfUnread(chunk);
  }

  /** Gives a chunk without live records back, unless somebody may read it (G2). */
  releaseIfUnread(chunk: number): void {
    if (!this.isRead(chunk)) this.release(chunk);
  }

  release(chunk: number): void {
    assert(chunk !== this._activeChunk && !this.isRead(chunk), "G2: the chunk is in use");
    if (this.generation[chunk]! > this.drained) this.undrainedCount--;
    if (this.generation[chunk] === this.active) this._activeCount--;
    this.generation[chunk] = 0;
    this._place[chunk] = -1;
    this.ownedCount--;
    this.pool.release(chunk);
  }

  /** The chunk that has been clean for longest, or 0. */
  oldestClean(): number {
    for (; this._queueHead < this._queue.length; this._queueHead++) {
      const chunk = this._queue[this._queueHead]!;
      if (this._place[chunk] !== this._queueBase + this._queueHead) continue;
      return this.generation[chunk]! <= this.drained ? chunk : 0;
    }
    return 0;
  }

  /** Generation of the oldest clean chunk, or 0. */
  oldestCleanGeneration(): number {
    const chunk = this.oldestClean();
    return chunk === 0 ? 0 : this.generation[chunk]!;
  }

  /** Owned chunks with a generation in (after, upTo], oldest first. */
  extents(after: number, upTo: number): ChunkExtent[] {
    this._compactQueue();
    const extents: ChunkExtent[] = [];
    for (const chunk of this.owned()) {
      const generation = this.generation[chunk]!;
      if (generation <= after || generation > upTo) continue;
      const usedUnits =
        chunk === this._activeChunk
          ? this.position - (chunk << CHUNK_UNITS_SHIFT)
          : this.usedUnits[chunk]!;
      extents.push({ chunk, generation, usedUnits });
    }
    return extents;
  }

  /** Owned chunks, oldest first. */
  owned(): number[] {
    return this._queue.filter(
      (chunk, index) => index >= this._queueHead && this._place[chunk] === this._queueBase + index,
    );
  }

  /** Everything up to `boundary` is in the cold tier. Gives back chunks without live records. */
  markDrained(boundary: number): void {
    assert(boundary <= this.requested, "G2: drained more than was requested");
    if (boundary <= this.drained) return;
    this.drained = boundary;
    let undrained = 0;
    for (const chunk of this.owned()) {
      if (this.generation[chunk]! > boundary) undrained++;
    }
    this.undrainedCount = undrained;
    this._releaseSuperseded();
  }

  /**
   * Takes every chunk back into the active generation. Only without a cold tier, and only while no
   * dump reads: records become writable in place again.
   */
  adoptAll(): void {
    this.requested = 0;
    let count = 0;
    for (const chunk of this.owned()) {
      this.generation[chunk] = this.active;
      count++;
    }
    this._activeCount = count;
    for (const chunk of this.owned()) {
      if (this.liveUnits[chunk] === 0 && chunk !== this._activeChunk) this.release(chunk);
    }
  }

  private _compactQueue(): void {
    if (this._queueHead < 1024) return;
    this._queue = this._queue.slice(this._queueHead);
    this._queueBase += this._queueHead;
    this._queueHead = 0;
  }

  /** Gives everything back. */
  releaseAll(): void {
    for (const chunk of this.owned()) this.pool.release(chunk);
    this._queue = [];
  }
}
