// Runs the job in a process of its own, kills it, restarts it from its latest checkpoint, and keeps
// count. Knows of the job only what its messages say and what /proc shows.
//   S1. What a killed process had sent is read to its end before the next one starts: a checkpoint
//       whose completion arrives after the kill was not hit by it.
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import type { CheckpointReport, DumpedState, JobMessage, JobStart } from "./job-messages.ts";
import { JobAttempt } from "./job-attempt.ts";
import { isDue } from "./kill-plan.ts";
import type { KillPlan, PlannedKill } from "./kill-plan.ts";
import { UsageError } from "./options.ts";
import { processMemory } from "./process-memory.ts";
import { sumCounters } from "./run-report.ts";
import type { RunReport } from "./run-report.ts";

const SAMPLE_MS = 250;

export interface SupervisorEvents {
  progress(position: number, checkpoints: number, kills: number): void;
  checkpoint(report: CheckpointReport): void;
  note(text: string): void;
  /** Everything is processed and durable. */
  inputEnded(): void;
  /** The file with a state's rows is complete. */
  stateDumped(state: string): void;
}

type Ready = Extract<JobMessage, { readonly kind: "ready" }>;

interface Kill {
  readonly atMs: number;
  /** What the job had processed by then, as far as it told. */
  readonly position: number;
}

export class Supervisor {
  readonly #start: Omit<JobStart, "slowMotion" | "expectedPosition">;
  readonly #positionCount: number;
  readonly #plan: KillPlan;
  readonly #signal: AbortSignal;
  readonly #events: SupervisorEvents;
  readonly #attempts: JobAttempt[] = [];
  readonly #checkpoints: CheckpointReport[] = [];
  readonly #replayed: number[] = [];
  readonly #recoveryMs: number[] = [];
  readonly #resumeMs: number[] = [];
  readonly #restoreMs: number[] = [];
  readonly #replayedLogBytes: number[] = [];
  #aborted = 0;
  #duringCheckpoint = 0;
  #kills = 0;
  /** The newest kill until it is recovered from. */
  #kill: Kill | undefined = undefined;
  #durablePosition = 0;
  #inputEndedMs = 0;
  readonly #states: DumpedState[] = [];
  #peakRssBytes = 0;
  #peakAnonBytes = 0;

  /** When `signal` aborts, the job is killed and `run` rejects. */
  constructor(
    start: Omit<JobStart, "slowMotion" | "expectedPosition">,
    positionCount: number,
    plan: KillPlan,
    signal: AbortSignal,
    events: SupervisorEvents,
  ) {
    this.#start = start;
    this.#positionCount = positionCount;
    this.#plan = plan;
    this.#signal = signal;
    this.#events = events;
  }

