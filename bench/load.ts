// npm run load -- --json --state-gb 5 --minutes 3
import { statfs } from "node:fs/promises";
import { freemem } from "node:os";
import { GIB, MIB } from "../src/index.ts";
import type { ChurnResult, Sample } from "./load/load.process.ts";
import { type LoadPlan, type LoadResult, allOf, runLoad } from "./load/rounds.ts";
import {
  Report,
  refuse,
  progress,
  readOptions,
  scratchParent,
  withScratch,
} from "./support/command.ts";
import { percentile, spreadOf } from "./support/statistics.ts";

const help = `Usage: npm run load -- [--json] [--quick] [--state-gb N] [--minutes M] [--rate R] [--help]

A load test with much state: rows of 1 KB loaded in key order, blocks of 32 KB, policy "changelog", a
checkpoint every second, a memory budget of 512 MiB (1 GiB from 50 GB on). Three records of four go to
one row in a hundred, the others to all; sessions come and go. The job is killed and started again
several times, and at the end rescaled from one task to two. Every record checks the version that it
finds; after each start rows are compared whole with what a generator computes.

  --json        one JSON object a line
  --state-gb N  1 to 90, 5 without it: needs about 2.5 times that on the disk
  --minutes M   of churn, 3 without it
  --rate R      records a second, 5,000 without it
  --quick       0.2 GB, half a minute of churn, a budget of 64 MiB: under a minute
`;

const options = readOptions(help, ["state-gb", "rate"]);
const report = new Report(options.json);
const isQuick = options.quick;
const stateGb = options.number("state-gb", isQuick ? 0.2 : 5, 0.1, 90);
const minutes = options.minutes ?? (isQuick ? 0.4 : 3);
const recordsPerSecond = options.number("rate", 5000, 1, 1_000_000);
const memoryBudgetBytes = isQuick ? 64 * MIB : stateGb >= 50 ? GIB : 512 * MIB;
const stateBytes = stateGb * 1e9;
const diskFactor = 2.5;
/** For the rest of the process and the parent. */
const otherMemoryBytes = 600 * MIB;

const askedStallMs = 1000;
const askedGrowth = 1.05;
const askedDurationGrowth = 1.2;

/** Says what does not fit before anything is written. */
async function checkRoom(): Promise<void> {
  const { bavail, bsize } = await statfs(scratchParent());
  const free = bavail * bsize;
  const gb = (count: number): string => `${(count / 1e9).toFixed(1)} GB`;
  if (free < stateBytes * diskFactor) {
    const needed = gb(stateBytes * diskFactor);
    refuse(
      `${stateGb} GB of state need ${needed} of disk, ${gb(free)} are free: take a smaller --state-gb, or another disk by VARVE_BENCH_DIR`,
    );
  }
  const neededMemory = memoryBudgetBytes + otherMemoryBytes;
  if (freemem() < neededMemory) {
    refuse(`the test needs ${gb(neededMemory)} of memory, ${gb(freemem())} are free`);
  }
}

function printChurn(churns: readonly ChurnResult[]): void {
  for (const [round, churn] of churns.entries()) {
    report.line({
      bench: "load",
      round: round + 1,
      records: churn.records,
      recordsPerSecond: churn.records / churn.seconds,
      checkpoints: churn.checkpointMs.length,
      checkpointMsP50: percentile(churn.checkpointMs, 50),
      checkpointMsP99: percentile(churn.checkpointMs, 99),
      pauseMsP99: percentile(churn.pauseMs, 99),
      longestStallMs: churn.longestStallMs,
      recordMsP999: churn.msP999,
      materializations: churn.materializations,
      coldReads: churn.coldReads,
      anonymousBytesMax: Math.max(...churn.samples.map(({ anonymousBytes }) => anonymousBytes)),
      handlesMax: Math.max(...churn.samples.map(({ handles }) => handles)),
    });
  }
}

/** Largest of the last third over largest of the second one, in each round: the first one warms up. */
function growthOf(churns: readonly ChurnResult[], of: (sample: Sample) => number): number {
  const growths = churns.map(({ samples }) => {
    const third = Math.ceil(samples.length / 3);
    const largest = (part: number): number =>
      Math.max(...samples.slice(part * third, (part + 1) * third).map(of));
    return largest(2) / largest(1);
  });
  return percentile(growths, 50);
}

