// C10: files and syncs of a checkpoint of eight tasks in one process.
import { execFile } from "node:child_process";
import { mkdir, readFile, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Report, progress } from "../support/command.ts";
import { type Syncs, countSyncs } from "./sync-trace.ts";
import type { TaskFigures } from "./tasks.process.ts";

const run = promisify(execFile);
const script = fileURLToPath(new URL("./tasks.process.js", import.meta.url));

export async function measureTasks(
  report: Report,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const directory = join(await realpath(scratch), "tasks");
  await mkdir(directory);
  progress("C10");
  const isTraced = await canTrace();
  const trace = join(scratch, "tasks-trace");
  const traced = ["-f", "-y", "-qq", "-e", "trace=fsync,fdatasync", "-o", trace, process.execPath];
  const job = [script, directory, String(isQuick ? 10 : 50)];
  const { stdout } = isTraced
    ? await run("strace", [...traced, ...job, "traced"])
    : await run(process.execPath, job);
  const figures = JSON.parse(stdout) as TaskFigures;
  if (isTraced) {
    reportTasks(report, figures, countSyncs(await readFile(trace, "utf8"), directory));
  } else {
    report.line({
      id: "C10",
      note: "strace does not run here: syncs are those of the main thread's environment, without other threads'",
    });
    const { sync, syncFile, syncDirectory } = figures.calls;
    reportTasks(report, figures, undefined, sync + syncFile + syncDirectory);
  }
  await rm(directory, { recursive: true });
}

async function canTrace(): Promise<boolean> {
  try {
    await run("strace", ["-f", "-qq", "-o", "/dev/null", "true"]);
    return true;
  } catch {
    return false; // Not installed, or not allowed to.
  }
}

function reportTasks(
  report: Report,
  { checkpoints, newFiles, newMetadata, calls }: TaskFigures,
  syncs: Syncs | undefined,
  countedSyncs: number = Number.NaN,
): void {
  const dataSyncs = (syncs?.data ?? countedSyncs) / checkpoints;
  const filesEach = newFiles / checkpoints;
  report.measure({
    id: "C10",
    name: "data syncs a checkpoint, 8 tasks in one process",
    value: dataSyncs,
    asked: "1, at most 1 new data file, plus metadata",
    ok: syncs !== undefined && dataSyncs <= 1 && filesEach <= 1,
    unit: "syncs",
    details: {
      checkpoints,
      newDataFiles: filesEach,
      newMetadataFiles: newMetadata / checkpoints,
      ...(syncs === undefined
        ? {}
        : {
            syncsOfDataDirectory: syncs.names / checkpoints,
            syncsOfMetadata: syncs.metadata / checkpoints,
            syncsOfWorkingFiles: syncs.working / checkpoints,
          }),
      createdByMainThread: calls.create / checkpoints,
      syncsByMainThread: (calls.sync + calls.syncFile + calls.syncDirectory) / checkpoints,
    },
  });
}
