// C1 and C2: how long a checkpoint takes, beside the floor of the same bytes, in turns.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type CompletedCheckpoint, KIB, MIB } from "../../src/index.ts";
import { type Report, progress } from "../support/command.ts";
import { percentile, spreadOf } from "../support/statistics.ts";
import { DurableFloor } from "./floor.ts";
import {
  type Bases,
  RowState,
  type SubjectOptions,
  bytesOfRow,
  changelogOf,
  rowsChangedBy,
  rowsOf,
} from "./subject.ts";

const valueBytes = 100;
const askedRatio = 1.5;
const askedAboveMs = 2;
const askedTailRatio = 2;
/** Pairs before those that count. */
const warmUp = 10;

/** Durations of checkpoints and of the floor, in the order in which they were taken. */
interface Pairs {
  readonly oursMs: number[];
  readonly floorsMs: number[];
  readonly checkpoints: CompletedCheckpoint[];
}

export async function measureDurations(
  report: Report,
  bases: Bases,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const rows = rowsOf((isQuick ? 100 : 1000) * 1e6, valueBytes);
  const directory = join(scratch, "durations");
  await mkdir(directory);
  const state = await RowState.open(directory, await bases.of(rows), rows, {
    policy: "changelog",
    memoryBudgetBytes: 256 * MIB,
  });
  const floor = new DurableFloor(join(directory, "floor"));
  try {
    for (const megabytes of [0.01, 0.1, 1, 4, 8]) {
      const changed = rowsChangedBy(rows, megabytes * 1e6);
      const schedule = { changed, overMs: Math.max(30, megabytes * 25) };
      const count = isQuick ? 8 : 60;
      const pairs = await takePairs(state, floor, schedule, count, `C1: ${megabytes} MB`);
      reportSize(report, changed * bytesOfRow(rows), pairs, state);
    }
  } finally {
    floor.close();
    await state.backend.close();
  }
  await rm(directory, { recursive: true });
}

function reportSize(report: Report, netBytes: number, pairs: Pairs, state: RowState): void {
  const ours = spreadOf(pairs.oursMs);
  const floor = spreadOf(pairs.floorsMs).median;
  const ratio = ours.median / floor;
  const isLargest = netBytes > 7.9e6;
  const value = isLargest ? ratio : ours.median - floor;
  report.measure({
    id: "C1",
    name: `checkpoint duration p50, ${(netBytes / 1e6).toFixed(2)} MB of net change`,
    value,
    asked: isLargest ? `<= ${askedRatio} x floor` : `<= floor + ${askedAboveMs} ms`,
    ok: value <= (isLargest ? askedRatio : askedAboveMs),
    unit: isLargest ? "ratio" : "ms above the floor",
    floor,
    ratio,
    spread: ours,
    details: {
      netBytes,
      count: pairs.oursMs.length,
      stateBytes: state.rows.count * bytesOfRow(state.rows),
      msP99: percentile(pairs.oursMs, 99),
      floorMsP99: percentile(pairs.floorsMs, 99),
      ...phasesOf(pairs.checkpoints, 99),
    },
  });
}

export async function measureTail(
  report: Report,
  bases: Bases,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const rows = rowsOf(100e6, valueBytes);
  const directory = join(scratch, "tail");
  await mkdir(directory);
  // Small memory and a short log: the LSM drains, compacts and is captured all the time.
  const options: SubjectOptions = {
    policy: "changelog",
    memoryBudgetBytes: 48 * MIB,
    changelog: { materializationLogBytes: (isQuick ? 4 : 24) * MIB, segmentBytes: 16 * MIB },
  };
  const state = await RowState.open(directory, await bases.of(rows), rows, options);
  const floor = new DurableFloor(join(directory, "floor"));
  try {
    const before = state.backend.stats();
    const changed = rowsChangedBy(rows, 512 * KIB);
    const count = isQuick ? 80 : 5000;
    const pairs = await takePairs(state, floor, { changed, overMs: 10 }, count, "C2");
    const { drains } = state.backend.stats();
    reportTail(report, pairs, changed * bytesOfRow(rows), state, drains - before.drains);
  } finally {
    floor.close();
    await state.backend.close();
  }
  await rm(directory, { recursive: true });
}

function reportTail(
  report: Report,
  { oursMs, floorsMs, checkpoints }: Pairs,
  netBytes: number,
  state: RowState,
  drains: number,
): void {
  const ours = percentile(oursMs, 99.9);
  const floor = percentile(floorsMs, 99.9);
  const { materializations, failedMaterializations } = changelogOf(state.backend);
  report.measure({
    id: "C2",
    name: "checkpoint duration p99.9 / the floor's, while the LSM compacts and materializes",
    value: ours / floor,
    asked: `<= ${askedTailRatio}`,
    ok: ours / floor <= askedTailRatio && materializations > 0,
    unit: "ratio",
    floor,
    ratio: ours / floor,
    spread: spreadOf(oursMs),
    details: {
      count: oursMs.length,
      netBytes,
      msP999: ours,
      msP99: percentile(oursMs, 99),
      floorMsP50: percentile(floorsMs, 50),
      floorMsP99: percentile(floorsMs, 99),
      floorMsMax: Math.max(...floorsMs),
      ...phasesOf(checkpoints, 99.9),
      materializations,
      failedMaterializations,
      drains,
    },
  });
}

interface Schedule {
  /** Rows between two checkpoints, and the time over which they come. */
  readonly changed: number;
  readonly overMs: number;
}

/** Changes, then a checkpoint and the floor; which of the two is first alternates. */
async function takePairs(
  state: RowState,
  floor: DurableFloor,
  { changed, overMs }: Schedule,
  count: number,
  name: string,
): Promise<Pairs> {
  const pairs: Pairs = { oursMs: [], floorsMs: [], checkpoints: [] };
  const netBytes = changed * bytesOfRow(state.rows);
  for (let pair = -warmUp; pair < count; pair++) {
    if (pair % 10 === 0) progress(`${name}: checkpoint ${pair} of ${count}`);
    await state.changeEvenly(changed, overMs);
    let floorMs = pair % 2 === 0 ? floor.write(netBytes) : undefined;
    const start = performance.now(); // Until whoever awaits it goes on.
    const checkpoint = await state.backend.checkpoint();
    const ms = performance.now() - start;
    floorMs ??= floor.write(netBytes);
    if (pair < 0) continue;
    pairs.oursMs.push(ms);
    pairs.floorsMs.push(floorMs);
    pairs.checkpoints.push(checkpoint);
  }
  return pairs;
}

/** The pause, and how long each phase took at the median and at the given percentile. */
function phasesOf(
  checkpoints: readonly CompletedCheckpoint[],
  percent: number,
): Record<string, number> {
  const of = (name: keyof CompletedCheckpoint["phases"], at: number): number =>
    percentile(
      checkpoints.map(({ phases }) => phases[name]),
      at,
    );
  const found: Record<string, number> = {};
  for (const name of ["sealMs", "cutMs", "appendMs", "syncMs", "metadataMs"] as const) {
    found[`${name}P50`] = of(name, 50);
    found[`${name}P${String(percent).replace(".", "")}`] = of(name, percent);
  }
  return found;
}
