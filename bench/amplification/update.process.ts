// Child process: updates at a fixed rate on one store, and what they made the process write.
import { type RowStore, openRowStore } from "../stores/row-store.ts";
import type { StorePlace } from "../stores/stores.ts";
import { serve } from "../support/child.ts";
import { type DiskBytes, diskBytes, treeSize } from "../support/own-process.ts";
import { fillBytes, fold, zipfNumbers } from "../support/sequences.ts";

export interface UpdateAssignment extends StorePlace {
  readonly rows: number;
  readonly valueBytes: number;
  readonly updates: number;
  /** Infinity: as fast as the store takes them. */
  readonly updatesPerMs: number;
  /** Everything is made durable so often; with ours that is a checkpoint. 0: never. */
  readonly durableEveryMs: number;
}

export interface UpdateResult extends DiskBytes {
  readonly updates: number;
  /** Rows updated between two durable points, each counted once in each such interval. */
  readonly netUpdates: number;
  readonly ms: number;
  readonly treeBytes: number;
  readonly checksum: number;
}

const keyBytes = 16;

function keyOf(row: number): string {
  return String(row).padStart(keyBytes, "0");
}

class Updates {
  readonly #store: RowStore;
  readonly #assignment: UpdateAssignment;
  readonly #keys: Int32Array;
  readonly #version: Uint32Array;
  readonly #touched: Uint32Array;
  readonly #value: Uint8Array;
  #interval = 1;
  #netUpdates = 0;
  #durable: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(store: RowStore, assignment: UpdateAssignment) {
    this.#store = store;
    this.#assignment = assignment;
    this.#keys = zipfNumbers(assignment.rows, 4_000_000, 0.99, 56);
    this.#version = new Uint32Array(assignment.rows);
    this.#touched = new Uint32Array(assignment.rows);
    this.#value = new Uint8Array(assignment.valueBytes);
  }

  async load(): Promise<void> {
    for (let row = 0; row < this.#assignment.rows; row++) {
      this.#put(row);
      if (row % 100 === 0) await this.#store.settle();
    }
    await this.#store.makeDurable();
  }

  #put(row: number): void {
    // Stores may keep what they are given until they write.
    const value = this.#value.slice();
    fillBytes(value, row, this.#version[row]!++);
    this.#store.put(keyOf(row), value);
  }

  async run(directory: string): Promise<UpdateResult> {
    const { updatesPerMs, updates: total, durableEveryMs } = this.#assignment;
    const before = diskBytes();
    const start = performance.now();
    let dueMs = start + durableEveryMs;
    for (let done = 0; done < total;) {
      // Never 0, which times Infinity is no number.
      const now = performance.now() + 0.001;
      const upTo = Math.min(total, (now - start) * updatesPerMs, done + 500);
      while (done < upTo) this.#update(this.#keys[done++ % this.#keys.length]!);
      await this.#store.settle();
      if (durableEveryMs > 0 && now >= dueMs) {
        this.#makeDurable();
        while (dueMs <= now) dueMs += durableEveryMs;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#durable;
    await this.#store.makeDurable();
    if (this.#failure !== undefined) throw this.#failure;
    const ms = performance.now() - start;
    const after = diskBytes();
    return {
      logical: after.logical - before.logical,
      physical: after.physical - before.physical,
      updates: total,
      netUpdates: this.#netUpdates,
      ms,
      treeBytes: (await treeSize(directory)).bytes,
      checksum: this.#checksum(),
    };
  }

  #update(row: number): void {
    if (this.#touched[row] !== this.#interval) this.#netUpdates++;
    this.#touched[row] = this.#interval;
    this.#put(row);
  }

  /** One at a time: what comes before an earlier one is done waits for the next. */
  #makeDurable(): void {
    if (this.#durable !== undefined) return;
    this.#interval++;
    this.#durable = this.#store
      .makeDurable()
      .catch((error: Error) => void (this.#failure = error))
      .then(() => (this.#durable = undefined));
  }

  #checksum(): number {
    let checksum = 0;
    for (let row = 0; row < this.#assignment.rows; row += 97) {
      const value = this.#store.get(keyOf(row));
      for (let i = 0; i < this.#value.length; i += 9) checksum = fold(checksum, value?.[i]);
    }
    return checksum;
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

let updates: Updates | undefined;

serve(
  {
    async run(assignment: UpdateAssignment): Promise<UpdateResult> {
      updates = new Updates(await openRowStore(assignment), assignment);
      await updates.load();
      return updates.run(assignment.directory);
    },
  },
  () => updates?.close(),
);
