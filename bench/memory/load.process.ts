// Child process: read-modify-write and new keys on a state ten times the budget, a checkpoint every
// second, and its own memory once in a quarter of a second.
import { join } from "node:path";
import {
  type KeyedStateBackend,
  type ValueState,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { serve } from "../support/child.ts";
import { fillBytes, xorshift32 } from "../support/sequences.ts";
import { type Resident, residentBytes } from "./resident.ts";

export interface MemoryAssignment {
  readonly directory: string;
  readonly memoryBudgetBytes: number;
  readonly stateBytes: number;
  readonly milliseconds: number;
}

export interface MemorySample extends Resident {
  readonly atMs: number;
}

export interface MemoryResult {
  /** Of this process before a backend was opened. */
  readonly idleBytes: number;
  readonly loadedRssBytes: number;
  readonly samples: readonly MemorySample[];
  readonly records: number;
  readonly newKeys: number;
  readonly checkpoints: number;
  readonly coldReads: number;
  readonly checkpointError: string | undefined;
}

const valueBytes = 1000;
const sampleMs = 250;
const checkpointMs = 1000;
/** One record in so many is a new key, and the oldest one goes. */
const newOneIn = 20;

class Load {
  readonly #backend: KeyedStateBackend;
  readonly #state: ValueState<Uint8Array>;
  readonly #value = new Uint8Array(valueBytes);
  readonly #samples: MemorySample[] = [];
  #oldest = 0;
  #nextKey = 0;
  #x = 48;
  #records = 0;
  #checkpoints = 0;
  #running: Promise<void> | undefined;
  #error: string | undefined;

  constructor(backend: KeyedStateBackend) {
    this.#backend = backend;
    this.#state = backend.valueState({ name: "value", value: bytes });
  }

  async fill(rows: number): Promise<number> {
    let largest = 0;
    while (this.#nextKey < rows) {
      this.#insert();
      if (this.#backend.needsDrain) await this.#backend.drained();
      if (this.#nextKey % 5000 > 0) continue;
      const { anonymous, shared } = residentBytes();
      largest = Math.max(largest, anonymous + shared);
    }
    return largest;
  }

  async run(milliseconds: number): Promise<void> {
    const start = performance.now();
    let now = start;
    let nextSample = start;
    let nextCheckpoint = start + checkpointMs;
    while (now - start < milliseconds) {
      for (let i = 0; i < 100; i++) await this.#record();
      now = performance.now();
      if (now >= nextSample) {
        this.#samples.push({ ...residentBytes(), atMs: now - start });
        nextSample = now + sampleMs;
      }
      if (now >= nextCheckpoint && this.#running === undefined) {
        this.#running = this.#checkpoint();
        nextCheckpoint = now + checkpointMs;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#running;
  }

  async #record(): Promise<void> {
    if (this.#backend.needsDrain) await this.#backend.drained();
    if (++this.#records % newOneIn === 0) {
      this.#insert();
      this.#backend.setCurrentKey(this.#oldest++);
      this.#state.clear();
      return;
    }
    this.#x = xorshift32(this.#x);
    const key = this.#oldest + ((this.#x >>> 0) % (this.#nextKey - this.#oldest));
    this.#backend.setCurrentKey(key);
    const value = this.#state.value();
    if (value === undefined) throw new Error(`key ${key} is lost`);
    value[0] = value[0]! + 1;
    this.#state.update(value);
  }

  #insert(): void {
    fillBytes(this.#value, this.#nextKey, 0);
    this.#backend.setCurrentKey(this.#nextKey++);
    this.#state.update(this.#value);
  }

  async #checkpoint(): Promise<void> {
    try {
      await this.#backend.checkpoint();
      this.#checkpoints++;
    } catch (error) {
      this.#error ??= error instanceof Error ? error.message : String(error);
    }
    this.#running = undefined;
  }

  result(rows: number, idleBytes: number, loadedRssBytes: number): MemoryResult {
    return {
      idleBytes,
      loadedRssBytes,
      samples: this.#samples,
      records: this.#records,
      newKeys: this.#nextKey - rows,
      checkpoints: this.#checkpoints,
      coldReads: this.#backend.stats().coldReads,
      checkpointError: this.#error,
    };
  }
}

async function run(assignment: MemoryAssignment): Promise<MemoryResult> {
  const { directory } = assignment;
  const idle = residentBytes();
  const backend = await openKeyedStateBackend({
    workingDirectory: join(directory, "working"),
    checkpointStorage: fileSystemStorage(join(directory, "checkpoints")),
    restore: "latest-or-new",
    memoryBudgetBytes: assignment.memoryBudgetBytes,
  });
  try {
    const load = new Load(backend);
    const rows = Math.floor(assignment.stateBytes / valueBytes);
    const loadedRssBytes = await load.fill(rows);
    await load.run(assignment.milliseconds);
    return load.result(rows, idle.anonymous + idle.shared, loadedRssBytes);
  } finally {
    await backend.close();
  }
}

serve({ run }, () => undefined);
