// Child process: the tests of LevelDB's db_bench on one store, one after the other.
import { type RowStore, openRowStore } from "../stores/row-store.ts";
import type { StorePlace } from "../stores/stores.ts";
import { serve } from "../support/child.ts";
import { fillBytes, fold, shuffled, xorshift32 } from "../support/sequences.ts";

export const testNames = [
  "fillseq",
  "overwrite",
  "readrandom",
  "readmissing",
  "readhot",
  "readseq",
  "deleterandom",
  "fillrandom",
  "fillsync",
] as const;
export type TestName = (typeof testNames)[number];

export interface DbAssignment extends StorePlace {
  readonly entries: number;
}

export interface DbResult {
  readonly calls: number;
  readonly ms: number;
  readonly checksum: number;
}

const valueBytes = 100;
const callsPerLook = 100;
/** Each sync is a write to the disk. */
const syncedEntries = 200;
/** Of the keys that `readhot` reads. */
const hotShare = 0.01;

/** Half of a value compresses, as with db_bench. */
function valueOf(entry: number, version: number): Uint8Array {
  const value = new Uint8Array(valueBytes);
  fillBytes(value.subarray(0, 48), entry, version);
  return value;
}

/** 16 digits. */
function keyOf(entry: number): string {
  return String(entry).padStart(16, "0");
}

class Database {
  readonly #store: RowStore;
  readonly #entries: number;
  readonly #order: Int32Array;
  #checksum = 0;

  constructor(store: RowStore, entries: number) {
    this.#store = store;
    this.#entries = entries;
    this.#order = shuffled(entries, 0, 55);
  }

  async run(test: TestName): Promise<DbResult> {
    this.#checksum = 0;
    const start = performance.now();
    const calls = await this.#test(test);
    return { calls, ms: performance.now() - start, checksum: this.#checksum };
  }

  async #test(test: TestName): Promise<number> {
    const store = this.#store;
    const order = this.#order;
    const count = this.#entries;
    switch (test) {
      case "fillseq":
        return this.#each(count, (i) => store.put(keyOf(i), valueOf(i, 1)));
      case "overwrite":
        return this.#each(count, (i) => store.put(keyOf(order[i]!), valueOf(order[i]!, 2)));
      case "fillrandom":
        return this.#each(count, (i) => store.put(keyOf(order[i]!), valueOf(order[i]!, 3)));
      case "readrandom":
        return this.#each(count >> 1, (i) => this.#read(keyOf(order[i]!), true));
      case "readmissing":
        return this.#each(count >> 1, (i) => this.#read(`${keyOf(order[i]!)}.`, false));
      case "readhot":
        return this.#each(count >> 1, (i) => {
          this.#read(keyOf(order[(xorshift32(i + 1) >>> 0) % this.#hot()]!), true);
        });
      case "readseq":
        this.#checksum = await store.readAll();
        return this.#checksum;
      case "deleterandom":
        return this.#each(count, (i) => store.remove(keyOf(order[i]!)));
      case "fillsync":
        for (let i = 0; i < syncedEntries; i++) {
          store.put(keyOf(order[i]!), valueOf(i, 4));
          await store.makeDurable();
        }
        return syncedEntries;
    }
  }

  #hot(): number {
    return Math.ceil(this.#entries * hotShare);
  }

  async #each(count: number, call: (i: number) => void): Promise<number> {
    for (let i = 0; i < count; i++) {
      call(i);
      if (i % callsPerLook > 0) continue;
      const settled = this.#store.settle();
      if (settled !== undefined) await settled;
    }
    return count;
  }

  #read(key: string, exists: boolean): void {
    const value = this.#store.get(key);
    if ((value !== undefined) !== exists)
      throw new Error(`${key} ${exists ? "is lost" : "exists"}`);
    this.#checksum = fold(this.#checksum, value?.[0]);
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

let database: Database | undefined;

serve(
  {
    async open(assignment: DbAssignment) {
      database = new Database(await openRowStore(assignment), assignment.entries);
    },
    run(test: TestName) {
      if (database === undefined) throw new Error("nothing was assigned yet");
      return database.run(test);
    },
  },
  () => database?.close(),
);
