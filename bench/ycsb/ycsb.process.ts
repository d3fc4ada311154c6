// Child process: one workload of YCSB on one store.
import { type RowStore, openRowStore } from "../stores/row-store.ts";
import type { StorePlace } from "../stores/stores.ts";
import { serve } from "../support/child.ts";
import type { Timing } from "../support/contest.ts";
import { Zipf, fillBytes, fold, shuffled, xorshift32 } from "../support/sequences.ts";

/** A: half updates. B: 5 % updates. C: reads. D: reads of the latest, 5 % inserts. E: scans, 5 % inserts. F: half read-modify-writes. */
export const workloadNames = ["A", "B", "C", "D", "E", "F"] as const;
export type WorkloadName = (typeof workloadNames)[number];

export interface YcsbAssignment extends StorePlace {
  readonly workload: WorkloadName;
  readonly rows: number;
  readonly valueBytes: number;
  readonly isZipf: boolean;
}

/** Of 100 calls; the rest are reads, or scans. */
const writesOf: Readonly<Record<WorkloadName, number>> = { A: 50, B: 5, C: 0, D: 5, E: 5, F: 50 };
const rowsPerPartition = 64;
const scannedAtMost = 50;
const callsPerLook = 50;
const valueCount = 4096;

class Ycsb {
  readonly #store: RowStore;
  readonly #assignment: YcsbAssignment;
  readonly #ranks: Zipf;
  readonly #order: Int32Array;
  #rows: number;
  #x = 53;
  #version = 0;
  /** Made before: nobody measures how fast noise is made. */
  readonly #values: readonly Uint8Array[];
  checksum = 0;

  constructor(store: RowStore, assignment: YcsbAssignment) {
    this.#store = store;
    this.#assignment = assignment;
    this.#rows = assignment.rows;
    this.#ranks = new Zipf(assignment.rows, 0.99, 52);
    this.#order = shuffled(assignment.rows, 0, 54);
    this.#values = Array.from({ length: valueCount }, (_, version) => {
      const value = new Uint8Array(assignment.valueBytes);
      // The rest compresses.
      fillBytes(value.subarray(0, (value.length >> 1) & ~3), version, 7);
      return value;
    });
  }

  async load(): Promise<void> {
    for (let row = 0; row < this.#assignment.rows; row++) {
      this.#insert(row);
      if (row % callsPerLook === 0) await this.#store.settle();
    }
  }

  async run(calls: number): Promise<Timing> {
    const before = performance.now();
    const isScan = this.#assignment.workload === "E";
    for (let call = 1; call <= calls; call++) {
      if (isScan) await this.#scanOrInsert();
      else this.#call();
      if (call % callsPerLook > 0) continue;
      const settled = this.#store.settle();
      if (settled !== undefined) await settled;
    }
    return { calls, ms: performance.now() - before };
  }

  #call(): void {
    const { workload } = this.#assignment;
    const isWrite = this.#uniform() * 100 < writesOf[workload];
    if (workload === "D" && isWrite) {
      this.#insert(this.#rows++);
      return;
    }
    const key = keyOf(workload === "D" ? this.#latest() : this.#draw());
    if (!isWrite || workload === "F") {
      const value = this.#store.get(key);
      if (value === undefined) throw new Error(`${key} is lost`);
      this.checksum = fold(this.checksum, value[0]! + value[4]!);
    }
    if (isWrite) this.#store.put(key, this.#value(++this.#version));
  }

  async #scanOrInsert(): Promise<void> {
    if (this.#uniform() * 100 < writesOf.E) {
      this.#insert(this.#rows++);
      return;
    }
    const partition = Math.floor(this.#draw() / rowsPerPartition);
    const count = 1 + Math.floor(this.#uniform() * scannedAtMost);
    this.checksum = fold(this.checksum, await this.#store.scan(partition, count));
  }

  #insert(row: number): void {
    const value = this.#value(row);
    if (this.#assignment.workload !== "E") this.#store.put(keyOf(row), value);
    else this.#store.putItem(Math.floor(row / rowsPerPartition), row % rowsPerPartition, value);
  }

  #draw(): number {
    if (this.#assignment.isZipf) return this.#order[this.#ranks.next()]!;
    return Math.floor(this.#uniform() * this.#assignment.rows);
  }

  /** The newest rows are the most frequent. */
  #latest(): number {
    return Math.max(0, this.#rows - 1 - this.#ranks.next());
  }

  #value(version: number): Uint8Array {
    return this.#values[version % valueCount]!;
  }

  #uniform(): number {
    this.#x = xorshift32(this.#x);
    return (this.#x >>> 0) / 2 ** 32;
  }

  coldReads(): number {
    return this.#store.coldReads();
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

/** 16 bytes. */
function keyOf(row: number): string {
  return `user${String(row).padStart(12, "0")}`;
}

let ycsb: Ycsb | undefined;

function opened(): Ycsb {
  if (ycsb === undefined) throw new Error("nothing was assigned yet");
  return ycsb;
}

serve(
  {
    async open(assignment: YcsbAssignment) {
      ycsb = new Ycsb(await openRowStore(assignment), assignment);
      await ycsb.load();
    },
    run: (calls: number) => opened().run(calls),
    checksum: () => opened().checksum,
    coldReads: () => opened().coldReads(),
  },
  () => ycsb?.close(),
);
