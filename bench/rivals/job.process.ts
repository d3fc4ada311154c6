// Child process: the keyed count from end to end on Varve, in one thread, as native-bench/flink's Job has it.
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  type KeyedStateBackend,
  type Serializer,
  bytes,
  fileSystemStorage,
  i64,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { serve } from "../support/child.ts";
import { fillBytes } from "../support/sequences.ts";
import type { JobAssignment, JobVerdict, JobWindow } from "./job.ts";
import { stringKeyAt, stringKeyBytes } from "./operation-inputs.ts";

const stride = 314_159;
const recordsPerLook = 256;
const sliceMs = 2;

type CountUp = (position: number) => number;

/** Increments the count of the current key and returns it. */
function countUpOf(backend: KeyedStateBackend, valueBytes: number): CountUp {
  if (valueBytes === 8) {
    const state = backend.valueState({ name: "count", value: i64 });
    return () => {
      const now = (state.value() ?? 0) + 1;
      state.update(now);
      return now;
    };
  }
  const value: Serializer<Uint8Array> = bytes;
  const state = backend.valueState({ name: "wide", value });
  return (position) => {
    let row = state.value();
    if (row === undefined) {
      row = new Uint8Array(valueBytes);
      fillBytes(row, position, 0);
      row.fill(0, 0, 8);
    }
    const view = new DataView(row.buffer, row.byteOffset, 8);
    const now = view.getUint32(4) + 1;
    view.setUint32(4, now);
    state.update(row);
    return now;
  };
}

class Job {
  readonly #backend: KeyedStateBackend;
  readonly #keys: number;
  readonly #strings: ReturnType<typeof stringKeyBytes>;
  readonly #countUp: CountUp;
  readonly #intervalMs: number;
  #next = 0;
  #dueMs = 0;
  #running: Promise<void> | undefined;
  #failure: Error | undefined;
  #durations: number[] = [];

  constructor(backend: KeyedStateBackend, { keys, valueBytes, intervalMs }: JobAssignment) {
    this.#backend = backend;
    this.#keys = keys;
    this.#strings = stringKeyBytes(
      Int32Array.from({ length: keys }, (_, i) => (i * stride) % keys),
    );
    this.#countUp = countUpOf(backend, valueBytes);
    this.#intervalMs = intervalMs;
  }

  async start(warmUpMs: number): Promise<void> {
    this.#dueMs = performance.now() + this.#intervalMs;
    await this.#run(warmUpMs);
  }

  async window(millis: number): Promise<JobWindow> {
    this.#durations = [];
    const before = this.#next;
    const elapsed = await this.#run(millis);
    const ops = this.#next - before;
    await this.#running;
    this.#refuseFailed();
    return { ops, millis: elapsed, checkpointMs: this.#durations, failed: 0 };
  }

  /** Every key comes once in a whole cycle, and has one count more than there were cycles before. */
  async finish(): Promise<JobVerdict> {
    while (this.#next % this.#keys !== 0) this.#process(1);
    const expected = this.#next / this.#keys + 1;
    let mismatches = 0;
    for (let i = 0; i < this.#keys; i++) {
      if (this.#process(1) !== expected) mismatches++;
      if (this.#backend.needsDrain) await this.#backend.drained();
    }
    return { verifiedKeys: this.#keys, mismatches };
  }

  /** Processes so many records; returns the count of the last one's key. */
  #process(count: number): number {
    let now = 0;
    for (let record = 0; record < count; record++) {
      const position = this.#next % this.#keys;
      this.#backend.setCurrentKey(stringKeyAt(this.#strings, position));
      now = this.#countUp(position);
      this.#next++;
    }
    return now;
  }

  async #run(millis: number): Promise<number> {
    const start = performance.now();
    let now = start;
    while (now - start < millis) {
      for (const sliceStart = now; now - sliceStart < sliceMs; now = performance.now()) {
        this.#process(recordsPerLook);
        if (this.#backend.needsDrain) break;
      }
      if (now >= this.#dueMs && this.#running === undefined) this.#checkpoint(now);
      if (this.#backend.needsDrain) await this.#backend.drained();
      await nextTurn();
      now = performance.now();
    }
    return now - start;
  }

  #checkpoint(now: number): void {
    this.#refuseFailed();
    // Those that were missed are skipped, not made up for, as in Flink.
    while (this.#dueMs <= now) this.#dueMs += this.#intervalMs;
    this.#running = this.#backend
      .checkpoint({ next: this.#next })
      .then(
        ({ durationMs }) => void this.#durations.push(durationMs),
        (error: Error) => void (this.#failure = error),
      )
      .finally(() => (this.#running = undefined));
  }

  #refuseFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#backend.close();
  }
}

let job: Job | undefined;
let assigned: JobAssignment | undefined;
let runs = 0;

function started(): Job {
  if (job === undefined) throw new Error("nothing was started yet");
  return job;
}

serve(
  {
    open: (assignment: JobAssignment) => void (assigned = assignment),
    /** From an empty state, as each job of a cluster. */
    async start({ warmUpMs }: { warmUpMs: number }) {
      if (assigned === undefined) throw new Error("nothing was assigned yet");
      await job?.close();
      const directory = join(assigned.directory, "checkpoints", String(++runs));
      const backend = await openKeyedStateBackend({
        workingDirectory: join(assigned.directory, "working", String(runs)),
        checkpointStorage: fileSystemStorage(directory),
        policy: "changelog",
        restore: "latest-or-new",
        memoryBudgetBytes: assigned.managedBytes,
        retainedCheckpoints: 1,
      });
      job = new Job(backend, assigned);
      await job.start(warmUpMs);
    },
    window: ({ millis }: { millis: number }) => started().window(millis),
    async finish() {
      const verdict = await started().finish();
      await started().close();
      job = undefined;
      return verdict;
    },
  },
  () => job?.close(),
);
