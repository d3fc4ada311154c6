// Writes rows to LevelDB in batches.
//   B1. At most one write is in flight, and it is always awaited: LevelDB reorders concurrent ones.
//       The next batch is built meanwhile.
//   B2. After a failed write nothing more is written: LevelDB's own error is sticky, and what it
//       holds is no longer a prefix of what it was given.
import type { DatabaseBatch } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { type Database, reusableBatch } from "./level-database.ts";

/** Enough to amortize a trip to the pool, few enough that a reader need not wait long for a turn. */
const BATCH_ROWS_MAX = 1000;
const BATCH_BYTES_MAX = 1_048_576;

/** One for a database: its two batches are filled in turn, again and again. */
export class BatchWriter {
  #batch: DatabaseBatch;
  #other: DatabaseBatch;
  #batchRows = 0;
  #batchBytes = 0;
  #inFlight: Promise<void> | undefined = undefined;
  #hasFailed = false;
  /** Since `begin`. */
  rows = 0;
  bytes = 0;
  deletes = 0;

  constructor(database: Database) {
    this.#batch = reusableBatch(database);
    this.#other = reusableBatch(database);
  }

  /** Begins to count anew. */
  begin(): void {
    assert(this.#inFlight === undefined && this.#batchRows === 0, "B1: a drain was not finished");
    assert(!this.#hasFailed, "B2: a write has failed before");
    this.rows = 0;
    this.bytes = 0;
    this.deletes = 0;
  }

  /** The batch is full: `submit` it. */
  get isFull(): boolean {
    return this.#batchRows >= BATCH_ROWS_MAX || this.#batchBytes >= BATCH_BYTES_MAX;
  }

  /** LevelDB copies key and row at once. */
  put(key: Uint8Array, row: Uint8Array): void {
    this.#batch.put(key, row);
    this.#count(key.length + row.length);
  }

  delete(key: Uint8Array): void {
    this.#batch.delete(key);
    this.#count(key.length);
    this.deletes++;
  }

  /** Begins to write what was collected, once the write before it is done. */
  async submit(): Promise<void> {
    await this.settle();
    if (this.#batchRows === 0) return;
    this.#inFlight = this.#batch.write();
    [this.#batch, this.#other] = [this.#other, this.#batch];
    this.#batchRows = 0;
    this.#batchBytes = 0;
  }

  /** Waits for the write in flight; rejects with its failure. */
  async settle(): Promise<void> {
    const inFlight = this.#inFlight;
    if (inFlight === undefined) return;
    this.#inFlight = undefined;
    try {
      await inFlight; //# fail point: drain.batch-written
    } catch (cause) {
      this.#hasFailed = true;
      throw cause;
    } finally {
      this.#other.clear();
    }
  }

  /** Drops what was collected and waits for the write in flight, whatever its outcome. */
  async abandon(): Promise<void> {
    await Promise.allSettled([this.settle()]);
    this.#batch.clear();
    this.#batchRows = 0;
    this.#batchBytes = 0;
  }

  #count(bytes: number): void {
    this.#batchRows++;
    this.#batchBytes += bytes;
    this.rows++;
    this.bytes += bytes;
  }
}
