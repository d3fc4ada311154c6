// E6 and E7: the keyed count from end to end with checkpoints every second, and what it stores.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../../src/index.ts";
import { progress } from "../support/command.ts";
import { percentile, spreadOf } from "../support/statistics.ts";
import { type Contestant, LineChild, OwnChild } from "./contestant.ts";
import { flinkCommand } from "./flink.ts";
import { type Installation, eatMyData } from "./install.ts";
import type { MeasureId } from "./measures.ts";
import type { RivalReport } from "./rival-report.ts";
import { type Question, type Rates, bestOf, notRunRow, ratioRow } from "./rows.ts";
import { StoredGrowth } from "./stored-growth.ts";

export interface JobAssignment {
  readonly subject: "job";
  readonly backend: string;
  readonly keys: number;
  readonly valueBytes: number;
  readonly intervalMs: number;
  readonly managedBytes: number;
  readonly directory: string;
}

export interface JobWindow {
  readonly ops: number;
  readonly millis: number;
  readonly checkpointMs: readonly number[];
  readonly failed: number;
}

export interface JobVerdict {
  readonly verifiedKeys: number;
  readonly mismatches: number;
}

interface Plan {
  readonly keys: number;
  readonly valueBytes: number;
  readonly repetitions: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
  readonly backends: readonly JobBackend[];
}

interface JobBackend {
  readonly name: string;
  readonly backend: string;
  readonly heapMegabytes: number;
}

const rocksdb: JobBackend = {
  name: "Flink RocksDB, incremental, chained",
  backend: "rocksdb",
  heapMegabytes: 2048,
};
const changelog: JobBackend = {
  name: "Flink RocksDB with changelog, chained",
  backend: "rocksdb-changelog",
  heapMegabytes: 2048,
};
const heap: JobBackend = { name: "Flink heap, chained", backend: "heap", heapMegabytes: 4096 };
const varve: JobBackend = { name: "Varve", backend: "varve", heapMegabytes: 0 };
/** As Flink's files are: what of a checkpoint's duration is the price of durable files. */
const unsynced: JobBackend = { ...varve, name: "Varve, nothing synced" };
const managedBytes = 256 * MIB;

interface Outcome {
  readonly name: string;
  readonly recordsPerSecond: number[];
  readonly checkpointP50: number[];
  readonly checkpointP99: number[];
  readonly bytesPerRecord: number[];
  readonly child: Contestant;
  readonly checkpoints: string;
  /** Of all repetitions. */
  readonly durations: number[];
  failed: number;
}

export async function measureJobs(
  report: RivalReport,
  installation: Installation,
  asked: readonly MeasureId[],
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const small: Plan = isQuick
    ? {
        keys: 50_000,
        valueBytes: 8,
        repetitions: 2,
        warmUpMs: 500,
        windowMs: 1500,
        backends: [changelog],
      }
    : {
        keys: 500_000,
        valueBytes: 8,
        repetitions: 5,
        warmUpMs: 5000,
        windowMs: 15_000,
        backends: [unsynced, rocksdb, changelog, heap],
      };
  await measurePlan(report, installation, asked, small, join(scratch, "job"));
  if (isQuick) return;
  const backends = [unsynced, rocksdb, changelog];
  const wide = { ...small, valueBytes: 1000, repetitions: 3, backends };
  await measurePlan(report, installation, asked, wide, join(scratch, "wide-job"));
}

async function measurePlan(
  report: RivalReport,
  installation: Installation,
  asked: readonly MeasureId[],
  plan: Plan,
  directory: string,
): Promise<void> {
  const absence = await installation.absence("flink");
  if (absence !== undefined) return printMissing(report, asked, plan, absence);
  const outcomes: Outcome[] = [];
  try {
    const noPreload = plan.backends.includes(unsynced)
      ? await installation.absence("eatmydata")
      : undefined;
    for (const backend of [varve, ...plan.backends]) {
      if (backend === unsynced && noPreload !== undefined) continue;
      outcomes.push(await open(backend, plan, directory));
    }
    for (let repetition = 0; repetition < plan.repetitions; repetition++) {
      for (const outcome of outcomes) {
        progress(`job, ${plan.valueBytes} B: ${outcome.name}, ${repetition + 1}`);
        await runOnce(outcome, plan);
      }
    }
    print(report, asked, plan, outcomes, noPreload);
  } catch (error) {
    printMissing(report, asked, plan, error instanceof Error ? error.message : String(error));
  } finally {
    await Promise.all(outcomes.map(({ child }) => child.close()));
    await rm(directory, { recursive: true, force: true });
  }
}

async function open(backend: JobBackend, plan: Plan, directory: string): Promise<Outcome> {
  const own = join(directory, backend.name.replaceAll(/\W+/g, "-"));
  await mkdir(own, { recursive: true });
  const { heapMegabytes } = backend;
  const child =
    backend.backend === "varve"
      ? new OwnChild(new URL("./job.process.js", import.meta.url), [], variablesOf(backend))
      : new LineChild(flinkCommand({ heapMegabytes, collector: "G1", isPreTouched: false }));
  const assignment: JobAssignment = {
    subject: "job",
    backend: backend.backend,
    keys: plan.keys,
    valueBytes: plan.valueBytes,
    intervalMs: 1000,
    managedBytes,
    directory: own,
  };
  await child.call("open", assignment);
  return {
    name: backend.name,
    recordsPerSecond: [],
    checkpointP50: [],
    checkpointP99: [],
    bytesPerRecord: [],
    child,
    checkpoints: join(own, "checkpoints"),
    durations: [],
    failed: 0,
  };
}

