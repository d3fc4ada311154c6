// E9: restores and rescales, from the checkpoints of equal rows to the first row read.
import { mkdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../../src/index.ts";
import { progress } from "../support/command.ts";
import { spreadOf } from "../support/statistics.ts";
import type { RowsAssignment } from "./cold.ts";
import { type Contestant, LineChild, OwnChild } from "./contestant.ts";
import { flinkCommand } from "./flink.ts";
import type { Installation } from "./install.ts";
import type { RivalReport } from "./rival-report.ts";
import { type Question, type Rates, notRunRow, ratioRow } from "./rows.ts";

export type RestoreOf = "whole" | "split" | "merge" | "changelog";

export interface RestoreTimes {
  readonly usableMs: number;
  /** Until each task has read a row. */
  readonly firstMs: number;
  /** Until a thousand rows were read. */
  readonly withReadsMs: number;
  /** Until every byte was verified; what does not verify has none. */
  readonly verifiedMs?: number | undefined;
}

export interface Prepared {
  readonly stateBytes: number;
  /** Of base and log together. */
  readonly withLog?: number | undefined;
}

const managedBytes = 256 * MIB;
const valueBytes = 100;
const diskFactor = 20;

interface Restore {
  readonly what: RestoreOf;
  readonly name: string;
  readonly asked: number;
  readonly rivalName: string;
}

const restores: readonly Restore[] = [
  { what: "whole", name: "restore", asked: 0.3, rivalName: "Flink RocksDB, incremental" },
  { what: "split", name: "split 1 to 2", asked: 0.2, rivalName: "Flink RocksDB, ingest mode" },
  { what: "merge", name: "merge 2 to 1", asked: 0.3, rivalName: "Flink RocksDB, ingest mode" },
  {
    what: "changelog",
    name: "restore of base and log of 8 × 1 %",
    asked: 0.15,
    rivalName: "Flink RocksDB with changelog",
  },
];

interface Series {
  readonly behind: RestoreTimes[];
  readonly before: RestoreTimes[];
  readonly theirs: RestoreTimes[];
}

export async function measureRecovery(
  report: RivalReport,
  installation: Installation,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const keys = isQuick ? 100_000 : 10_000_000;
  const directory = join(scratch, "recovery");
  const { bavail, bsize } = await statfs(scratch);
  const because =
    bavail * bsize < keys * valueBytes * diskFactor
      ? `the disk has only ${Math.floor((bavail * bsize) / 1e9)} GB free`
      : await installation.absence("flink");
  if (because !== undefined) return printMissing(report, keys, because);
  const children: Contestant[] = [];
  try {
    const ours = await enter(children, "varve", keys, directory);
    const rocksdb = await enter(children, "rocksdb", keys, directory);
    const chosen = isQuick ? restores.slice(0, 2) : restores;
    const includes = (of: RestoreOf): boolean => chosen.some(({ what }) => what === of);
    const changelog = includes("changelog")
      ? await enter(children, "rocksdb-changelog", keys, directory)
      : undefined;
    progress("E9: preparing Varve");
    const prepared = await ours.call<Prepared>("prepare");
    if (includes("merge")) await ours.call("halve");
    progress("E9: preparing Flink RocksDB");
    await rocksdb.call("prepare");
    if (includes("merge")) await rocksdb.call("halve");
    for (const restore of chosen) {
      try {
        const theirs = restore.what === "changelog" ? changelog! : rocksdb;
        if (theirs === changelog) {
          progress("E9: preparing Flink changelog");
          await changelog.call("prepare");
        }
        const series = await measureOne(restore, ours, theirs, isQuick ? 3 : 5);
        print(report, keys, restore, series, prepared);
      } catch (error) {
        // One that a rival does not get through leaves the others.
        report.row(notRunRow(questionOf(restore, keys), restore.rivalName, messageOf(error)));
      }
    }
  } catch (error) {
    printMissing(report, keys, messageOf(error));
  } finally {
    await Promise.all(children.map((child) => child.close()));
    await rm(directory, { recursive: true, force: true });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function enter(
  children: Contestant[],
  backend: string,
  keys: number,
  directory: string,
): Promise<Contestant> {
  const own = join(directory, backend);
  await mkdir(own, { recursive: true });
  // The changelog keeps what it has not uploaded: with 2 GB its first checkpoint waited for ever.
  const heapMegabytes = backend === "rocksdb-changelog" ? 4096 : 2048;
  const child =
    backend === "varve"
      ? new OwnChild(new URL("./recovery.process.js", import.meta.url))
      : new LineChild(flinkCommand({ heapMegabytes, collector: "G1", isPreTouched: false }));
  children.push(child);
  const assignment: RowsAssignment = {
    subject: "rows",
    backend,
    keys,
    valueBytes,
    managedBytes,
    ingest: true,
    prefetch: false,
    directory: own,
  };
  await child.call("open", assignment);
  return child;
}

async function measureOne(
  { what, name }: Restore,
  ours: Contestant,
  theirs: Contestant,
  repetitions: number,
): Promise<Series> {
  const series: Series = { behind: [], before: [], theirs: [] };
  // The first of each is not counted: its classes and its code are not compiled yet.
  for (let repetition = -1; repetition < repetitions; repetition++) {
    progress(`E9: ${name}, ${repetition + 1} of ${repetitions}`);
    const flinkWhat = what === "changelog" ? "whole" : what;
    const behind = await ours.call<RestoreTimes>("restore", { what, verification: "behind" });
    const before = await ours.call<RestoreTimes>("restore", { what, verification: "before" });
    const other = await theirs.call<RestoreTimes>("restore", { what: flinkWhat });
    if (repetition < 0) continue;
    series.behind.push(behind);
    series.before.push(before);
    series.theirs.push(other);
  }
  return series;
}

function questionOf({ name, asked }: Restore, keys: number): Question {
  const size = `${(keys * valueBytes) / 1e6} MB`;
  return {
    id: "E9",
    name: `${name}, ${size}, verified behind, to the first row`,
    asked,
    bound: "at most",
    figuresUnit: "ms",
  };
}

function printMissing(report: RivalReport, keys: number, because: string): void {
  for (const restore of restores) {
    report.row(notRunRow(questionOf(restore, keys), restore.rivalName, because));
  }
}

function print(
  report: RivalReport,
  keys: number,
  restore: Restore,
  series: Series,
  prepared: Prepared,
): void {
  const ratesOf = (
    name: string,
    times: readonly RestoreTimes[],
    of: keyof RestoreTimes,
  ): Rates => ({
    name,
    perRepetition: times.map((time) => time[of] ?? Number.NaN),
  });
  const ours = ratesOf("Varve", series.behind, "firstMs");
  const theirs = ratesOf(restore.rivalName, series.theirs, "firstMs");
  const question = questionOf(restore, keys);
  const ofBefore = ratioRow(question, ratesOf("before", series.before, "firstMs"), theirs);
  const withReads = ratioRow(
    question,
    ratesOf("Varve", series.behind, "withReadsMs"),
    ratesOf(restore.rivalName, series.theirs, "withReadsMs"),
  );
  const verified = spreadOf(series.behind.map(({ verifiedMs }) => verifiedMs ?? Number.NaN));
  report.row(
    ratioRow(question, ours, theirs, {
      "× verified before": ofBefore.value,
      verifiedBeforeMs: ofBefore.ours,
      "× with 1,000 reads": withReads.value,
      behindVerifiedAfterMs: verified.median,
      stateBytes: restore.what === "changelog" ? prepared.withLog : prepared.stateBytes,
    }),
  );
}
