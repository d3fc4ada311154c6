// Child process: one task of the load test. Killed and started again by its parent.
import { join } from "node:path";
import {
  type JsonValue,
  KIB,
  type KeyGroupRange,
  type KeyedStateBackend,
  MIB,
  type ValueState,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
  u32,
} from "../../src/index.ts";
import { keyGroupOf } from "../../src/common/key-group.ts";
import { KeyTag, encodeKeyPayload, hashKeyPayload } from "../../src/format/key-codec.ts";
import { keysByGroup } from "../changelog/subject.ts";
import { residentBytes } from "../memory/resident.ts";
import { serve } from "../support/child.ts";
import { LatencyHistogram } from "../support/open-loop.ts";
import { openHandles, threads } from "../support/own-process.ts";
import { fillBytes, xorshift32 } from "../support/sequences.ts";
import { Churn, openSessions } from "./churn.ts";

export interface TaskAssignment {
  readonly directory: string;
  /** Below `directory`: its working directory and, with several tasks, its checkpoints. */
  readonly task: string;
  readonly restore: string | readonly string[];
  readonly rows: number;
  readonly memoryBudgetBytes: number;
  readonly keyGroups?: Partial<KeyGroupRange> | undefined;
}

export interface Opened {
  readonly openMs: number;
  readonly firstRecordMs: number;
  readonly records: number;
}

/** Rows compared with what the generator computes, and how many of them differ. */
export interface Compared {
  readonly compared: number;
  readonly differing: number;
  /** The first that differs. */
  readonly example: string | undefined;
}

export interface Sample {
  readonly second: number;
  readonly anonymousBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly handles: number;
  readonly threads: number;
}

export interface ChurnResult {
  readonly records: number;
  readonly seconds: number;
  readonly samples: readonly Sample[];
  readonly checkpointMs: readonly number[];
  readonly pauseMs: readonly number[];
  readonly longestStallMs: number;
  readonly msP999: number;
  readonly materializations: number;
  readonly coldReads: number;
  readonly checkpointError: string | undefined;
  /** Records that found another version than the generator computes. */
  readonly wrong: number;
}

const valueBytes = 1000;
const checkpointMs = 1000;
const recordsPerSlice = 50;
/** Of the version at the start of a value. */
const versionBytes = 4;
const keyGroupsMax = 128;

class Task {
  readonly #backend: KeyedStateBackend;
  readonly #rows: ValueState<Uint8Array>;
  readonly #sessions: ValueState<number>;
  readonly #churn: Churn;
  readonly #value = new Uint8Array(valueBytes);
  #records = 0;
  #running: Promise<void> | undefined;
  #error: string | undefined;
  #wrong = 0;
  #example: string | undefined;
  readonly #checkpointMs: number[] = [];
  readonly #pauseMs: number[] = [];

  constructor(backend: KeyedStateBackend, churn: Churn) {
    this.#backend = backend;
    this.#churn = churn;
    this.#rows = backend.valueState({ name: "rows", value: bytes });
    this.#sessions = backend.valueState({ name: "sessions", value: u32 });
    const restored = backend.restored?.parts[0]?.metadata as { records?: number } | undefined;
    this.#records = restored?.records ?? 0;
  }

  get records(): number {
    return this.#records;
  }

