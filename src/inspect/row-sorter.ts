// Sorts rows by their keys' bytes, however many there are: what memory holds is sorted and becomes a
// run, a file; runs are merged.
//   S1. Memory holds `memoryBytes` of rows, or RUNS_MAX frames while runs are merged.
//   S2. Of runs of the same rank at most RUNS_MAX exist: as many become one of the next rank, so each
//       row is written as often as there are ranks.
import { join } from "node:path";
import type { FileSystem } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { MIB } from "../common/units.ts";
import type { FrameTools } from "../format/frame.ts";
import { RunReader, RunWriter } from "./row-run.ts";
import type { Row } from "./row-source.ts";
import { type RowTarget, compareBytes } from "./row-target.ts";

export const SORT_MEMORY_BYTES: number = 64 * MIB;
/** Runs merged at a time. */
export const RUNS_MAX = 16;
const START_BYTES = 65_536;
const BATCH_ROWS = 512;

export interface SorterTools {
  readonly fileSystem: FileSystem;
  readonly frames: FrameTools;
  /** For runs; exists, and is removed by the caller. */
  readonly directory: string;
  /** Begins the names of the runs: others may sort in the same directory. */
  readonly name: string;
  readonly throwIfStopped: () => void;
}

interface Run {
  readonly path: string;
  readonly rank: number;
}

export class RowSorter implements RowTarget {
  readonly #tools: SorterTools;
  readonly #memoryBytes: number;
  #bytes: Uint8Array = new Uint8Array(START_BYTES);
  #used = 0;
  /** Of each row: where it starts, bytes of the key, bytes of the row. */
  #places: Uint32Array = new Uint32Array(1024);
  #count = 0;
  #runs: Run[] = [];
  #runNumber = 0;
  rowCount = 0;

  constructor(tools: SorterTools, memoryBytes: number = SORT_MEMORY_BYTES) {
    this.#tools = tools;
    this.#memoryBytes = memoryBytes;
  }

  /** One row always fits: the bound is on many. */
  fits(keyBytes: number, rowBytes: number): boolean {
    return this.#count === 0 || this.#used + keyBytes + rowBytes <= this.#memoryBytes;
  }

