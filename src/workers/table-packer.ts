// Writes the rows of a captured set of tables into dump files: what a scan would give, without
// LevelDB, so that it runs in the pool and never beside the live database's own threads.
//   P1. Of one key the entry with the highest sequence counts, whatever its level; a deletion hides
//       the others and is not written.
//   P2. Runs stand in the order of their current entries, so rows come out ascending.
import { typedFileError } from "../environment/typed-error.ts";
import { CorruptionError } from "../errors.ts";
import { EntryType, compareInternalKeys } from "../format/leveldb-internal-key.ts";
import { ROW_KEY_BYTES_MAX } from "../format/row-record.ts";
import { DumpWriter } from "./dump-writer.ts";
import { TableRun } from "./table-run.ts";
import { TaskStopped } from "./tasks.ts";
import type { PackedTable, TaskContext, WorkerTasks } from "./tasks.ts";

type Request = WorkerTasks["packTables"]["request"];
type Response = WorkerTasks["packTables"]["response"];

export async function packTables(request: Request, context: TaskContext): Promise<Response> {
  const { first } = request.keyGroups;
  const runs = pathsOfRuns(request.tables).map(
    (paths) => new TableRun(context.fileSystem, paths, first),
  );
  const writer = new DumpWriter(request, context, await context.tools());
  try {
    const rowCount = await writeNewest(runs, request, writer, context);
    return { files: await writer.finish(), rowCount };
  } catch (cause) {
    await writer.discard();
    if (cause instanceof TaskStopped) throw cause;
    throw typedFileError(`pack tables into ${request.pathPrefix}`, cause);
  } finally {
    for (const run of runs) await run.close();
  }
}

/** Paths of the tables of each run, in key order. */
function pathsOfRuns(tables: readonly PackedTable[]): string[][] {
  const levels = new Map<number, PackedTable[]>();
  const runs: string[][] = [];
  for (const table of tables) {
    if (table.level === 0) runs.push([table.path]);
    else levels.set(table.level, [...(levels.get(table.level) ?? []), table]);
  }
  for (const level of levels.values()) {
    level.sort((a, b) => compareInternalKeys(a.smallest, b.smallest));
    runs.push(level.map(({ path }) => path));
  }
  return runs;
}

async function writeNewest(
  all: readonly TableRun[],
  request: Request,
  writer: DumpWriter,
  context: TaskContext,
): Promise<number> {
  const { first, last } = request.keyGroups;
  const runs: TableRun[] = [];
  for (const run of all) {
    if (!(await toGroup(run, first))) continue;
    runs.push(run);
    for (let at = runs.length - 1; at > 0 && order(runs[at - 1]!, runs[at]!) > 0; at--) {
      [runs[at - 1], runs[at]] = [runs[at]!, runs[at - 1]!];
    }
  }
  const before = new Uint8Array(ROW_KEY_BYTES_MAX);
  let beforeBytes = 0;
  let rowCount = 0;
  for (let run = runs[0]; run !== undefined && run.keyGroup <= last; run = runs[0]) {
    const keyBytes = run.userKeyBytes;
    const difference = compare(before, beforeBytes, run.key, keyBytes);
    if (difference > 0) throw new CorruptionError("keys of tables do not ascend", "table", 0); // P2
    if (difference < 0) {
      beforeBytes = keyBytes;
      for (let at = 0; at < keyBytes; at++) before[at] = run.key[at]!;
      if (run.type === EntryType.value) {
        const { valueStart, valueEnd } = run;
        if (!writer.fits(keyBytes, valueEnd - valueStart)) await writer.makeRoom();
        writer.copy(run.key, keyBytes, run.content, valueStart, valueEnd); // P1
        rowCount++;
      }
    }
    if (!run.step()) {
      context.checkStop();
      if (!(await run.load())) {
        runs.shift();
        continue;
      }
    }
    sink(runs);
  }
  return rowCount;
}

/** Goes to the first entry of the key group or beyond; false if there is none. */
async function toGroup(run: TableRun, group: number): Promise<boolean> {
  let isThere = await run.load();
  while (isThere && run.keyGroup < group) isThere = run.step() || (await run.load());
  return isThere;
}

/** Puts the first run, which has moved on, in its place. */
function sink(runs: TableRun[]): void {
  const moved = runs[0]!;
  let at = 0;
  for (; at + 1 < runs.length && order(runs[at + 1]!, moved) < 0; at++) runs[at] = runs[at + 1]!;
  runs[at] = moved;
}

/** By key; of one key the newest first. */
function order(a: TableRun, b: TableRun): number {
  const difference = compare(a.key, a.userKeyBytes, b.key, b.userKeyBytes);
  if (difference !== 0) return difference;
  return b.trailerHigh - a.trailerHigh || b.trailerLow - a.trailerLow;
}

function compare(a: Uint8Array, aBytes: number, b: Uint8Array, bBytes: number): number {
  const bytes = Math.min(aBytes, bBytes);
  for (let at = 0; at < bytes; at++) {
    const difference = a[at]! - b[at]!;
    if (difference !== 0) return difference;
  }
  return aBytes - bBytes;
}