  async fill(): Promise<void> {
    let due = performance.now() + checkpointMs;
    for (const [done, row] of keysByGroup(this.#churn.rows).entries()) {
      this.#write(row, 0);
      if (this.#backend.needsDrain) await this.#backend.drained();
      if (done % 1000 > 0) continue;
      if (performance.now() >= due) {
        this.#beginCheckpoint();
        due = performance.now() + checkpointMs;
      }
      if (done % 10_000 === 0) process.send?.({ progress: done });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#running;
    await this.#backend.checkpoint({ records: 0 });
    if (this.#error !== undefined) throw new Error(this.#error);
  }

  readFirst(): void {
    const row = this.#churn.rowOf(this.#records);
    if (this.#owns(row) && this.#differs(row)) throw new Error(this.#example);
  }

  /** Records come at a fixed rate; those that are late are processed as fast as possible. */
  async churn(durationMs: number, perSecond: number): Promise<ChurnResult> {
    const start = performance.now();
    const before = this.#records;
    const latencies = new LatencyHistogram();
    const samples: Sample[] = [];
    let dueMs = start + checkpointMs;
    let sampleMs = start;
    let longestStallMs = 0;
    for (let now = start; now - start < durationMs;) {
      const sliceStart = now;
      const due = Math.floor(((now - start) / 1000) * perSecond) - (this.#records - before);
      for (let i = Math.min(due, recordsPerSlice); i > 0; i--) {
        this.#record();
        const intended = start + ((this.#records - before) / perSecond) * 1000;
        latencies.record(Math.max(0, performance.now() - intended));
        if (this.#backend.needsDrain) await this.#backend.drained();
      }
      if (now >= dueMs && this.#running === undefined) {
        this.#beginCheckpoint();
        dueMs += checkpointMs;
        if (dueMs < now) dueMs = now + checkpointMs;
      }
      if (now >= sampleMs) {
        samples.push(sampleAt((now - start) / 1000));
        sampleMs += 1000;
      }
      await new Promise((resolve) => (due > 0 ? setImmediate(resolve) : setTimeout(resolve, 1)));
      now = performance.now();
      longestStallMs = Math.max(longestStallMs, now - sliceStart);
    }
    await this.#running;
    const stats = this.#backend.stats();
    return {
      records: this.#records - before,
      seconds: (performance.now() - start) / 1000,
      samples,
      checkpointMs: this.#checkpointMs.splice(0),
      pauseMs: this.#pauseMs.splice(0),
      longestStallMs,
      msP999: latencies.percentile(99.9),
      materializations: stats.changelog?.materializations ?? 0,
      coldReads: stats.coldReads,
      checkpointError: this.#error,
      wrong: this.#wrong,
    };
  }

  #record(): void {
    const record = this.#records++;
    const row = this.#churn.rowOf(record);
    const version = this.#churn.versionOf(row, record);
    this.#backend.setCurrentKey(row);
    const value = this.#rows.value();
    if (value === undefined || versionIn(value) !== version) {
      this.#wrong++;
    }
    this.#write(row, version + 1);
    const session = this.#churn.sessionOf(record);
    if (session === undefined) return;
    this.#backend.setCurrentKey(session);
    this.#sessions.update(session);
    if (session < openSessions) return;
    this.#backend.setCurrentKey(session - openSessions);
    this.#sessions.clear();
  }

  #write(row: number, version: number): void {
    fillValue(this.#value, row, version);
    this.#backend.setCurrentKey(row);
    this.#rows.update(this.#value);
  }

  #beginCheckpoint(): void {
    if (this.#running !== undefined) return;
    const metadata: JsonValue = { records: this.#records };
    this.#running = this.#backend
      .checkpoint(metadata)
      .then(
        ({ durationMs, pauseMs }) => {
          this.#checkpointMs.push(durationMs);
          this.#pauseMs.push(pauseMs);
        },
        (error: Error) => void (this.#error ??= error.message),
      )
      .finally(() => (this.#running = undefined));
  }

  /** Compares whole rows, and whether sessions exist. */
  verify(samples: number): Compared {
    let compared = 0;
    let differing = 0;
    let x = 58;
    for (let i = 0; i < samples; i++) {
      x = xorshift32(x);
      const row = (x >>> 0) % this.#churn.rows;
      if (this.#owns(row)) {
        compared++;
        if (this.#differs(row)) differing++;
      }
      const begun = this.#churn.sessionsAfter(this.#records);
      const session = begun - 1 - ((x >>> 8) % (2 * openSessions));
      if (session < 0 || !this.#owns(session)) continue;
      compared++;
      this.#backend.setCurrentKey(session);
      const expected = session >= begun - openSessions ? session : undefined;
      if (this.#sessions.value() === expected) continue;
      differing++;
      this.#example ??= `session ${session} is wrong`;
    }
    return { compared, differing, example: this.#example };
  }

  #differs(row: number): boolean {
    const version = this.#churn.versionOf(row, this.#records);
    fillValue(this.#value, row, version);
    this.#backend.setCurrentKey(row);
    const found = this.#rows.value();
    if (found !== undefined && Buffer.compare(found, this.#value) === 0) return false;
    this.#example ??= `row ${row} is not what version ${version} was`;
    return true;
  }

  #owns(key: number): boolean {
    const { first, last } = this.#backend.keyGroups;
    const group = keyGroupOf(hashKeyPayload(KeyTag.number, encodeKeyPayload(key)), keyGroupsMax);
    return group >= first && group <= last;
  }

  isVerified(): boolean {
    return this.#backend.stats().unverifiedFiles === 0;
  }

  async checkpoint(): Promise<string> {
    const { location } = await this.#backend.checkpoint({ records: this.#records });
    return location;
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}

/** The version, then noise, half of which compresses. */
function fillValue(value: Uint8Array, row: number, version: number): void {
  fillBytes(value.subarray(versionBytes, valueBytes >> 1), row, version);
  new DataView(value.buffer, value.byteOffset).setUint32(0, version);
}

function versionIn(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset).getUint32(0);
}

function sampleAt(second: number): Sample {
  const { anonymous, shared } = residentBytes();
  const { heapUsed, external } = process.memoryUsage();
  return {
    second,
    anonymousBytes: anonymous + shared,
    heapBytes: heapUsed,
    externalBytes: external,
    handles: openHandles(),
    threads: threads(),
  };
}

let task: Task | undefined;

function opened(): Task {
  if (task === undefined) throw new Error("nothing was opened yet");
  return task;
}

serve(
  {
    async open(assignment: TaskAssignment): Promise<Opened> {
      const { directory, task: name, restore, rows, memoryBudgetBytes, keyGroups } = assignment;
      const start = performance.now();
      const backend = await openKeyedStateBackend({
        workingDirectory: join(directory, `working-${name}`),
        checkpointStorage: fileSystemStorage(join(directory, `checkpoints-${name}`)),
        restore,
        policy: "changelog",
        memoryBudgetBytes,
        restoreVerification: "behind",
        lsm: { blockSizeBytes: 32 * KIB, fileSizeBytes: 32 * MIB },
        ...(keyGroups === undefined ? {} : { keyGroups }),
      });
      const openMs = performance.now() - start;
      task = new Task(backend, new Churn(rows));
      if (restore !== "latest-or-new") task.readFirst();
      return { openMs, firstRecordMs: performance.now() - start, records: task.records };
    },
    fill: () => opened().fill(),
    churn: ({ ms, perSecond }: { ms: number; perSecond: number }) => opened().churn(ms, perSecond),
    verify: (samples: number) => opened().verify(samples),
    isVerified: () => opened().isVerified(),
    checkpoint: () => opened().checkpoint(),
  },
  () => task?.close(),
);