function printMeasures(plan: LoadPlan, { churns, restarts, unkilled, rescale }: LoadResult): void {
  const stalls = spreadOf(churns.map(({ longestStallMs }) => longestStallMs));
  report.measure({
    id: "load",
    name: "longest time without a record processed",
    value: stalls.max,
    asked: `<= ${askedStallMs}`,
    ok: stalls.max <= askedStallMs,
    unit: "ms",
    spread: stalls,
  });
  const memory = growthOf(churns, ({ anonymousBytes }) => anonymousBytes);
  report.measure({
    id: "load",
    name: "anonymous memory, last third / second third of a round",
    value: memory,
    asked: `<= ${askedGrowth}`,
    ok: memory <= askedGrowth,
    unit: "ratio",
    details: {
      anonymousBytesMax: Math.max(
        ...churns.flatMap(({ samples }) => samples.map(({ anonymousBytes }) => anonymousBytes)),
      ),
      memoryBudgetBytes: plan.memoryBudgetBytes,
      handlesGrowth: growthOf(churns, ({ handles }) => handles),
      threadsGrowth: growthOf(churns, ({ threads }) => threads),
    },
  });
  const growths = churns.map(({ checkpointMs }) => {
    const half = checkpointMs.length >> 1;
    return percentile(checkpointMs.slice(half), 50) / percentile(checkpointMs.slice(0, half), 50);
  });
  const duration = spreadOf(growths);
  report.measure({
    id: "load",
    name: "checkpoint duration p50, second half / first half of a round",
    value: duration.median,
    asked: `<= ${askedDurationGrowth}`,
    ok: duration.median <= askedDurationGrowth,
    unit: "ratio",
    spread: duration,
    details: {
      msP50: percentile(
        churns.flatMap(({ checkpointMs }) => checkpointMs),
        50,
      ),
      msMax: Math.max(...churns.flatMap(({ checkpointMs }) => checkpointMs)),
      checkpoints: churns.reduce((total, { checkpointMs }) => total + checkpointMs.length, 0),
    },
  });
  const first = spreadOf(restarts.map(({ firstRecordMs }) => firstRecordMs));
  report.line({
    bench: "load",
    restarts: restarts.length,
    msToFirstRecord: first.median,
    min: first.min,
    max: first.max,
    msToVerified: spreadOf(restarts.map(({ verifiedMs }) => verifiedMs)).median,
    rescaleMsToFirstRecord: rescale.firstRecordMs,
    rescaleMsToVerified: rescale.verifiedMs,
  });
  const { compared, differing, example } = allOf([
    ...restarts.map(({ rows }) => rows),
    ...unkilled,
    rescale.rows,
  ]);
  const wrong = churns.reduce((total, one) => total + one.wrong, 0);
  report.measure({
    id: "load",
    name: "rows that differ: compared whole, and met by records",
    value: differing + wrong,
    asked: "0",
    ok: differing + wrong === 0 && compared > 0,
    unit: "rows",
    details: {
      compared,
      records: churns.reduce((total, one) => total + one.records, 0),
      ...(example === undefined ? {} : { example }),
    },
  });
}

await checkRoom();
await withScratch(async (directory) => {
  const rounds = isQuick ? 2 : Math.max(2, Math.min(5, Math.floor(minutes)));
  const plan: LoadPlan = {
    directory,
    rows: Math.floor(stateBytes / 1000),
    memoryBudgetBytes,
    recordsPerSecond,
    rounds,
    roundMs: (minutes * 60_000) / rounds,
    verifiedSamples: isQuick ? 500 : 2000,
  };
  progress(`load: ${stateGb} GB of state`);
  const result = await runLoad(plan);
  report.line({
    bench: "load",
    stateBytes,
    rows: plan.rows,
    memoryBudgetBytes,
    fillSeconds: result.fillSeconds,
    fillMbPerSecond: stateBytes / 1e6 / result.fillSeconds,
  });
  printChurn(result.churns);
  printMeasures(plan, result);
});
