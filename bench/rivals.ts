// npm run bench:rivals -- --json
import { readArguments, withScratch } from "./support/command.ts";
import { Installation } from "./rivals/install.ts";
import { type MeasureId, measureIds } from "./rivals/measures.ts";
import { join } from "node:path";
import { nativeBench } from "./rivals/paths.ts";
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
  --only    only these

All lines are kept in native-bench/out. A miss does not change the exit code, which tells only whether
everything could be measured.
`;

const { json, quick, only } = readArguments(help, measureIds);
const chosen = measureIds.filter((id) => only === undefined || only.includes(id));
const report = new RivalReport(json, quick, join(nativeBench, "out"));
const installation = new Installation();

/** What was begun and not ended when the run is interrupted. */
let current = "the beginning";
process.once("SIGINT", () => interrupted("SIGINT"));
process.once("SIGTERM", () => interrupted("SIGTERM"));

function interrupted(signal: string): void {
  report.line({ interrupted: signal, during: current, partial: true, kept: report.path });
  process.exit(130);
}

async function measure(scratch: string): Promise<void> {
  const has = (...ids: readonly MeasureId[]): readonly MeasureId[] =>
    ids.filter((id) => chosen.includes(id));
  current = "E1, E2, E3";
  const operations = has("E1", "E2", "E3");
  if (operations.length > 0) {
    await measureOperations(report, installation, operations, quick, scratch);
  }
}

await withScratch(measure);
report.line({ bench: "rivals", missed: report.missed, notRun: report.notRun, kept: report.path });
if (report.notRun > 0) process.exitCode = 1;
