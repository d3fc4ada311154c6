// C3: duration and pause of checkpoints as the state grows, at the same rate of changes. All sizes
// are open at once and take turns in blocks, so that the machine's own moods meet all of them.
import { mkdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../../src/index.ts";
import { watched } from "../checkpoint/longest-block.ts";
import { type Report, progress } from "../support/command.ts";
import { percentile, spreadOf } from "../support/statistics.ts";
import { DurableFloor } from "./floor.ts";
import { type Bases, RowState, bytesOfRow, rowsChangedBy, rowsOf } from "./subject.ts";

const valueBytes = 1000;
const netBytes = 1e6;
const overMs = 30;
const askedSlope = 0.05;
const askedPauseMs = 1;
const warmUp = 10;
/** Of a state: the database, its checkpoints, and what compaction writes before it deletes. */
const diskFactor = 4;

interface Size {
  readonly stateBytes: number;
  readonly state: RowState;
  readonly floor: DurableFloor;
  readonly oursMs: number[];
  readonly floorsMs: number[];
  readonly pausesMs: number[];
  readonly blocksMs: number[];
}

export async function measureGrowth(
  report: Report,
  bases: Bases,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const directory = join(scratch, "growth");
  await mkdir(directory);
  const sizes: Size[] = [];
  try {
    for (const stateBytes of isQuick ? [10e6, 100e6] : [10e6, 100e6, 1000e6, 10_000e6]) {
      const { bavail, bsize } = await statfs(scratch);
      if (bavail * bsize < stateBytes * diskFactor) {
        const free = `${Math.floor((bavail * bsize) / 1e9)} GB free`;
        report.line({ id: "C3", stateBytes, skipped: `the disk has no room: ${free}` });
        continue;
      }
      sizes.push(await openSize(bases, stateBytes, directory));
    }
    const blocks = isQuick ? 2 : 5;
    const perBlock = isQuick ? 10 : 40;
    for (let block = 0; block < blocks; block++) {
      // Forwards and backwards: what lasts longer than a block meets small and large ones alike.
      for (const size of block % 2 === 0 ? sizes : sizes.toReversed()) {
        progress(`C3: ${size.stateBytes / 1e6} MB, block ${block + 1} of ${blocks}`);
        await takeBlock(size, perBlock);
      }
    }
    reportGrowth(report, sizes);
  } finally {
    for (const { state, floor } of sizes) {
      floor.close();
      await state.backend.close();
    }
  }
  await rm(directory, { recursive: true });
}

async function openSize(bases: Bases, stateBytes: number, directory: string): Promise<Size> {
  const rows = rowsOf(stateBytes, valueBytes);
  const own = join(directory, `${rows.count}`);
  await mkdir(own);
  const state = await RowState.open(own, await bases.of(rows), rows, {
    policy: "changelog",
    memoryBudgetBytes: 128 * MIB,
    // Verified all the same, before the first checkpoint: loading 10 GB need not wait for it.
    restoreVerification: "behind",
  });
  const floor = new DurableFloor(join(own, "floor"));
  await state.backend.checkpoint();
  return { stateBytes, state, floor, oursMs: [], floorsMs: [], pausesMs: [], blocksMs: [] };
}

async function takeBlock(size: Size, count: number): Promise<void> {
  const { state, floor } = size;
  const changed = rowsChangedBy(state.rows, netBytes);
  for (let checkpoint = -warmUp; checkpoint < count; checkpoint++) {
    await state.changeEvenly(changed, overMs);
    const floorMs = floor.write(changed * bytesOfRow(state.rows));
    const { result, longestMs, elapsedMs } = await watched(() => state.backend.checkpoint());
    if (checkpoint < 0) continue;
    size.oursMs.push(elapsedMs);
    size.floorsMs.push(floorMs);
    size.pausesMs.push(result.pauseMs);
    size.blocksMs.push(longestMs);
  }
}

function reportGrowth(report: Report, sizes: readonly Size[]): void {
  for (const { stateBytes, oursMs, floorsMs, pausesMs, blocksMs } of sizes) {
    report.line({
      bench: "changelog",
      id: "C3",
      stateBytes,
      netBytes,
      checkpoints: oursMs.length,
      ...spreadOf(oursMs),
      msP99: percentile(oursMs, 99),
      floor: percentile(floorsMs, 50),
      pauseMsP50: percentile(pausesMs, 50),
      pauseMsP99: percentile(pausesMs, 99),
      longestBlockMsP50: percentile(blocksMs, 50),
      longestBlockMsP99: percentile(blocksMs, 99),
    });
  }
  const decades = sizes.map(({ stateBytes }) => Math.log10(stateBytes));
  const durations = sizes.map(({ oursMs }) => percentile(oursMs, 50));
  const floors = sizes.map(({ floorsMs }) => percentile(floorsMs, 50));
  const slope = slopeOf(decades, durations) / durations[0]!;
  const all = sizes.flatMap(({ oursMs }) => oursMs);
  const details = {
    smallestStateBytes: sizes[0]!.stateBytes,
    largestStateBytes: sizes.at(-1)!.stateBytes,
  };
  report.measure({
    id: "C3",
    name: "duration p50 as the state grows: slope per decade, of the smallest state's",
    value: slope,
    asked: `<= ${askedSlope}`,
    ok: slope <= askedSlope,
    unit: "share per decade",
    floor: slopeOf(decades, floors) / floors[0]!,
    ratio: durations.at(-1)! / durations[0]!,
    spread: spreadOf(all),
    details,
  });
  const pauses = sizes.map(({ pausesMs }) => percentile(pausesMs, 99));
  const worst = Math.max(...pauses);
  report.measure({
    id: "C3",
    name: "pause of the main thread p99, the worst size",
    value: worst,
    asked: `<= ${askedPauseMs}`,
    ok: worst <= askedPauseMs,
    unit: "ms",
    spread: spreadOf(sizes.flatMap(({ pausesMs }) => pausesMs)),
    details,
  });
}

/** Of the straight line that fits best. */
function slopeOf(xs: readonly number[], ys: readonly number[]): number {
  const meanOf = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = meanOf(xs);
  const y = meanOf(ys);
  const above = xs.reduce((sum, one, i) => sum + (one - x) * (ys[i]! - y), 0);
  const below = xs.reduce((sum, one) => sum + (one - x) ** 2, 0);
  return above / below;
}
