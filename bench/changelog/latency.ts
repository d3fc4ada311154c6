// C9: latency of records in an open loop at half of the maximum rate, during checkpoints and
// materialization against outside.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../../src/index.ts";
import { type Report, progress } from "../support/command.ts";
import { LatencyHistogram, closedLoopRate, runOpenLoop } from "../support/open-loop.ts";
import { zipfNumbers } from "../support/sequences.ts";
import { Counters } from "./counters.ts";
import { changelogOf } from "./subject.ts";

const asked = 3;
const keyCount = 1_000_000;
const checkpointIntervalMs = 1000;

/** Whether a checkpoint or a materialization is under way, and when the last one ended. */
class BusyTimes {
  readonly #counters: Counters;
  #isMaterializing = false;
  #endedMs = 0;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** Once a turn: what goes on changes between two turns only. */
  look(): void {
    const { isMaterializing } = changelogOf(this.#counters.backend);
    if (this.#isMaterializing && !isMaterializing) this.ended();
    this.#isMaterializing = isMaterializing;
  }

  ended(): void {
    this.#endedMs = performance.now();
  }

  /** Of a record that was to start then and is done now. */
  has(intendedMs: number): boolean {
    const isBusy = this.#isMaterializing || this.#counters.isCheckpointing;
    return isBusy || intendedMs <= this.#endedMs;
  }
}

export async function measureLatency(
  report: Report,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const directory = join(scratch, "latency");
  const counters = await Counters.open(directory, keyCount, {
    policy: "changelog",
    memoryBudgetBytes: 256 * MIB,
    // So short that bases are made every few seconds.
    changelog: { materializationLogBytes: (isQuick ? 12 : 32) * MIB },
  });
  const keys = zipfNumbers(keyCount, 4_000_000, 0.99, 49);
  const busy = new BusyTimes(counters);
  const inside = new LatencyHistogram();
  const outside = new LatencyHistogram();
  const { backend } = counters;
  const record = (i: number): void => counters.increment(keys[i % keys.length]!);
  const drained = async (): Promise<void> => {
    if (backend.needsDrain) await backend.drained();
  };
  try {
    progress("C9: maximum rate");
    await closedLoopRate(500, record, drained);
    const maximum = await closedLoopRate(isQuick ? 1000 : 5000, record, drained);
    progress("C9: open loop");
    const recordsPerMs = maximum / 2;
    // An interval for the compiler, whose records count for nothing.
    const unused = new LatencyHistogram();
    let dueMs = performance.now();
    const between = async (): Promise<void> => {
      busy.look();
      if (performance.now() >= dueMs && !counters.isCheckpointing) {
        counters.beginCheckpoint(() => busy.ended());
        while (dueMs <= performance.now()) dueMs += checkpointIntervalMs;
      }
      await drained();
    };
    const loop = { recordsPerMs, process: record, between };
    await runOpenLoop({ ...loop, durationMs: 1000, histogramOf: () => unused });
    await runOpenLoop({
      ...loop,
      durationMs: isQuick ? 2500 : 60_000,
      histogramOf: (intendedMs) => (busy.has(intendedMs) ? inside : outside),
    });
    await counters.quiet();
    reportLatency(report, counters, recordsPerMs, inside, outside);
  } finally {
    await backend.close();
  }
  await rm(directory, { recursive: true });
}

function reportLatency(
  report: Report,
  counters: Counters,
  recordsPerMs: number,
  inside: LatencyHistogram,
  outside: LatencyHistogram,
): void {
  const ours = inside.percentile(99.9);
  const floor = outside.percentile(99.9);
  const { materializations } = changelogOf(counters.backend);
  report.measure({
    id: "C9",
    name: "latency p99.9 during checkpoints and materialization / outside, open loop at half rate",
    value: ours / floor,
    asked: `<= ${asked}`,
    ok: ours / floor <= asked && inside.count > 1000 && outside.count > 1000,
    unit: "ratio",
    floor,
    ratio: ours / floor,
    spread: { median: inside.percentile(50), min: inside.percentile(0), max: inside.maxMs },
    details: {
      recordsPerMs,
      recordsDuring: inside.count,
      recordsOutside: outside.count,
      msP999: ours,
      msP99: inside.percentile(99),
      outsideMsP50: outside.percentile(50),
      outsideMsP99: outside.percentile(99),
      outsideMsMax: outside.maxMs,
      checkpoints: counters.completed,
      materializations,
    },
  });
}