  async run(): Promise<RunReport> {
    const startMs = performance.now();
    while (!(await this.#attempt()));
    return {
      elapsedMs: this.#inputEndedMs - startMs,
      dumpMs: performance.now() - this.#inputEndedMs,
      checkpoints: this.#checkpoints,
      abortedCheckpoints: this.#aborted,
      kills: this.#kills,
      killsDuringCheckpoint: this.#duringCheckpoint,
      replayedRecords: this.#replayed,
      recoveryMs: this.#recoveryMs,
      resumeMs: this.#resumeMs,
      restoreMs: this.#restoreMs,
      replayedLogBytes: this.#replayedLogBytes,
      states: this.#states,
      counters: sumCounters(this.#attempts.flatMap((attempt) => attempt.counters ?? [])),
      peakRssBytes: this.#peakRssBytes,
      peakAnonBytes: this.#peakAnonBytes,
    };
  }

  /** One process of the job, until it is gone. True if it finished. */
  async #attempt(): Promise<boolean> {
    const lastPosition = this.#kill?.position ?? 0;
    const planned = this.#plan.next(this.#kills, this.#duringCheckpoint, lastPosition);
    const attempt = new JobAttempt();
    this.#attempts.push(attempt);
    this.#signal.throwIfAborted();
    const child = fork(new URL("./job.js", import.meta.url), {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const abort = (): boolean => child.kill("SIGKILL");
    this.#signal.addEventListener("abort", abort, { once: true });
    const sampler = setInterval(() => void this.#sample(child), SAMPLE_MS);
    try {
      child.on("message", (message: JobMessage) => {
        this.#take(message, attempt);
        if (planned !== undefined) void this.#killWhenDue(child, attempt, planned);
      });
      const slowMotion = planned?.slowMotion;
      child.send({ ...this.#start, slowMotion, expectedPosition: this.#durablePosition });
      const ended = await untilGone(child); // S1
      this.#signal.throwIfAborted();
      if (attempt.kill === "done") this.#killed(attempt);
      else if (!attempt.isFinished)
        throw attempt.failure ?? new Error(`the job ended with ${ended}`);
      return attempt.isFinished;
    } finally {
      clearInterval(sampler);
      this.#signal.removeEventListener("abort", abort);
    }
  }

  #take(message: JobMessage, attempt: JobAttempt): void {
    attempt.take(message);
    switch (message.kind) {
      case "ready":
        if (this.#kill !== undefined) this.#restarted(message, this.#kill);
        return;
      case "end-of-input":
        this.#inputEndedMs = performance.now();
        this.#processed(message.position, attempt);
        this.#events.inputEnded();
        return;
      case "progress":
        this.#processed(message.position, attempt);
        return;
      case "checkpoint-end":
        this.#durablePosition = message.report.position;
        this.#checkpoints.push(message.report);
        this.#events.checkpoint(message.report);
        return;
      case "checkpoint-aborted":
        this.#aborted++;
        this.#events.note(`checkpoint aborted: ${message.message}`);
        return;
      case "dumped":
        this.#states.push(message.state);
        this.#events.stateDumped(message.state.name);
        return;
      case "failed":
        attempt.failure = failureOf(message.code, message.message);
        return;
      case "checkpoint-begin":
        this.#processed(message.position, attempt);
        return;
      case "finished":
        return;
    }
  }

  async #killWhenDue(
    child: ChildProcess,
    attempt: JobAttempt,
    planned: PlannedKill,
  ): Promise<void> {
    if (attempt.kill !== "none" || !isDue(planned, attempt, this.#positionCount)) return;
    if (planned.mustHitCheckpoint && !attempt.wasKillDelayed) {
      attempt.kill = "delayed";
      attempt.wasKillDelayed = true;
      await delay(planned.delayShare * (this.#checkpoints.at(-1)?.durationMs ?? 0));
      attempt.kill = "none";
      // Too late for this checkpoint? Then the next one is hit as soon as it can be.
      if (!isDue(planned, attempt, this.#positionCount)) return;
    }
    attempt.kill = "done";
    child.kill("SIGKILL");
    this.#kill = { atMs: performance.now(), position: attempt.position };
  }

  /** The process is gone, and everything it said is known. */
  #killed(attempt: JobAttempt): void {
    const isDuring = attempt.checkpointAt !== undefined;
    this.#kills++;
    if (isDuring) this.#duringCheckpoint++;
    this.#kill = { atMs: this.#kill!.atMs, position: attempt.position };
    const when = isDuring ? "during a checkpoint" : "between checkpoints";
    this.#events.note(`kill ${this.#kills}: SIGKILL at position ${attempt.position}, ${when}`);
  }

  #restarted(ready: Ready, kill: Kill): void {
    const { position, checkpointId, openMs } = ready;
    const replayed = kill.position - position;
    this.#replayed.push(replayed);
    this.#restoreMs.push(ready.restoreMs);
    this.#replayedLogBytes.push(ready.replayedLogBytes);
    const from = checkpointId === undefined ? "the beginning" : `checkpoint ${checkpointId}`;
    this.#events.note(
      `restarted from ${from}, open in ${openMs.toFixed(0)} ms: ${replayed} records are replayed`,
    );
  }

  #processed(position: number, attempt: JobAttempt): void {
    this.#events.progress(position, this.#checkpoints.length, this.#kills);
    if (this.#kill === undefined || attempt.kill === "done") return;
    const sinceMs = performance.now() - this.#kill.atMs;
    if (this.#resumeMs.length < this.#kills) this.#resumeMs.push(sinceMs);
    if (this.#recoveryMs.length === this.#kills || position <= this.#kill.position) return;
    this.#recoveryMs.push(sinceMs);
    this.#events.note(`recovered: ${sinceMs.toFixed(0)} ms from the kill to the first new record`);
  }

  async #sample(child: ChildProcess): Promise<void> {
    const memory = await processMemory(child.pid);
    this.#peakRssBytes = Math.max(this.#peakRssBytes, memory.peakRssBytes);
    this.#peakAnonBytes = Math.max(this.#peakAnonBytes, memory.anonBytes);
  }
}

/** Resolves with how it ended once the process is gone and its messages are read. */
async function untilGone(child: ChildProcess): Promise<string> {
  const disconnected = new Promise<void>((resolve) => child.once("disconnect", resolve));
  const ended = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(signal ?? `code ${code}`));
  });
  if (child.connected) await disconnected;
  return ended;
}

/** Options that the backend refuses came from the command line. */
function failureOf(code: string, message: string): Error {
  if (code === "VARVE_INVALID_ARGUMENT") return new UsageError(message);
  return new Error(`${code}: ${message}`);
}