function variablesOf(backend: JobBackend): Readonly<Record<string, string>> {
  return backend === unsynced ? { LD_PRELOAD: eatMyData } : {};
}

async function runOnce(outcome: Outcome, { warmUpMs, windowMs }: Plan): Promise<void> {
  const { child } = outcome;
  await child.call("start", { warmUpMs });
  const growth = await StoredGrowth.watch(outcome.checkpoints);
  const window = await child.call<JobWindow>("window", { millis: windowMs });
  const storedBytes = await growth.end();
  const { mismatches, verifiedKeys } = await child.call<JobVerdict>("finish");
  if (mismatches > 0) {
    throw new Error(`${outcome.name} has ${mismatches} wrong counts of ${verifiedKeys}`);
  }
  if (window.checkpointMs.length === 0) {
    throw new Error(`${outcome.name} completed no checkpoint within the window`);
  }
  outcome.recordsPerSecond.push((window.ops / window.millis) * 1000);
  outcome.checkpointP50.push(percentile(window.checkpointMs, 50));
  outcome.checkpointP99.push(percentile(window.checkpointMs, 99));
  outcome.bytesPerRecord.push(storedBytes / window.ops);
  outcome.durations.push(...window.checkpointMs);
  outcome.failed += window.failed;
}

type Series = "recordsPerSecond" | "checkpointP99" | "bytesPerRecord";

interface Comparison {
  readonly id: MeasureId;
  readonly what: string;
  readonly series: Series;
  readonly ours: JobBackend;
  /** Against the best of these. */
  readonly against: readonly JobBackend[];
  readonly asked: number | null;
  readonly bound: "at least" | "at most";
  readonly figuresUnit: string;
}

function comparisonsOf({ valueBytes, backends }: Plan): readonly Comparison[] {
  const isWide = valueBytes > 8;
  const rate = {
    id: "E6",
    what: "records per second",
    series: "recordsPerSecond",
    ours: varve,
    bound: "at least",
    figuresUnit: "records/s",
  } as const;
  const p99 = {
    ...rate,
    what: "checkpoint p99",
    series: "checkpointP99",
    bound: "at most",
    figuresUnit: "ms",
  } as const;
  const stored = {
    ...p99,
    id: "E7",
    what: "bytes stored per record",
    series: "bytesPerRecord",
    figuresUnit: "B/record",
  } as const;
  const rocks = [rocksdb, changelog];
  /** With the durability of Flink's files, which is none. */
  const alike = { ours: unsynced, against: rocks, asked: null };
  const all: readonly Comparison[] = [
    { ...rate, against: rocks, asked: isWide ? 3 : 8 },
    { ...rate, against: [heap], asked: 0.6 },
    { ...p99, against: rocks, asked: 0.3 },
    { ...stored, against: [rocksdb], asked: 1 },
    { ...stored, against: [changelog], asked: 0.3 },
    { ...rate, ...alike, what: `${rate.what}, nothing synced on either side` },
    { ...p99, ...alike, what: `${p99.what}, nothing synced on either side` },
  ];
  const contestants = [varve, ...backends];
  return all.filter(
    ({ ours, against }) =>
      contestants.includes(ours) && against.some((one) => contestants.includes(one)),
  );
}

function questionOf(comparison: Comparison, { valueBytes }: Plan): Question {
  const name = `keyed count, ${valueBytes} B values: ${comparison.what}`;
  return { ...comparison, name };
}

function printMissing(
  report: RivalReport,
  asked: readonly MeasureId[],
  plan: Plan,
  because: string,
): void {
  for (const comparison of comparisonsOf(plan)) {
    if (!asked.includes(comparison.id)) continue;
    const names = comparison.against.map(({ name }) => name).join(" or ");
    report.row(notRunRow(questionOf(comparison, plan), names, because));
  }
}

function print(
  report: RivalReport,
  asked: readonly MeasureId[],
  plan: Plan,
  outcomes: readonly Outcome[],
  noPreload: string | undefined,
): void {
  for (const comparison of comparisonsOf(plan)) {
    if (!asked.includes(comparison.id)) continue;
    const question = questionOf(comparison, plan);
    const best = bestRates(rivalsIn(outcomes, comparison), comparison)!;
    const mine = outcomes.find(({ name }) => name === comparison.ours.name);
    if (mine === undefined) {
      report.row(notRunRow(question, best.name, noPreload ?? "it was not started"));
      continue;
    }
    const details = Object.fromEntries(outcomes.map((outcome) => [outcome.name, textOf(outcome)]));
    report.row(ratioRow(question, ratesOf(mine, comparison), best, details));
  }
}

function rivalsIn(outcomes: readonly Outcome[], { against }: Comparison): Outcome[] {
  return outcomes.filter(({ name }) => against.some((backend) => backend.name === name));
}

function ratesOf(outcome: Outcome, { series }: Comparison): Rates {
  return { name: outcome.name, perRepetition: outcome[series] };
}

function bestRates(rivals: readonly Outcome[], comparison: Comparison): Rates | undefined {
  const rates = rivals.map((rival) => ratesOf(rival, comparison));
  return bestOf(rates, comparison.bound === "at least" ? "highest" : "lowest");
}

/** All of a contestant's figures, for people. */
function textOf(outcome: Outcome): string {
  const { recordsPerSecond, bytesPerRecord, durations, failed } = outcome;
  return [
    `${Math.round(spreadOf(recordsPerSecond).median)} records/s`,
    `checkpoints p50 ${percentile(durations, 50).toFixed(1)} ms, p99 ${percentile(durations, 99).toFixed(1)} ms` +
      ` (${durations.length} completed, ${failed} failed)`,
    `${spreadOf(bytesPerRecord).median.toFixed(2)} B/record`,
  ].join("; ");
}
