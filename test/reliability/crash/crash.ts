// kill -9 of a job with state of every kind and exactly-once output: at random times, at fail points, at a
// mutating system call, and again while it recovers.
//   lost        an acknowledged checkpoint is not there, or committed output is gone
//   duplicated  a record is in the output twice
//   wrong       state or output differs from the model at the restored offset
//   abortedRead output of a checkpoint that is not complete is visible
//   leaked      after the end there are files that nothing references
//   stuck       a recovery takes longer than 10 s
import { rmSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import { type CheckpointPolicy, fileSystemStorage } from "../../../src/index.ts";
import { auditStorage } from "../../support/storage-audit.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { canTrace, tracerCommand } from "../../support/tracer.ts";
import { findFailPoints } from "../build/fail-points.ts";
import { treeWithFailPoints } from "../build/tree.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";
import type { JobStart } from "../workload/job.process.ts";
import {
  type JobEnd,
  type JobOptions,
  type JobWord,
  type Kill,
  runJob,
} from "../workload/run-job.ts";

const KILLS_PER_LIFE = 10;
const RECOVERY_MS_MAX = 10_000;
/** Tracing makes it several times slower. */
const TRACED_SHARE = 0.03;
const AGAIN_SHARE = 0.05;
const CHECKPOINTS_MAX = 6;
/** Calls that change names or bytes, as strace knows them. */
const MUTATING = "write,pwrite64,writev,fsync,fdatasync,rename,link,unlink,mkdir,ftruncate,openat";

type Choose = (below: number) => number;

const policies: readonly CheckpointPolicy[] = ["full", "incremental", "changelog"];
const points = findFailPoints().map(({ name }) => name);

class CrashRun implements PartRun {
  readonly #tree = treeWithFailPoints();
  readonly #canTrace = canTrace();
  readonly #reached = new Set<string>();

  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    const root = quickDirectory("varve-crash-");
    try {
      await this.#live(seed, root, tally);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
    return tally;
  }

  async #live(seed: number, root: string, tally: Tally): Promise<void> {
    const random = seededRandom(seed);
    const choose: Choose = (below) => Math.floor(random() * below);
    const backend = seed % 6 === 0 ? "memory" : "lsm";
    const localRecovery = seed % 5 === 0;
    const known = { acknowledged: 0, restored: 0 };
    const startOf = (checkpoints: number): JobStart => ({
      root,
      seed,
      backend,
      policy: backend === "memory" ? "full" : policies[choose(3)]!,
      localRecovery,
      restoreVerification: backend === "lsm" && choose(4) === 0 ? "behind" : "before",
      checkpoints,
    });
    for (let kill = 0; kill < KILLS_PER_LIFE; kill++) {
      const start = startOf(CHECKPOINTS_MAX);
      // Mostly there is something to lose from the first kill on.
      const isFirst = kill === 0 && choose(4) > 0;
      const options = isFirst
        ? { start, tree: this.#tree, kill: lateKill(choose(25)) }
        : this.#kill(start, seed * 31 + kill, random, choose);
      if (!(await this.#run(options, known, tally))) return;
      if (random() >= AGAIN_SHARE) continue;
      const again = { word: "opening", count: 1, delayMs: choose(120) } as const;
      const recovering = { start: startOf(CHECKPOINTS_MAX), tree: this.#tree, kill: again };
      tally.count("again");
      if (!(await this.#run(recovering, known, tally))) return;
    }
    if (!(await this.#run({ start: startOf(4), tree: this.#tree }, known, tally))) return;
    await audit(root, seed, tally);
  }

  #kill(start: JobStart, turn: number, random: () => number, choose: Choose): JobOptions {
    const tree = this.#tree;
    if (this.#canTrace && random() < TRACED_SHARE) {
      const inject = `inject=${MUTATING}:signal=SIGKILL:when=${1 + choose(200)}`;
      const wrapper = [...tracerCommand, "-o", "/dev/null", "-e", `trace=${MUTATING}`];
      return { start, tree, wrapper: [...wrapper, "-e", inject], kill: lateKill(choose(25)) };
    }
    if (random() < 0.6) {
      const name = points[turn % points.length]!; // All of them, however few the trials.
      const failPoint = [name, choose(3) > 0 ? 1 : 1 + choose(6)] as const;
      return { start, tree, failPoint, kill: lateKill(choose(25)) };
    }
    const words: readonly JobWord[] = ["completed", "completed", "committed", "restored"];
    const kill = { word: words[choose(4)]!, count: 1 + choose(4), delayMs: random() * 25 };
    return { start, tree, kill: kill.word === "restored" ? { ...kill, count: 1 } : kill };
  }

  /** False if there is no sense in going on with this life. */
  async #run(
    options: JobOptions,
    known: { acknowledged: number; restored: number },
    tally: Tally,
  ): Promise<boolean> {
    const end = await runJob(options);
    const before = tally.failures.length;
    const { policy, backend, restoreVerification } = options.start as JobStart;
    const what = `${backend}, ${policy}, ${restoreVerification}, killed at ${killText(options)}`;
    if (end.restored !== undefined) {
      if (end.restored < known.acknowledged) {
        tally.fail("lost", `${end.restored} after ${known.acknowledged}, ${what}`);
      }
      known.acknowledged = end.restored;
      known.restored++;
    }
    for (const [kind, text] of end.faults) tally.fail(kind, `${text}, ${what}`);
    if (end.ended === "stuck" || (end.recoveryMs ?? 0) > RECOVERY_MS_MAX) {
      tally.fail("stuck", `${end.recoveryMs} ms, ${what}`);
    }
    if (end.ended === "failed") {
      const kind = end.errors.includes("AssertionError") ? "wrong" : "failed";
      tally.fail(kind, `${end.errors.slice(-600)}, ${what}`);
    }
    known.acknowledged = end.completed.at(-1) ?? known.acknowledged;
    this.#count(options, end, tally);
    return tally.failures.length === before;
  }

  /** A kill counts if the job had something to lose: an earlier checkpoint, or one of its own. */
  #count({ failPoint, wrapper, kill }: JobOptions, end: JobEnd, tally: Tally): void {
    const isAtTime = end.wasKilledAsAsked && kill !== undefined;
    if (end.ended !== "killed") {
      tally.count(end.ended === "done" ? "ranToItsEnd" : end.ended);
      return;
    }
    if (end.completed.length === 0 && (end.restored ?? 0) === 0 && kill?.word !== "opening") {
      tally.count("killedTooEarly");
      return;
    }
    tally.trials++;
    if (isAtTime) tally.count("atRandomTime");
    else if (failPoint !== undefined) {
      tally.count("atFailPoint");
      this.#reached.add(failPoint.join(" "));
    } else tally.count(wrapper === undefined ? "atRandomTime" : "atSystemCall");
  }

  details(): Readonly<Record<string, unknown>> {
    const names = new Set([...this.#reached].map((pair) => pair.split(" ")[0]));
    return {
      failPoints: points.length,
      failPointsReached: names.size,
      failPointHits: this.#reached.size,
      systemCalls: this.#canTrace ? "traced" : "not run, because there is no strace",
    };
  }

  async close(): Promise<void> {}
}

/** Where a life would end by itself: also if the fail point or the call was not reached. */
function lateKill(delayMs: number): Kill {
  return { word: "completed", count: CHECKPOINTS_MAX - 1, delayMs };
}

function killText({ kill, failPoint, wrapper }: JobOptions): string {
  return JSON.stringify([failPoint ?? wrapper?.at(-1), kill].filter(Boolean));
}

/** What is left when a life is over: everything is referenced, and everything referenced is there. */
async function audit(root: string, seed: number, tally: Tally): Promise<void> {
  const storage = fileSystemStorage(join(root, "checkpoints"));
  const { missing, unreadable, unreferenced } = await auditStorage(storage);
  if (missing.length > 0) tally.fail("lost", `files ${missing.join(" ")}, seed ${seed}`);
  if (unreadable.length > 0) tally.fail("lost", `checkpoints ${unreadable.join(" ")}`);
  if (unreferenced.length > 0) tally.fail("leaked", unreferenced.join(" "));
}

export const crash: Part = {
  name: "crash",
  what: "kill -9 at random times, at fail points and at system calls",
  unit: "kills",
  asked: 10_000,
  sliceSeeds: 1,
  trialSecondsMax: 400,
  open: async () => new CrashRun(),
};
