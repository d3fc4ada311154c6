// The disk as a loss of power could leave it at every system call of a job on the real LevelDB: what strace
// recorded is applied to a file system in memory call by call; after each call that file system loses, by
// several policies, what was not synced. What the checkpoint directory then holds is restored from by
// the code that verifies restores, and for some by the whole job. Distinct by the hash of everything in it.
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import type { CrashMode } from "../../../src/environment/memory-file-system.ts";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import type { WritableFile } from "../../../src/index.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { canTrace, tracerCommand } from "../../support/tracer.ts";
import { ownTree } from "../build/tree.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";
import type { JobStart } from "../workload/job.process.ts";
import { runJob } from "../workload/run-job.ts";
import { STATE_CALLS, type TracedCall, parseTrace } from "./parse-trace.ts";
import { readNewest } from "./read-newest.ts";
import { restartOn } from "./restart.ts";

const BYTES_SHOWN_MAX = 2_000_000;
const CHECKPOINTS = 6;
/** Besides the one that keeps what was synced and nothing else: a share of what was not. */
const SHARES = [0.1, 0.5, 0.9, 1] as const;
const ALMOST_ONE = 0.999_999;
/** Of the distinct states, with the whole job, which takes most of a second. */
const RESTART_EVERY = 100;
/** Has nothing in common with it: other places of every trace. */
const RESTART_STEP = 37;

type Policy = JobStart["policy"];
const policies: readonly Policy[] = ["full", "incremental", "changelog"];

class CrashStatesRun implements PartRun {
  readonly #seen = new Set<string>();

  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    const root = quickDirectory("varve-states-");
    try {
      const start = startOf(root, seed);
      const calls = await record(root, start);
      tally.count("calls", calls.length);
      await this.#replay(calls, start, tally);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
    return tally;
  }

  async #replay(calls: readonly TracedCall[], start: JobStart, tally: Tally): Promise<void> {
    const { seed } = start;
    const store = join(start.root, "checkpoints");
    const disk = new TracedDisk();
    await disk.begin(dirname(start.root));
    const random = seededRandom(seed);
    let acknowledged = 0;
    for (const [index, call] of calls.entries()) {
      if (call.kind === "said") {
        const [word, offset] = call.line.split(" ");
        if (word === "completed") acknowledged = Number(offset);
      } else await disk.apply(call);
      const modes: readonly CrashMode[] = [
        "synced-only",
        ...SHARES.map((share) => () => (random() < share ? random() : ALMOST_ONE)),
      ];
      for (const mode of modes) {
        const left = disk.fileSystem.crash(mode);
        const digest = await digestOf(left, store);
        if (this.#seen.has(`${acknowledged} ${digest}`)) continue;
        this.#seen.add(`${acknowledged} ${digest}`);
        const what = `call ${index} of seed ${seed}`;
        await judge(left, store, acknowledged, what, tally);
        if ((tally.trials++ + seed * RESTART_STEP) % RESTART_EVERY === 0) {
          await restartOn(left, start, acknowledged, what, tally);
        }
      }
    }
  }

  async close(): Promise<void> {}
}

function startOf(root: string, seed: number): JobStart {
  return {
    root: join(root, "job"),
    seed,
    backend: "lsm",
    policy: policies[seed % 3]!,
    localRecovery: false,
    restoreVerification: "before",
    checkpoints: CHECKPOINTS,
  };
}

async function record(root: string, start: JobStart): Promise<TracedCall[]> {
  const trace = join(root, "trace");
  const tracer = [...tracerCommand, "-y", "-xx", "-s", String(BYTES_SHOWN_MAX), "-o", trace];
  const wrapper = [...tracer, "-e", `trace=${STATE_CALLS}`];
  const end = await runJob({ start, tree: ownTree, wrapper, msMax: 90_000 });
  if (end.ended !== "done") throw new Error(`the traced job ${end.ended}: ${end.errors}`);
  return parseTrace(readFileSync(trace, "utf8"), root);
}

/** The traced files, in memory. Every call was seen to succeed: so it must here. */
class TracedDisk {
  readonly fileSystem: MemoryFileSystem = new MemoryFileSystem();
  readonly #files = new Map<string, WritableFile>();

  /** What was there before the job. */
  async begin(root: string): Promise<void> {
    await this.fileSystem.makeDirectory(root);
    this.fileSystem.syncAll();
  }

  async apply(call: Exclude<TracedCall, { kind: "said" }>): Promise<void> {
    const { fileSystem } = this;
    switch (call.kind) {
      case "makeDirectory":
        await fileSystem.makeDirectory(call.path);
        return;
      case "create":
        if ((await fileSystem.stat(call.path)) !== undefined) return; // Opened once more.
        this.#files.set(call.path, await fileSystem.create(call.path));
        return;
      case "write":
        await this.#files.get(call.path)?.write(call.bytes);
        return;
      case "sync":
        if ((await fileSystem.stat(call.path))?.kind === "directory") {
          await fileSystem.syncDirectory(call.path);
        } else if ((await fileSystem.stat(call.path)) !== undefined) {
          await fileSystem.syncFile(call.path);
        }
        return;
      case "link":
        await fileSystem.link(call.from, call.to);
        return;
      case "rename":
        await fileSystem.rename(call.from, call.to);
        return;
      case "unlink":
        await fileSystem.removeTree(call.path);
        return;
    }
  }
}

async function digestOf(fileSystem: MemoryFileSystem, folder: string): Promise<string> {
  const hash = createHash("sha256");
  const walk = async (path: string): Promise<void> => {
    const stat = await fileSystem.stat(path);
    hash.update(`${path} ${stat?.kind}\n`);
    if (stat?.kind === "file") hash.update(await fileSystem.readFile(path));
    if (stat?.kind !== "directory") return;
    for (const name of await fileSystem.readDirectory(path)) await walk(`${path}/${name}`);
  };
  await walk(folder);
  return hash.digest("hex");
}

async function judge(
  left: MemoryFileSystem,
  store: string,
  acknowledged: number,
  what: string,
  tally: Tally,
): Promise<void> {
  try {
    const offset = await readNewest(left, store);
    if (offset < acknowledged) tally.fail("lost", `${offset} after ${acknowledged}, ${what}`);
    else tally.count(offset === 0 ? "nothingYet" : "restored");
  } catch (error) {
    tally.fail("unreadable", `${what}, acknowledged ${acknowledged}: ${String(error)}`);
  }
}

export const crashStates: Part = {
  name: "crash-states",
  what: "what a loss of power can leave at each recorded system call",
  unit: "distinct states",
  asked: 100_000,
  sliceSeeds: 1,
  trialSecondsMax: 600,
  obstacle: () => (canTrace() ? undefined : "there is no strace"),
  open: async () => new CrashStatesRun(),
};
