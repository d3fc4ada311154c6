// When to kill the job. Decisions only; the supervisor does it.
//   K1. A kill makes records be replayed, whichever checkpoint turns out to be the latest.
//   K2. One kill at least hits a running checkpoint; if the last one missed, there is one more.
//   K3. Between two kills the job passes where it was at the first.
import type { SlowMotion } from "./job-messages.ts";
import { seededRandom } from "./seeded-random.ts";

/** Kills lie in this part of the input. */
const FIRST_SHARE = 0.1;
const LAST_SHARE = 0.9;

/** From where a kill is due, the rest of the input takes at least so many checkpoint intervals. */
const SLOW_INTERVALS = 8;
/** While a kill is due, checkpoints come at least this often. */
const SLOW_INTERVAL_MS_MAX = 500;
const SLOW_TURN_MS = 2;
const SLOW_RECORDS_MAX = 64;

/** A kill to come. */
export interface PlannedKill {
  /** Due once the job is beyond. */
  readonly fromPosition: number;
  readonly mustHitCheckpoint: boolean;
  /** How far into a checkpoint, as a share of what the one before took; 0 to 1. */
  readonly delayShare: number;
  readonly slowMotion: SlowMotion;
}

/** What is known of the running job. Positions are of the next flight. */
export interface JobProgress {
  readonly position: number;
  /** Of the newest checkpoint that is known to be durable, or of the start. */
  readonly durablePosition: number;
  /** Of the checkpoint under way. */
  readonly checkpointAt: number | undefined;
}

export class KillPlan {
  readonly #positionCount: number;
  readonly #kills: number;
  readonly #intervalMs: number;
  readonly #random: () => number;
  /** Which kill must hit a checkpoint. */
  readonly #checkpointKill: number;

  constructor(positionCount: number, kills: number, intervalMs: number, seed: number) {
    this.#positionCount = positionCount;
    this.#kills = kills;
    this.#intervalMs = Math.min(intervalMs, SLOW_INTERVAL_MS_MAX);
    this.#random = seededRandom(seed);
    this.#checkpointKill = Math.floor(this.#random() * kills);
  }

  /** The next kill, after `done` kills of which the last was at `lastPosition`; undefined: no more. */
  next(done: number, duringCheckpoint: number, lastPosition: number): PlannedKill | undefined {
    const isExtra = done >= this.#kills;
    const isMissed = duringCheckpoint === 0;
    if (this.#kills === 0 || (isExtra && !isMissed)) return undefined; // K2
    // One in each of equal parts, at a random place of it.
    const part = (LAST_SHARE - FIRST_SHARE) / this.#kills;
    const share = isExtra ? 0 : FIRST_SHARE + part * (done + this.#random());
    const fromPosition = Math.max(Math.floor(this.#positionCount * share), lastPosition); // K3
    const mustHitCheckpoint =
      done === this.#checkpointKill || (isMissed && done >= this.#kills - 1);
    const delayShare = this.#random();
    return { fromPosition, mustHitCheckpoint, delayShare, slowMotion: this.#slow(fromPosition) };
  }

  #slow(fromPosition: number): SlowMotion {
    const rest = Math.max(1, this.#positionCount - fromPosition);
    const turns = (SLOW_INTERVALS * this.#intervalMs) / SLOW_TURN_MS;
    const recordsPerTurn = Math.min(SLOW_RECORDS_MAX, Math.max(1, Math.floor(rest / turns)));
    const turnMs = Math.max(SLOW_TURN_MS, Math.ceil((turns * SLOW_TURN_MS) / rest));
    return { fromPosition, recordsPerTurn, turnMs, intervalMs: this.#intervalMs };
  }
}

/** Whether a kill now would do what it is for. */
export function isDue(kill: PlannedKill, job: JobProgress, positionCount: number): boolean {
  if (job.position <= kill.fromPosition || job.position >= positionCount) return false; // K3
  if (job.position <= (job.checkpointAt ?? job.durablePosition)) return false; // K1
  return !kill.mustHitCheckpoint || job.checkpointAt !== undefined;
}
