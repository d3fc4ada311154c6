// A6: what a checkpoint holds up.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type CompletedCheckpoint, MIB } from "../../src/index.ts";
import { type Report, progress } from "../support/command.ts";
import { mean, percentile, spreadOf } from "../support/statistics.ts";
import { type Watched, watched } from "./longest-block.ts";
import { WideState } from "./wide-state.ts";

const askedMs = 5;
const memoryBudgetBytes = 256 * MIB;

interface SizePauses {
  readonly stateBytes: number;
  readonly blocksMs: readonly number[];
  readonly onCoreMs: readonly number[];
  readonly pausesMs: readonly number[];
  readonly floorsMs: readonly number[];
}

export async function measurePauses(
  report: Report,
  sizes: readonly number[],
  checkpoints: number,
  scratch: string,
): Promise<void> {
  const all: SizePauses[] = [];
  for (const stateBytes of sizes) {
    const directory = join(scratch, `pauses-${stateBytes}`);
    await mkdir(directory);
    all.push(await pausesOf(report, stateBytes, checkpoints, directory));
    await rm(directory, { recursive: true });
  }
  printMeasure(report, all);
}

async function pausesOf(
  report: Report,
  stateBytes: number,
  checkpoints: number,
  directory: string,
): Promise<SizePauses> {
  const megabytes = stateBytes / 1e6;
  progress(`pauses: loading ${megabytes} MB`);
  const state = await WideState.open(directory, "working", stateBytes, memoryBudgetBytes);
  const taken: Watched<CompletedCheckpoint>[] = [];
  const floorsMs: number[] = [];
  try {
    await state.load();
    for (let i = 0; i < checkpoints; i++) {
      progress(`pauses: ${megabytes} MB, checkpoint ${i + 1}`);
      if (i > 0) await state.change();
      const checkpoint = await watched(() => state.backend.checkpoint());
      taken.push(checkpoint);
      // The same loop, as long, and nothing going on.
      const idle = await watched(() => delay(Math.min(500, checkpoint.elapsedMs)));
      floorsMs.push(idle.longestMs);
    }
  } finally {
    await state.backend.close();
  }
  return printSize(report, stateBytes, taken, floorsMs);
}

function printSize(
  report: Report,
  stateBytes: number,
  taken: readonly Watched<CompletedCheckpoint>[],
  floorsMs: readonly number[],
): SizePauses {
  const blocksMs = taken.map(({ longestMs }) => longestMs);
  const onCoreMs = taken.map(({ longestOnCoreMs }) => longestOnCoreMs);
  const pausesMs = taken.map(({ result }) => result.pauseMs);
  const durationsMs = taken.map(({ result }) => result.durationMs);
  report.line({
    bench: "checkpoint",
    stateBytes,
    memoryBudgetBytes,
    checkpoints: taken.length,
    changedShare: 0.01,
    longestBlockMsP50: percentile(blocksMs, 50),
    longestBlockMsP99: percentile(blocksMs, 99),
    longestBlockMsFirst: blocksMs[0],
    onCoreBlockMsP50: percentile(onCoreMs, 50),
    onCoreBlockMsP99: percentile(onCoreMs, 99),
    floorBlockMsP50: percentile(floorsMs, 50),
    floorBlockMsP99: percentile(floorsMs, 99),
    pauseMsP50: percentile(pausesMs, 50),
    pauseMsP99: percentile(pausesMs, 99),
    durationMsFirst: durationsMs[0],
    durationMsP50: percentile(durationsMs, 50),
    durationMsP99: percentile(durationsMs, 99),
    uploadedBytesFirst: taken[0]?.result.uploadedBytes,
    uploadedBytesMean: mean(taken.slice(1).map(({ result }) => result.uploadedBytes)),
    totalBytes: taken.at(-1)?.result.totalBytes,
    fileCount: taken.at(-1)?.result.fileCount,
  });
  return { stateBytes, blocksMs, onCoreMs, pausesMs, floorsMs };
}

function printMeasure(report: Report, all: readonly SizePauses[]): void {
  const smallest = all[0]!;
  const largest = all.at(-1)!;
  const worst = Math.max(...all.map(({ blocksMs }) => percentile(blocksMs, 99)));
  const growth = percentile(largest.blocksMs, 50) - percentile(smallest.blocksMs, 50);
  const pauses = all.flatMap(({ pausesMs }) => pausesMs);
  const floor = Math.max(...all.map(({ floorsMs }) => percentile(floorsMs, 99)));
  report.measure({
    id: "A6",
    name: "longest block of the main thread in a checkpoint, p99 of the worst size",
    value: worst,
    asked: `<= ${askedMs}, not growing with the state (median by at most 1 ms)`,
    ok: worst <= askedMs && growth <= 1,
    unit: "ms",
    floor,
    ratio: worst / floor,
    spread: spreadOf(all.flatMap(({ blocksMs }) => blocksMs)),
    details: {
      medianGrowthMs: growth,
      smallestStateBytes: smallest.stateBytes,
      largestStateBytes: largest.stateBytes,
      onCoreMsP99: Math.max(...all.map(({ onCoreMs }) => percentile(onCoreMs, 99))),
      pauseMsP99: percentile(pauses, 99),
    },
  });
}
