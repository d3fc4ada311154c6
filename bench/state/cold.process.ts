// Child process: read-modify-write of rows most of which are not in memory; ours or classic-level.
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import {
  type KeyedStateBackend,
  type Serializer,
  type ValueState,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { serve } from "../support/child.ts";
import { fillBytes, fold, xorshift32 } from "../support/sequences.ts";

/** Bytes of a value; row and key add about 24. */
const coldValueBytes = 100;
/** Bytes of a row key of ours with a number: the bare side takes as many. */
const coldKeyBytes = 15;

const batchCalls = 1000;

export interface ColdAssignment {
  readonly backend: "lsm" | "classic-level";
  readonly directory: string;
  readonly keys: number;
  readonly memoryBudgetBytes: number;
}

export interface ColdTiming {
  readonly calls: number;
  readonly ms: number;
  readonly coldReads: number;
}

/** Uniform keys, none twice within a batch: the bare side reads what it has written. */
class UniformKeys {
  readonly #keys: number;
  readonly #batch: number[] = [];
  #x = 47;

  constructor(keys: number) {
    this.#keys = keys;
  }

  nextBatch(): readonly number[] {
    const batch = new Set<number>();
    while (batch.size < batchCalls) {
      this.#x = xorshift32(this.#x);
      batch.add((this.#x >>> 0) % this.#keys);
    }
    this.#batch.length = 0;
    this.#batch.push(...batch);
    return this.#batch;
  }
}

interface ColdSubject {
  load(first: number, end: number): Promise<void>;
  readModifyWrite(keys: readonly number[]): Promise<void>;
  read(key: number): Uint8Array | undefined;
  coldReads(): number;
  close(): Promise<void>;
}

/** Counts in the first four bytes; the rest is noise. */
function increment(value: Uint8Array): void {
  const view = new DataView(value.buffer, value.byteOffset, 4);
  view.setUint32(0, view.getUint32(0) + 1);
}

class Ours implements ColdSubject {
  readonly #backend: KeyedStateBackend;
  readonly #state: ValueState<Uint8Array>;

  constructor(backend: KeyedStateBackend) {
    this.#backend = backend;
    const value: Serializer<Uint8Array> = bytes;
    this.#state = backend.valueState({ name: "value", value });
  }

  async load(first: number, end: number): Promise<void> {
    for (let key = first; key < end; key++) {
      const value = new Uint8Array(coldValueBytes);
      fillBytes(value, key, 0);
      this.#backend.setCurrentKey(key);
      this.#state.update(value);
      if (this.#backend.needsDrain) await this.#backend.drained();
    }
  }

  async readModifyWrite(keys: readonly number[]): Promise<void> {
    for (const key of keys) {
      this.#backend.setCurrentKey(key);
      const value = this.#state.value();
      if (value === undefined) throw new Error(`key ${key} is lost`);
      increment(value);
      this.#state.update(value);
      if (this.#backend.needsDrain) await this.#backend.drained();
    }
  }

  read(key: number): Uint8Array | undefined {
    this.#backend.setCurrentKey(key);
    return this.#state.value();
  }

  coldReads(): number {
    return this.#backend.stats().coldReads;
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}

type Database = ClassicLevel<Uint8Array, Uint8Array>;

class Bare implements ColdSubject {
  readonly #database: Database;
  #reads = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  async load(first: number, end: number): Promise<void> {
    for (let from = first; from < end; from += batchCalls) {
      const batch = this.#database.batch();
      for (let key = from; key < Math.min(end, from + batchCalls); key++) {
        const value = new Uint8Array(coldValueBytes + 1);
        fillBytes(value.subarray(0, coldValueBytes), key, 0);
        batch.put(rowKey(key), value);
      }
      await batch.write();
    }
  }

  async readModifyWrite(keys: readonly number[]): Promise<void> {
    const batch = this.#database.batch();
    for (const key of keys) {
      const bytesOfKey = rowKey(key);
      const value = this.#database.getSync(bytesOfKey);
      if (value === undefined) throw new Error(`key ${key} is lost`);
      increment(value);
      batch.put(bytesOfKey, value);
    }
    this.#reads += keys.length;
    await batch.write();
  }

  read(key: number): Uint8Array | undefined {
    return this.#database.getSync(rowKey(key));
  }

  coldReads(): number {
    return this.#reads;
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

/** Spread like ours: a hash first. */
function rowKey(key: number): Uint8Array {
  const row = new Uint8Array(coldKeyBytes);
  const view = new DataView(row.buffer);
  view.setUint8(1, Math.imul(key, 0x9e3779b1) >>> 25);
  view.setFloat64(7, key);
  return row;
}

async function openSubject(assignment: ColdAssignment): Promise<ColdSubject> {
  const { directory, memoryBudgetBytes } = assignment;
  if (assignment.backend === "lsm") {
    const backend = await openKeyedStateBackend({
      workingDirectory: join(directory, "working"),
      checkpointStorage: fileSystemStorage(join(directory, "checkpoints")),
      restore: "latest-or-new",
      memoryBudgetBytes,
    });
    return new Ours(backend);
  }
  // The whole budget: two memtables, and the rest as block cache.
  const writeBufferSize = Math.floor(memoryBudgetBytes / 8);
  const database: Database = new ClassicLevel(join(directory, "bare"), {
    keyEncoding: "view",
    valueEncoding: "view",
    writeBufferSize,
    cacheSize: memoryBudgetBytes - 2 * writeBufferSize,
    maxFileSize: 8 * 1_048_576,
    maxOpenFiles: 10_000,
  });
  await database.open();
  return new Bare(database);
}

let subject: ColdSubject | undefined;
let keys: UniformKeys | undefined;

function opened(): { subject: ColdSubject; keys: UniformKeys } {
  if (subject === undefined || keys === undefined) throw new Error("nothing was assigned yet");
  return { subject, keys };
}

async function readModifyWrite(calls: number): Promise<ColdTiming> {
  const { subject: measured, keys: uniform } = opened();
  const before = measured.coldReads();
  let ms = 0;
  for (let done = 0; done < calls; done += batchCalls) {
    const batch = uniform.nextBatch();
    const start = performance.now();
    await measured.readModifyWrite(batch);
    ms += performance.now() - start;
  }
  return { calls, ms, coldReads: measured.coldReads() - before };
}

/** Of every hundredth row. */
function checksum(rows: number): number {
  let folded = 0;
  for (let key = 0; key < rows; key += 100) {
    const value = opened().subject.read(key);
    for (let i = 0; i < coldValueBytes; i++) folded = fold(folded, value?.[i]);
  }
  return folded;
}

serve(
  {
    async open(assignment: ColdAssignment) {
      subject = await openSubject(assignment);
      keys = new UniformKeys(assignment.keys);
      await subject.load(0, assignment.keys);
    },
    readModifyWrite,
    checksum,
  },
  () => subject?.close(),
);
