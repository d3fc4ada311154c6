// Runs the job in a process of its own, kills it, restarts it from its latest checkpoint, and keeps
// count. Knows of the job only what its messages say and what /proc shows.
import { type ChildProcess, fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import type {
  CheckpointReport,
  DumpedState,
  JobCounters,
  JobMessage,
  JobStart,
} from "./job-messages.ts";
import { seededRandom } from "./seeded-random.ts";

const SAMPLE_MS = 100;
/** While a kill is due the job goes slowly, so that the moment can be chosen. */
const SLOW_RECORDS = 64;
const SLOW_TURN_MS = 2;

export interface SupervisorEvents {
  progress(position: number, checkpoints: number, kills: number): void;
  note(text: string): void;
}

export interface RunReport {
  readonly elapsedMs: number;
  readonly positions: number;
  readonly checkpoints: readonly CheckpointReport[];
  readonly abortedCheckpoints: number;
  readonly killsDuringCheckpoint: number;
  readonly replayedRecords: readonly number[];
  readonly recoveryMs: readonly number[];
  readonly states: readonly DumpedState[];
  /** Sums over all processes of the job. */
  readonly counters: JobCounters;
  readonly peakRssBytes: number;
  readonly peakAnonBytes: number;
}

type Attempt = { readonly kind: "killed" } | { readonly kind: "finished" };

export class Supervisor {
  readonly #start: Omit<JobStart, "slowMotion">;
  readonly #events: SupervisorEvents;
  readonly #positions: number;
  /** Positions from which the next kill is due, ascending. */
  readonly #targets: number[];
  readonly #checkpoints: CheckpointReport[] = [];
  readonly #replayed: number[] = [];
  readonly #recoveries: number[] = [];
  readonly #finishedCounters: JobCounters[] = [];
  #aborted = 0;
  #duringCheckpoint = 0;
  #kills = 0;
  #lastPosition = 0;
  #killedMs: number | undefined = undefined;
  #states: readonly DumpedState[] = [];
  #peakRssBytes = 0;
  #peakAnonBytes = 0;

  constructor(
    start: Omit<JobStart, "slowMotion">,
    positions: number,
    kills: number,
    seed: number,
    events: SupervisorEvents,
  ) {
    this.#start = start;
    this.#positions = positions;
    this.#events = events;
    const random = seededRandom(seed);
    // One kill in each of `kills` equal parts of the middle 80 %.
    this.#targets = Array.from({ length: kills }, (_none, index) =>
      Math.floor(positions * (0.1 + (0.8 * (index + random() * 0.9)) / kills)),
    );
  }

  async run(): Promise<RunReport> {
    const startMs = performance.now();
    while ((await this.#attempt()).kind === "killed");
    return {
      elapsedMs: performance.now() - startMs,
      positions: this.#positions,
      checkpoints: this.#checkpoints,
      abortedCheckpoints: this.#aborted,
      killsDuringCheckpoint: this.#duringCheckpoint,
      replayedRecords: this.#replayed,
      recoveryMs: this.#recoveries,
      states: this.#states,
      counters: sum(this.#finishedCounters),
      peakRssBytes: this.#peakRssBytes,
      peakAnonBytes: this.#peakAnonBytes,
    };
  }

  /** One process of the job, until it ends or is killed. */
  async #attempt(): Promise<Attempt> {
    const target = this.#targets[this.#kills];
    const slowMotion =
      target === undefined
        ? undefined
        : { fromPosition: target, recordsPerTurn: SLOW_RECORDS, turnMs: SLOW_TURN_MS };
    const child = fork(new URL("./job.js", import.meta.url), {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const sampler = setInterval(() => void this.#sample(child), SAMPLE_MS);
    try {
      return await this.#watch(child, { ...this.#start, slowMotion }, target);
    } finally {
      clearInterval(sampler);
    }
  }

  #watch(child: ChildProcess, start: JobStart, target: number | undefined): Promise<Attempt> {
    const attempt = new AttemptState(target);
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      child.on("message", (message: JobMessage) => {
        if (attempt.isKilled) return; // Sent before the kill, read after it: counts as not known.
        if (message.kind === "failed") failure = new Error(`${message.code}: ${message.message}`);
        this.#take(message, attempt);
        if (attempt.shouldKill(this.#kills === 0)) this.#kill(child, attempt);
      });
      child.on("error", reject);
      child.on("exit", (code, signal) => {
        if (attempt.counters !== undefined) this.#finishedCounters.push(attempt.counters);
        if (attempt.isKilled) resolve({ kind: "killed" });
        else if (attempt.isFinished && code === 0) resolve({ kind: "finished" });
        else reject(failure ?? new Error(`the job ended with ${signal ?? `code ${code}`}`));
      });
      child.send(start);
    });
  }

  #take(message: JobMessage, attempt: AttemptState): void {
    switch (message.kind) {
      case "ready":
        this.#recovered(message.position, message.checkpointId);
        attempt.begin(message.position);
        return;
      case "progress":
      case "end-of-input":
        attempt.counters = message.counters;
        this.#firstRecordAfterKill(message.position, attempt);
        attempt.position = message.position;
        this.#lastPosition = message.position;
        this.#events.progress(message.position, this.#checkpoints.length, this.#kills);
        return;
      case "checkpoint-begin":
        attempt.checkpointAt = message.position;
        return;
      case "checkpoint-end":
        attempt.checkpointAt = undefined;
        attempt.durablePosition = message.report.position;
        this.#checkpoints.push(message.report);
        this.#events.note(checkpointText(message.report));
        return;
      case "checkpoint-aborted":
        attempt.checkpointAt = undefined;
        this.#aborted++;
        this.#events.note(`checkpoint aborted: ${message.message}`);
        return;
      case "dumped":
        attempt.isFinished = true;
        this.#states = message.states;
        return;
      case "failed":
        return;
    }
  }

  #recovered(position: number, checkpointId: number | undefined): void {
    if (this.#killedMs === undefined) return;
    const replayed = this.#lastPosition - position;
    this.#replayed.push(replayed);
    const from = checkpointId === undefined ? "the beginning" : `checkpoint ${checkpointId}`;
    this.#events.note(`recovered from ${from}: ${replayed} records are replayed`);
  }

  #firstRecordAfterKill(position: number, attempt: AttemptState): void {
    if (this.#killedMs === undefined || position <= attempt.position) return;
    this.#recoveries.push(performance.now() - this.#killedMs);
    this.#killedMs = undefined;
  }

  #kill(child: ChildProcess, attempt: AttemptState): void {
    attempt.isKilled = true;
    this.#killedMs = performance.now();
    child.kill("SIGKILL");
    this.#kills++;
    const isDuring = attempt.checkpointAt !== undefined;
    if (isDuring) this.#duringCheckpoint++;
    const when = isDuring ? "during a checkpoint" : "between checkpoints";
    this.#events.note(`kill ${this.#kills}: SIGKILL at position ${attempt.position}, ${when}`);
  }

  async #sample(child: ChildProcess): Promise<void> {
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    this.#peakRssBytes = Math.max(this.#peakRssBytes, kilobytes(status, "VmHWM") * 1024);
    const anon = kilobytes(status, "RssAnon") + kilobytes(status, "RssShmem");
    this.#peakAnonBytes = Math.max(this.#peakAnonBytes, anon * 1024);
  }
}

/** What is known of one process of the job. */
class AttemptState {
  readonly #target: number | undefined;
  position = 0;
  durablePosition = 0;
  /** Position of the checkpoint under way. */
  checkpointAt: number | undefined = undefined;
  counters: JobCounters | undefined = undefined;
  isKilled = false;
  isFinished = false;

  constructor(target: number | undefined) {
    this.#target = target;
  }

  begin(position: number): void {
    this.position = position;
    this.durablePosition = position;
  }

  /** Whether a kill now makes records be replayed, and hits a checkpoint if it must. */
  shouldKill(mustHitCheckpoint: boolean): boolean {
    if (this.#target === undefined || this.isKilled || this.position < this.#target) return false;
    // Whichever checkpoint turns out to be the latest, something was processed after it.
    const replayFrom = this.checkpointAt ?? this.durablePosition;
    if (this.position <= replayFrom) return false;
    return !mustHitCheckpoint || this.checkpointAt !== undefined;
  }
}

function kilobytes(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
}

function sum(all: readonly JobCounters[]): JobCounters {
  const total = {
    hotReads: 0,
    coldReads: 0,
    coldMisses: 0,
    drains: 0,
    backPressureWaits: 0,
    backPressureWaitMs: 0,
  };
  for (const counters of all) {
    for (const name of Object.keys(total) as (keyof JobCounters)[]) total[name] += counters[name];
  }
  return total;
}

function checkpointText(report: CheckpointReport): string {
  const { checkpointId, position, durationMs, pauseMs, uploadedBytes } = report;
  const uploaded = (uploadedBytes / 1_048_576).toFixed(1);
  return `checkpoint ${checkpointId} at ${position}: ${durationMs.toFixed(0)} ms, pause ${pauseMs.toFixed(1)} ms, ${uploaded} MiB new`;
}
