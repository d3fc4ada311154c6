// C8: read-modify-writes a second with checkpoints and without, on one backend, in turns.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MIB } from "../../src/index.ts";
import { type Report, progress } from "../support/command.ts";
import { shuffled, zipfNumbers } from "../support/sequences.ts";
import { spreadOf } from "../support/statistics.ts";
import { Counters } from "./counters.ts";
import { changelogOf } from "./subject.ts";

const askedOf: Readonly<Record<number, number>> = { 1000: 0.9, 100: 0.75 };
const sliceMs = 2;
const recordsPerLook = 256;
const warmUpMs = 300;

interface Workload {
  readonly name: string;
  readonly keyCount: number;
  readonly keys: Int32Array;
  readonly isRated: boolean;
}

export async function measureThroughput(
  report: Report,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const zipf: Workload = {
    name: "zipf 0.99 over 1,000,000 keys",
    keyCount: 1_000_000,
    keys: zipfNumbers(1_000_000, 4_000_000, 0.99, 48),
    isRated: true,
  };
  const cyclic: Workload = {
    name: "cyclic 500,000 keys",
    keyCount: 500_000,
    keys: shuffled(500_000, 0, 42),
    isRated: false,
  };
  for (const workload of isQuick ? [zipf] : [zipf, cyclic]) {
    const directory = join(scratch, `throughput-${workload.keyCount}`);
    const counters = await Counters.open(directory, workload.keyCount, {
      policy: "changelog",
      memoryBudgetBytes: 256 * MIB,
    });
    try {
      await measureWorkload(report, counters, workload, isQuick);
    } finally {
      await counters.backend.close();
    }
    await rm(directory, { recursive: true });
  }
}

async function measureWorkload(
  report: Report,
  counters: Counters,
  workload: Workload,
  isQuick: boolean,
): Promise<void> {
  const rates = new Map<number, number[]>([
    [0, []],
    [1000, []],
    [100, []],
  ]);
  const checkpoints = new Map<number, number>();
  for (let repetition = 0; repetition < (isQuick ? 2 : 7); repetition++) {
    for (const [intervalMs, found] of rates) {
      progress(`C8: ${workload.name}, every ${intervalMs} ms, ${repetition + 1}`);
      // What an earlier turn began is not to slow this one.
      while (intervalMs === 0 && changelogOf(counters.backend).isMaterializing) await delay(20);
      await run(counters, workload.keys, warmUpMs, intervalMs);
      const before = counters.completed;
      found.push(await run(counters, workload.keys, isQuick ? 700 : 4000, intervalMs));
      const taken = counters.completed - before;
      checkpoints.set(intervalMs, (checkpoints.get(intervalMs) ?? 0) + taken);
    }
  }
  const { materializations } = changelogOf(counters.backend);
  const none = rates.get(0)!;
  for (const intervalMs of [1000, 100]) {
    const found = rates.get(intervalMs)!;
    const ratios = spreadOf(found.map((rate, i) => rate / none[i]!));
    const asked = askedOf[intervalMs]!;
    report.measure({
      id: "C8",
      name: `throughput with a checkpoint every ${intervalMs} ms / without, ${workload.name}`,
      value: ratios.median,
      asked: workload.isRated ? `>= ${asked}` : "none: printed beside",
      ok: !workload.isRated || ratios.median >= asked,
      unit: "ratio",
      floor: spreadOf(none).median,
      ratio: ratios.median,
      spread: ratios,
      details: {
        recordsPerMs: spreadOf(found).median,
        floorUnit: "records/ms",
        checkpoints: checkpoints.get(intervalMs)!,
        materializations,
      },
    });
  }
}

/** Records a millisecond. The first checkpoint begins after half an interval. */
async function run(
  counters: Counters,
  keys: Int32Array,
  durationMs: number,
  intervalMs: number,
): Promise<number> {
  const { backend } = counters;
  const start = performance.now();
  let dueMs = intervalMs === 0 ? Number.POSITIVE_INFINITY : start + intervalMs / 2;
  let now = start;
  let at = 0;
  let done = 0;
  while (now - start < durationMs) {
    for (const sliceStart = now; now - sliceStart < sliceMs;) {
      for (let record = 0; record < recordsPerLook; record++) {
        counters.increment(keys[at]!);
        if (++at === keys.length) at = 0;
      }
      done += recordsPerLook;
      now = performance.now();
      if (backend.needsDrain) break;
    }
    if (now >= dueMs && !counters.isCheckpointing) {
      counters.beginCheckpoint();
      // Those that were missed are skipped, not made up for.
      while (dueMs <= now) dueMs += intervalMs;
    }
    if (backend.needsDrain) await backend.drained();
    await new Promise((resolve) => setImmediate(resolve));
    now = performance.now();
  }
  await counters.quiet();
  return done / (now - start);
}
