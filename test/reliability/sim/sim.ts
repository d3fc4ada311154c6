// Deterministic simulation: one to three tasks, coordinator, registry and storage for real, on a disk in
// memory that loses what was not synced, with paused owners, declined, late and lost messages, unknown
// outcomes, clock jumps and rescales. After each step the storage is audited, and the rules R1 to R8 hold at
// each call of the disk. Every third life has the lsm backend, with all policies, over a toy in LevelDB's place
// (test/support/toy-database.ts) and an object store that throttles and does not tell what became of uploads.
// A simulated hour is 3,600 checkpoints with 360 faults: a life counts as many seconds as it has checkpoints, but
// at most ten for each of its faults.
import { runLife } from "../../lifecycle/life-run.ts";
import type { LifeResult } from "../../lifecycle/life-run.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";

const OPERATIONS_MAX = 200;
const REPEATED_EVERY = 50;
/** Not one of the seeds that are recorded for mutants. */
const LSM_EVERY = 3;
const HOUR_SECONDS = 3600;
const SECONDS_PER_FAULT_MAX = 10;

/** Operations of a life that are faults. */
const faults: ReadonlySet<string> = new Set([
  "decline",
  "timeOut",
  "creationFails",
  "creationUnknown",
  "creationUnknownButDone",
  "deletionFails",
  "hintFails",
  "pinLookFails",
  "taskFails",
  "kill",
  "pause",
  "zombieGoesOn",
  "clockJumps",
  "storeThrottles",
  "uploadUnknown",
  "uploadUnknownButDone",
]);

class SimRun implements PartRun {
  #seconds = 0;

  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    const life = await live(seed);
    tally.trials = 1;
    for (const [kind, found] of life.violations) tally.fail(kind, found[0]!);
    const faultCount = life.history.filter((name) => faults.has(name)).length;
    tally.count("checkpoints", life.checkpoints);
    tally.count("faults", faultCount);
    if (isOfLsm(seed)) tally.count("lsm");
    tally.count("kills", life.kills);
    tally.count("rescales", life.rescales);
    const seconds = Math.min(life.checkpoints, faultCount * SECONDS_PER_FAULT_MAX);
    tally.count("seconds", seconds);
    this.#seconds += seconds;
    if (seed % REPEATED_EVERY !== 0) return tally;
    const again = await live(seed);
    tally.count("repeated");
    if (traceOf(again) !== traceOf(life)) tally.fail("notDeterministic", traceOf(again));
    return tally;
  }

  details(): Readonly<Record<string, unknown>> {
    return { simulatedHours: Math.floor((this.#seconds / HOUR_SECONDS) * 100) / 100 };
  }

  async close(): Promise<void> {}
}

/** Short ones and long ones: what goes wrong early must not be hidden by what comes later. */
function live(seed: number): Promise<LifeResult> {
  const operations = 10 + ((seed * 37) % (OPERATIONS_MAX - 9));
  const common = { seed, operations, isLong: true, directory: "" };
  if (!isOfLsm(seed)) return runLife({ ...common, backend: "memory" });
  return runLife({ ...common, backend: "lsm", policy: "any" });
}

function isOfLsm(seed: number): boolean {
  return seed % LSM_EVERY === 0;
}

function traceOf({ history, checkpoints, kills, restores, rescales }: LifeResult): string {
  return `${history.join(" ")} ${checkpoints} ${kills} ${restores} ${rescales}`;
}

export const sim: Part = {
  name: "sim",
  what: "simulated jobs of several tasks, with losses of power, late messages and paused owners",
  unit: "simulated lives",
  asked: 1000, // An hour is a life at least.
  also: { kind: "seconds", asked: 1000 * HOUR_SECONDS },
  sliceSeeds: 6,
  open: async () => new SimRun(),
};
