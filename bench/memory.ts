// npm run bench:memory -- --json --minutes 10
import { MIB } from "../src/index.ts";
import type { MemoryAssignment, MemoryResult, MemorySample } from "./memory/load.process.ts";
import { Child } from "./support/child.ts";
import { Report, progress, readArguments, withScratch } from "./support/command.ts";
import { spreadOf } from "./support/statistics.ts";

const help = `Usage: npm run bench:memory -- [--json] [--quick] [--minutes N] [--help]

Memory of a process whose state is ten times the budget: read-modify-write and new keys, with a
checkpoint every second (A5).

  --json       one JSON object a line
  --minutes N  how long, 10 without it
  --quick      half a minute, and a smaller budget
`;

const { json, quick, minutes: askedMinutes } = readArguments(help);
const report = new Report(json);
const minutes = askedMinutes ?? (quick ? 0.5 : 10);
const memoryBudgetBytes = (quick ? 32 : 128) * MIB;
const stateBytes = 10 * memoryBudgetBytes;
const allowedAboveBudget = 150 * MIB;
const askedGrowth = 1.05;
/** The run in tenths: minute 2 and minute 10 of ten. */
const parts = 10;

function anonymousOf(sample: MemorySample): number {
  return sample.anonymous + sample.shared;
}

function printParts(result: MemoryResult): number[] {
  const partMs = (minutes * 60_000) / parts;
  const largest: number[] = [];
  for (let part = 0; part < parts; part++) {
    const samples = result.samples.filter(({ atMs }) => Math.floor(atMs / partMs) === part);
    if (samples.length === 0) {
      // No sample is no figure: a growth of NaN is not ok.
      largest.push(Number.NaN);
      continue;
    }
    const anonymous = spreadOf(samples.map(anonymousOf));
    largest.push(anonymous.max);
    report.line({
      bench: "memory",
      minute: ((part + 1) * minutes) / parts,
      anonymousBytes: anonymous.median,
      anonymousBytesMax: anonymous.max,
      fileBytesMax: Math.max(...samples.map(({ file }) => file)),
    });
  }
  return largest;
}

function printMeasures(result: MemoryResult, largest: readonly number[]): void {
  const anonymous = spreadOf(result.samples.map(anonymousOf));
  const peak = Math.max(anonymous.max, result.loadedRssBytes);
  const growth = largest[parts - 1]! / largest[1]!;
  const { records, newKeys, checkpoints, coldReads } = result;
  report.measure({
    id: "A5",
    name: "RssAnon + RssShmem, largest",
    value: peak,
    asked: `<= ${memoryBudgetBytes + allowedAboveBudget}`,
    ok: peak <= memoryBudgetBytes + allowedAboveBudget,
    unit: "bytes",
    floor: memoryBudgetBytes,
    ratio: peak / memoryBudgetBytes,
    spread: anonymous,
    details: {
      idleBytes: result.idleBytes,
      aboveBudgetBytes: peak - memoryBudgetBytes,
      fileBytesMax: Math.max(...result.samples.map(({ file }) => file)),
      stateBytes,
      records,
      newKeys,
      checkpoints,
      coldReads,
    },
  });
  report.measure({
    id: "A5",
    name: "largest of the last tenth / of the second (minute 10 / minute 2 of ten)",
    value: growth,
    asked: `<= ${askedGrowth}`,
    ok: growth <= askedGrowth,
    unit: "ratio",
    floor: 1,
    ratio: growth,
    details: { minutes },
  });
}

await withScratch(async (directory) => {
  progress(`memory: ${stateBytes / MIB} MiB of state, then ${minutes} minutes`);
  const child = new Child(new URL("./memory/load.process.js", import.meta.url));
  const assignment: MemoryAssignment = {
    directory,
    memoryBudgetBytes,
    stateBytes,
    milliseconds: minutes * 60_000,
  };
  try {
    const result = await child.call<MemoryResult>("run", assignment);
    printMeasures(result, printParts(result));
    if (result.checkpointError === undefined) return;
    report.line({ bench: "memory", error: `a checkpoint failed: ${result.checkpointError}` });
    process.exitCode = 1;
  } finally {
    await child.close();
  }
});
