// A bank of one to three tasks, through kills at random times, kills between completion and commit, pauses
// and changes of the number of tasks, with the checker of what is committed in each of its starts.
import { rmSync } from "node:fs";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import type { CheckpointPolicy } from "../../../src/index.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { ownTree } from "../build/tree.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";
import { type JobEnd, type Kill, runJob } from "../workload/run-job.ts";
import type { BankStart } from "./bank.process.ts";

const FAULTS_PER_LIFE = 8;
const TRANSFERS = 7000;
const policies: readonly CheckpointPolicy[] = ["full", "incremental", "changelog"];

class ExactlyOnceRun implements PartRun {
  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    const root = quickDirectory("varve-bank-");
    try {
      await live(seed, root, tally);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
    return tally;
  }

  async close(): Promise<void> {}
}

async function live(seed: number, root: string, tally: Tally): Promise<void> {
  const random = seededRandom(seed);
  const choose = (below: number): number => Math.floor(random() * below);
  let acknowledged = 0;
  let tasks = 0;
  for (let turn = 0; turn <= FAULTS_PER_LIFE; turn++) {
    const before = tasks;
    tasks = 1 + choose(3);
    const isLast = turn === FAULTS_PER_LIFE;
    const start: BankStart = {
      root,
      seed,
      tasks,
      tasksBefore: before,
      policy: policies[choose(3)]!,
      checkpoints: isLast ? 2 : 6,
      transfers: 1 + choose(TRANSFERS),
      diesAt: isLast || choose(2) === 0 ? 0 : 1 + choose(4), // Half of them.
    };
    const kill = start.diesAt > 0 || isLast ? undefined : killOf(choose, random);
    const pauseMs = kill !== undefined && choose(5) === 0 ? 50 + choose(300) : undefined;
    const entry = "exactly-once/bank.process.js";
    const end = await runJob({ start, entry, tree: ownTree, kill, pauseMs });
    const what = `${start.policy}, ${before} to ${tasks} tasks, ${JSON.stringify(kill)}`;
    if (end.restored !== undefined && end.restored < acknowledged) {
      tally.fail("lost", `${end.restored} after ${acknowledged}, ${what}`);
    }
    for (const [fault, text] of end.faults) tally.fail(fault, `${text}, ${what}`);
    if (end.ended === "failed" || end.ended === "stuck") {
      const isWrong = end.errors.includes("AssertionError");
      tally.fail(isWrong ? "wrong" : end.ended, `${end.errors.slice(-500)}, ${what}`);
    }
    if (tally.failures.length > 0) return;
    acknowledged = end.completed.at(-1) ?? end.restored ?? acknowledged;
    count(end, before > 0 && before !== tasks, pauseMs !== undefined, kill, tally);
    tally.count("records", Math.max(0, (end.completed.at(-1) ?? 0) - (end.restored ?? 0)));
  }
}

function killOf(choose: (below: number) => number, random: () => number): Kill {
  return { word: "committed", count: 1 + choose(4), delayMs: random() * 40 };
}

function count(
  end: JobEnd,
  isRescaled: boolean,
  isPaused: boolean,
  kill: Kill | undefined,
  tally: Tally,
): void {
  if (isRescaled) tally.count("rescaled");
  if (end.ended !== "killed") return;
  tally.trials++;
  if (isPaused) tally.count("paused");
  tally.count(end.completed.length > end.committed.length ? "betweenCompleteAndCommit" : "killed");
  if (kill !== undefined && !end.wasKilledAsAsked) tally.count("otherwise");
}

export const exactlyOnce: Part = {
  name: "exactly-once",
  what: "committed output of a bank, through kills, pauses and rescales",
  unit: "faults",
  asked: 1000,
  also: { kind: "records", asked: 10_000_000 },
  sliceSeeds: 1,
  trialSecondsMax: 300,
  open: async () => new ExactlyOnceRun(),
};