  copy(key: Uint8Array, keyBytes: number, source: Uint8Array, start: number, end: number): void {
    const at = this.#used;
    const rowBytes = end - start;
    this.#reserve(keyBytes + rowBytes);
    for (let index = 0; index < keyBytes; index++) this.#bytes[at + index] = key[index]!;
    this.#bytes.set(source.subarray(start, end), at + keyBytes);
    this.#used = at + keyBytes + rowBytes;
    this.#places.set([at, keyBytes, rowBytes], this.#count * 3);
    this.#count++;
    this.rowCount++;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes > this.#bytes.length) {
      const wanted = Math.min(this.#bytes.length * 2, this.#memoryBytes);
      const grown = new Uint8Array(Math.max(wanted, this.#used + bytes));
      grown.set(this.#bytes.subarray(0, this.#used));
      this.#bytes = grown;
    }
    if (this.#count * 3 + 3 <= this.#places.length) return;
    const places = new Uint32Array(this.#places.length * 2);
    places.set(this.#places);
    this.#places = places;
  }

  /** Writes what memory holds as a run. */
  async makeRoom(): Promise<void> {
    if (this.#count === 0) return;
    const rows = this.#inMemory();
    await this.#addRun(0, async (target) => {
      for (const { key, row } of rows) await put(target, key, row);
    });
    this.#count = 0;
    this.#used = 0;
    await this.#mergeRanks();
  }

  /** All rows, ascending, in batches of which none is empty. Valid until the next batch is asked for. */
  async *sorted(): AsyncGenerator<readonly Row[], void, void> {
    if (this.#runs.length === 0) {
      yield* batchesOf(this.#inMemory());
      return;
    }
    await this.makeRoom();
    this.#bytes = new Uint8Array(0); // Merging has a memory of its own (S1).
    while (this.#runs.length > RUNS_MAX) await this.#merge(this.#runs.slice(-RUNS_MAX));
    yield* this.#merged(this.#runs);
    await this.#remove(this.#runs);
  }

  *#inMemory(): Generator<Row, void, void> {
    const [bytes, places] = [this.#bytes, this.#places];
    const order = Uint32Array.from({ length: this.#count }, (_none, index) => index * 3);
    order.sort((a, b) => {
      const [left, right] = [places[a]!, places[b]!];
      const [leftEnd, rightEnd] = [left + places[a + 1]!, right + places[b + 1]!];
      return compareBytes(bytes, left, leftEnd, bytes, right, rightEnd);
    });
    for (const place of order) {
      const [at, keyBytes, rowBytes] = [places[place]!, places[place + 1]!, places[place + 2]!];
      const rowAt = at + keyBytes;
      yield { key: bytes.subarray(at, rowAt), row: bytes.subarray(rowAt, rowAt + rowBytes) };
    }
  }

  async #addRun(rank: number, write: (target: RunWriter) => Promise<void>): Promise<void> {
    const { fileSystem, directory, name, frames, throwIfStopped } = this.#tools;
    throwIfStopped();
    const path = join(directory, `${name}-${this.#runNumber++}`);
    const file = await fileSystem.create(path);
    try {
      const target = new RunWriter(file, frames);
      await write(target);
      await target.makeRoom();
    } finally {
      await file.close();
    }
    this.#runs.push({ path, rank });
  }

  /** S2 */
  async #mergeRanks(): Promise<void> {
    for (;;) {
      const rank = this.#runs.at(-1)!.rank;
      const alike = this.#runs.filter((run) => run.rank === rank);
      if (alike.length < RUNS_MAX) return;
      await this.#merge(alike);
    }
  }

  /** Makes one run of several. */
  async #merge(runs: readonly Run[]): Promise<void> {
    assert(runs.length <= RUNS_MAX, "S1: more runs than are merged at a time");
    const rank = 1 + Math.max(...runs.map((run) => run.rank));
    this.#runs = this.#runs.filter((run) => !runs.includes(run));
    await this.#addRun(rank, async (target) => {
      for await (const rows of this.#merged(runs)) {
        for (const { key, row } of rows) await put(target, key, row);
      }
    });
    await this.#remove(runs);
  }

  async *#merged(runs: readonly Run[]): AsyncGenerator<readonly Row[], void, void> {
    const { fileSystem, frames, throwIfStopped } = this.#tools;
    const opened: RunReader[] = [];
    try {
      const order: RunReader[] = [];
      for (const { path } of runs) {
        const reader = new RunReader(await fileSystem.open(path), frames);
        opened.push(reader);
        if (!(await reader.fill())) continue;
        order.push(reader);
        for (let at = order.length - 1; at > 0 && isBefore(order[at]!, order[at - 1]!); at--) {
          [order[at - 1], order[at]] = [order[at]!, order[at - 1]!];
        }
      }
      let batch: Row[] = [];
      for (let first = order[0]; first !== undefined; first = order[0]) {
        batch.push(first.current!);
        first.advance();
        if (first.current === undefined && !(await first.fill())) order.shift();
        else sink(order);
        if (batch.length < BATCH_ROWS) continue;
        throwIfStopped();
        yield batch;
        batch = [];
      }
      if (batch.length > 0) yield batch;
    } finally {
      for (const reader of opened) await reader.close();
    }
  }

  async #remove(runs: readonly Run[]): Promise<void> {
    for (const { path } of runs) await this.#tools.fileSystem.unlink(path);
  }
}

async function put(target: RowTarget, key: Uint8Array, row: Uint8Array): Promise<void> {
  if (!target.fits(key.length, row.length)) await target.makeRoom();
  target.copy(key, key.length, row, 0, row.length);
}

function* batchesOf(rows: Iterable<Row>): Generator<readonly Row[], void, void> {
  let batch: Row[] = [];
  for (const row of rows) {
    batch.push(row);
    if (batch.length < BATCH_ROWS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Puts the first reader, which has moved on, in its place. */
function sink(readers: RunReader[]): void {
  const moved = readers[0]!;
  let at = 0;
  for (; at + 1 < readers.length && isBefore(readers[at + 1]!, moved); at++) {
    readers[at] = readers[at + 1]!;
  }
  readers[at] = moved;
}

function isBefore(a: RunReader, b: RunReader): boolean {
  const [left, right] = [a.current!.key, b.current!.key];
  return compareBytes(left, 0, left.length, right, 0, right.length) < 0;
}
