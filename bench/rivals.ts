// npm run bench:rivals -- --json
import { rmSync } from "node:fs";
import { basename, join } from "node:path";
import { readArguments, withScratch } from "./support/command.ts";
import { measureAmplification } from "./rivals/amplification.ts";
import { measureCold } from "./rivals/cold.ts";
import { Installation } from "./rivals/install.ts";
import { measureJobs } from "./rivals/job.ts";
import { type MeasureId, chosenOf, measureIds } from "./rivals/measures.ts";
import { rivalOperations } from "./rivals/operations.ts";
import { nativeBench } from "./rivals/paths.ts";
import { measureRecovery } from "./rivals/recovery.ts";
import { RivalReport } from "./rivals/rival-report.ts";
import { measureOperations } from "./rivals/state-operations.ts";

const help = `Usage: npm run bench:rivals -- [--json] [--quick] [--only E1,E3] [--help]

Varve beside its rivals on this machine, in one run, repetition by repetition in turn: Apache Flink's
backends (Maven), RocksDB and LevelDB natively (Debian), lmdb, SQLite and others (npm). What is missing is
installed; a rival that cannot be has a row that says "not run, because ...".

E1  state operations / Flink RocksDB          E6  keyed count from end to end / Flink's MiniCluster
E2  state operations / Flink heap             E7  bytes stored by it for each record / Flink
E3  string keys made per record / Map         E8  write amplification / classic-level
E4  cold, uniform / Flink, classic-level, lmdb     E9  restore and rescale / Flink RocksDB
E5  cold, zipf 0.99 / the same                further  value operations / other engines

  --json    one JSON object a line
  --quick   smaller states, fewer repetitions and rivals: under a minute once all is installed
  --only    only these; also names of operations (valueGet, mapIterator, ...) for E1 to E3

All lines are kept in native-bench/out. A miss does not change the exit code, which tells only whether
everything could be measured.
`;

const operationNames = rivalOperations.map(({ name }) => name);
const { json, quick, only } = readArguments(help, [...measureIds, ...operationNames]);
const { measures: chosen, operations: chosenOperations } = chosenOf(only);
const report = new RivalReport(json, quick, join(nativeBench, "out"));
const installation = new Installation();
/** As the command's help names it: results are committed, and no path of a machine with them. */
const kept = `native-bench/out/${basename(report.path)}`;

/** What was begun and not ended when the run is interrupted. */
let current = "the beginning";
let scratchOfRun: string | undefined;
process.once("SIGINT", () => interrupted("SIGINT"));
process.once("SIGTERM", () => interrupted("SIGTERM"));

/** The results so far are kept; the children end with their standard input, or their channel. */
function interrupted(signal: string): void {
  report.line({ interrupted: signal, during: current, partial: true, kept });
  if (scratchOfRun !== undefined)
    rmSync(scratchOfRun, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  process.exit(130);
}

async function measure(scratch: string): Promise<void> {
  scratchOfRun = scratch;
  const has = (...ids: readonly MeasureId[]): readonly MeasureId[] =>
    ids.filter((id) => chosen.includes(id));
  current = "E1, E2, E3, further";
  const operations = has("E1", "E2", "E3", "further");
  if (operations.length > 0) {
    await measureOperations(report, installation, operations, chosenOperations, quick, scratch);
  }
  current = "E6, E7";
  const jobs = has("E6", "E7");
  if (jobs.length > 0) await measureJobs(report, installation, jobs, quick, scratch);
  current = "E4, E5";
  const cold = has("E4", "E5");
  if (cold.length > 0) await measureCold(report, installation, cold, quick, scratch);
  current = "E9";
  if (chosen.includes("E9")) await measureRecovery(report, installation, quick, scratch);
  current = "E8";
  if (chosen.includes("E8")) await measureAmplification(report, installation, quick, scratch);
}

await withScratch(measure);
report.line({ bench: "rivals", missed: report.missed, notRun: report.notRun, kept });
if (report.notRun > 0) process.exitCode = 1;
