// One load: records in an open loop at a share of the highest rate, while checkpoints are taken.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { CheckpointPolicy } from "../../src/index.ts";
import { Counters } from "../changelog/counters.ts";
import {
  LatencyHistogram,
  type LatencySink,
  closedLoopRate,
  runOpenLoop,
} from "../support/open-loop.ts";
import { zipfNumbers } from "../support/sequences.ts";

export interface Load {
  readonly policy: CheckpointPolicy;
  /** Of the highest rate. */
  readonly share: number;
  readonly keyCount: number;
  readonly memoryBudgetBytes: number;
  readonly closedMs: number;
  readonly openMs: number;
  readonly materializationLogBytes: number;
}

export type During = "outside" | "checkpoint" | "materialization";

export interface LatencyResult {
  readonly recordsPerMs: number;
  readonly histograms: Readonly<Record<During, LatencyHistogram>>;
  /** Each tenth of a second. */
  readonly series: readonly {
    readonly atMs: number;
    readonly msP999: number;
    readonly during: During;
  }[];
  readonly checkpoints: number;
  readonly materializations: number;
}

const checkpointIntervalMs = 1000;
const pieceMs = 100;

/** What goes on, as seen once a turn: it changes between turns only. */
class Activity {
  readonly #counters: Counters;
  #checkpointEndedMs = 0;
  #materializedMs = 0;
  #isMaterializing = false;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  look(): void {
    const isMaterializing = this.#counters.backend.stats().changelog?.isMaterializing ?? false;
    if (this.#isMaterializing && !isMaterializing) this.#materializedMs = performance.now();
    this.#isMaterializing = isMaterializing;
  }

  checkpointEnded(): void {
    this.#checkpointEndedMs = performance.now();
  }

  /** While a record was due, or was processed. */
  during(intendedMs: number): During {
    if (this.#counters.isCheckpointing || intendedMs <= this.#checkpointEndedMs)
      return "checkpoint";
    if (this.#isMaterializing || intendedMs <= this.#materializedMs) return "materialization";
    return "outside";
  }
}

/** p99.9 of each piece of the run, and the busiest thing that went on in it. */
class Series {
  readonly points: { atMs: number; msP999: number; during: During }[] = [];
  #histogram = new LatencyHistogram();
  #during: During = "outside";
  #endMs: number;
  readonly #startMs: number;

  constructor(startMs: number) {
    this.#startMs = startMs;
    this.#endMs = startMs + pieceMs;
  }

  /** The histogram of records done at this time. */
  at(doneMs: number, during: During): LatencyHistogram {
    if (doneMs >= this.#endMs) this.#next(doneMs);
    if (during !== "outside" && this.#during !== "checkpoint") this.#during = during;
    return this.#histogram;
  }

  #next(doneMs: number): void {
    if (this.#histogram.count > 0) {
      this.points.push({
        atMs: this.#endMs - pieceMs - this.#startMs,
        msP999: this.#histogram.percentile(99.9),
        during: this.#during,
      });
    }
    this.#histogram = new LatencyHistogram();
    this.#during = "outside";
    while (this.#endMs <= doneMs) this.#endMs += pieceMs;
  }
}

/** Records count in two histograms. One object for all of them: garbage would be part of the latency. */
class Both implements LatencySink {
  one: LatencySink;
  other: LatencySink;

  constructor(one: LatencySink, other: LatencySink) {
    this.one = one;
    this.other = other;
  }

  record(ms: number): void {
    this.one.record(ms);
    this.other.record(ms);
  }
}

export async function measureLoad(scratch: string, load: Load): Promise<LatencyResult> {
  const directory = join(scratch, `latency-${load.policy}-${load.share}`);
  const { policy, memoryBudgetBytes, materializationLogBytes } = load;
  const changelog = policy === "changelog" ? { changelog: { materializationLogBytes } } : {};
  const options = { policy, memoryBudgetBytes, ...changelog };
  const counters = await Counters.open(directory, load.keyCount, options);
  try {
    return await run(counters, load);
  } finally {
    await counters.backend.close();
    await rm(directory, { recursive: true });
  }
}

async function run(counters: Counters, load: Load): Promise<LatencyResult> {
  const keys = zipfNumbers(load.keyCount, 4_000_000, 0.99, 49);
  const record = (i: number): void => counters.increment(keys[i % keys.length]!);
  const drained = async (): Promise<void> => {
    if (counters.backend.needsDrain) await counters.backend.drained();
  };
  await closedLoopRate(500, record, drained);
  const recordsPerMs = load.share * (await closedLoopRate(load.closedMs, record, drained));
  const activity = new Activity(counters);
  let dueMs = performance.now();
  const between = async (): Promise<void> => {
    activity.look();
    if (performance.now() >= dueMs && !counters.isCheckpointing) {
      counters.beginCheckpoint(() => activity.checkpointEnded());
      while (dueMs <= performance.now()) dueMs += checkpointIntervalMs;
    }
    await drained();
  };
  // An interval for the compiler, whose records count for nothing.
  const loop = { recordsPerMs, process: record, between };
  const unused = new LatencyHistogram();
  await runOpenLoop({ ...loop, durationMs: checkpointIntervalMs, histogramOf: () => unused });
  const histograms: Readonly<Record<During, LatencyHistogram>> = {
    outside: new LatencyHistogram(),
    checkpoint: new LatencyHistogram(),
    materialization: new LatencyHistogram(),
  };
  const completed = counters.completed;
  const materialized = counters.backend.stats().changelog?.materializations ?? 0;
  const series = new Series(performance.now());
  const both = new Both(unused, unused);
  await runOpenLoop({
    ...loop,
    durationMs: load.openMs,
    histogramOf(intendedMs, doneMs) {
      const during = activity.during(intendedMs);
      both.one = histograms[during];
      both.other = series.at(doneMs, during);
      return both;
    },
  });
  await counters.quiet();
  return {
    recordsPerMs,
    histograms,
    series: series.points,
    checkpoints: counters.completed - completed,
    materializations: (counters.backend.stats().changelog?.materializations ?? 0) - materialized,
  };
}
