// The whole job on a disk as a loss of power left it: its working directory and its output too, LevelDB
// opens the tables, every state is compared with the model, and one more checkpoint completes.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import type { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { ownTree } from "../build/tree.ts";
import type { Tally } from "../part.ts";
import type { JobStart } from "../workload/job.process.ts";
import { runJob } from "../workload/run-job.ts";

const RESTART_MS_MAX = 60_000;

/** `start.root` is where the job's files are in `left`. */
export async function restartOn(
  left: MemoryFileSystem,
  start: JobStart,
  acknowledged: number,
  what: string,
  tally: Tally,
): Promise<void> {
  const root = quickDirectory("varve-restart-");
  try {
    await copyOut(left, start.root, root);
    const restart: JobStart = { ...start, root, checkpoints: 1 };
    const end = await runJob({ start: restart, tree: ownTree, msMax: RESTART_MS_MAX });
    tally.count("restarted");
    for (const [kind, text] of end.faults) tally.fail(kind, `${text}, ${what}`);
    if (end.ended === "stuck") tally.fail("stuck", what);
    else if (end.ended !== "done") tally.fail("wrong", `${end.errors.slice(-600)}, ${what}`);
    if (end.restored !== undefined && end.restored < acknowledged) {
      tally.fail("lost", `the job restored ${end.restored} after ${acknowledged}, ${what}`);
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function copyOut(left: MemoryFileSystem, from: string, to: string): Promise<void> {
  const walk = async (path: string): Promise<void> => {
    const target = join(to, relative(from, path));
    const stat = await left.stat(path);
    if (stat?.kind === "file") await writeFile(target, await left.readFile(path));
    if (stat?.kind !== "directory") return;
    await mkdir(target, { recursive: true, mode: 0o700 });
    for (const name of await left.readDirectory(path)) await walk(join(path, name));
  };
  await walk(from);
}
