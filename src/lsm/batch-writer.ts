// Writes rows to LevelDB in batches.
//   B1. At most one write is in flight, and it is always awaited: LevelDB reorders concurrent ones.
//       The next batch is built meanwhile.
//   B2. After a failed write nothing more is written: LevelDB's own error is sticky, and what it
//       holds is no longer a prefix of what it was given.
import type { LevelDatabase } from "./level-database.ts";

/** Enough to amortize a trip to the pool, few enough that a reader need not wait long for a turn. */
const BATCH_ROWS_MAX = 1000;
const BATCH_BYTES_MAX = 1_048_576;

type ChainedBatch = ReturnType<LevelDatabase["batch"]>;

export class BatchWriter {
  readonly #database: LevelDatabase;
  #batch: ChainedBatch | undefined = undefined;
  #batchRows = 0;
  #batchBytes = 0;
  #inFlight: Promise<void> | undefined = undefined;
  rows = 0;
  bytes = 0;
  deletes = 0;

  constructor(database: LevelDatabase) {
    this.#database = database;
  }

  /** The batch is full: `submit` it. */
  get isFull(): boolean {
    return this.#batchRows >= BATCH_ROWS_MAX || this.#batchBytes >= BATCH_BYTES_MAX;
  }

  /** LevelDB copies key and row at once. */
  put(key: Uint8Array, row: Uint8Array): void {
    this.#open().put(key, row);
    this.#count(key.length + row.length);
  }

  delete(key: Uint8Array): void {
    this.#open().del(key);
    this.#count(key.length);
    this.deletes++;
  }

  /** Begins to write what was collected, once the write before it is done. */
  async submit(): Promise<void> {
    await this.settle();
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    this.#batchRows = 0;
    this.#batchBytes = 0;
    this.#inFlight = batch.write();
  }

  /** Waits for the write in flight; rejects with its failure. */
  async settle(): Promise<void> {
    const inFlight = this.#inFlight;
    this.#inFlight = undefined;
    await inFlight;
  }

  /** Drops what was collected and waits for the write in flight, whatever its outcome. */
  async abandon(): Promise<void> {
    const batch = this.#batch;
    this.#batch = undefined;
    await Promise.allSettled([this.settle(), batch?.close()]);
  }

  #open(): ChainedBatch {
    return (this.#batch ??= this.#database.batch());
  }

  #count(bytes: number): void {
    this.#batchRows++;
    this.#batchBytes += bytes;
    this.rows++;
    this.bytes += bytes;
  }
}
