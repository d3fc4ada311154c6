// Starts the job of job.process.ts, listens to it, and kills it as it is told to.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import type { JobStart } from "./job.process.ts";
import type { OutputFault } from "./output.ts";

export type JobWord = "opening" | "restored" | "completed" | "committed";

/** The `count`th time that the job says `word` it gets the signal, so many ms later. */
export interface Kill {
  readonly word: JobWord;
  readonly count: number;
  readonly delayMs: number;
}

export interface JobOptions {
  /** What it is told: of the job of job.process.ts, or of `entry`. */
  readonly start: JobStart | object;
  /** Another job that speaks as that one does. */
  readonly entry?: string | undefined;
  /** Where its compiled code is: dist, or another build. */
  readonly tree: string;
  readonly kill?: Kill | undefined;
  /** It kills itself there: name and hit. */
  readonly failPoint?: readonly [name: string, hit: number] | undefined;
  /** In front of the command. */
  readonly wrapper?: readonly string[] | undefined;
  /** Called once it has restored. With a wrapper the process is the wrapper's. */
  readonly afterRestore?: ((processId: number) => void) | undefined;
  /** Called at once after the kill. */
  readonly afterKill?: (() => void) | undefined;
  /** Stopped for so long before it is killed. */
  readonly pauseMs?: number | undefined;
  /** @defaultValue 30,000 */
  readonly msMax?: number | undefined;
}

export interface JobEnd {
  /** Offset of the restored checkpoint; undefined if it did not come so far. */
  readonly restored: number | undefined;
  /** Offsets of the checkpoints that it said were complete. */
  readonly completed: readonly number[];
  readonly committed: readonly number[];
  readonly faults: readonly (readonly [OutputFault, string])[];
  readonly ended: "done" | "killed" | "failed" | "stuck";
  /** Whether the kill that was asked for took place. */
  readonly wasKilledAsAsked: boolean;
  /** Offset of the last checkpoint that was told before the kill that was asked for. */
  readonly acknowledgedAtKill: number | undefined;
  readonly recoveryMs: number | undefined;
  readonly errors: string;
}

export async function runJob(options: JobOptions): Promise<JobEnd> {
  const { start, tree, kill, failPoint, wrapper = [], msMax = 30_000 } = options;
  const { entry: path = "workload/job.process.js" } = options;
  const entry = `${tree}/test/reliability/${path}`;
  const command = [...wrapper, process.execPath, entry, JSON.stringify(start)];
  const [file, ...args] = command as [string, ...string[]];
  const env = {
    ...process.env,
    UV_USE_IO_URING: "0",
    VARVE_FAIL_POINT: failPoint?.join(" ") ?? "",
  };
  // A group of its own: with a tracer in front, the job is not its parent's child.
  const job = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], env, detached: true });
  const signalAll = (signal: NodeJS.Signals): void => {
    try {
      if (job.exitCode === null && job.signalCode === null) process.kill(-job.pid!, signal);
    } catch {
      // It has ended meanwhile.
    }
  };
  const begun = performance.now();
  let isStuck = false;
  const timer = setTimeout(() => {
    isStuck = true;
    signalAll("SIGKILL");
  }, msMax);
  let errors = "";
  job.stderr.on("data", (bytes: Buffer) => (errors += bytes.toString()));
  const closed = once(job, "close");
  let acknowledgedAtKill: number | undefined;
  const heard = new Listener();
  for await (const line of createInterface(job.stdout)) {
    heard.hear(line, performance.now() - begun);
    if (heard.word === "restored") options.afterRestore?.(job.pid!);
    if (kill === undefined || kill.word !== heard.word || heard.count(kill.word) !== kill.count) {
      continue;
    }
    heard.wasKilledAsAsked = true;
    void delay(kill.delayMs).then(async () => {
      if (options.pauseMs !== undefined) {
        signalAll("SIGSTOP");
        await delay(options.pauseMs);
        signalAll("SIGCONT");
        await delay(kill.delayMs);
      }
      signalAll("SIGKILL");
      acknowledgedAtKill = heard.report().completed.at(-1);
      options.afterKill?.();
    });
  }
  const [status, signal] = (await closed) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  // A tracer tells the signal of its child as a status, and dies of it itself.
  const isKilled = signal === "SIGKILL" || status === 137;
  const ended = isStuck ? "stuck" : heard.isDone ? "done" : isKilled ? "killed" : "failed";
  if (failPoint !== undefined && ended === "killed" && kill === undefined) {
    heard.wasKilledAsAsked = true;
  }
  return { ...heard.report(), acknowledgedAtKill, ended, errors };
}

class Listener {
  word = "";
  isDone = false;
  wasKilledAsAsked = false;
  readonly #counts = new Map<string, number>();
  readonly #completed: number[] = [];
  readonly #committed: number[] = [];
  readonly #faults: [OutputFault, string][] = [];
  #restored: number | undefined = undefined;
  #recoveryMs: number | undefined = undefined;

  hear(line: string, ms: number): void {
    const [word = "", value = ""] = line.split(/ (.*)/);
    this.word = word;
    this.#counts.set(word, this.count(word) + 1);
    if (word === "done") this.isDone = true;
    else if (word === "completed") this.#completed.push(Number(value));
    else if (word === "committed") this.#committed.push(Number(value));
    else if (word === "restored") {
      this.#restored = Number(value);
      this.#recoveryMs = ms;
    } else if (word === "fault") {
      const [kind = "", what = ""] = value.split(/ (.*)/);
      this.#faults.push([kind as OutputFault, what]);
    }
  }

  count(word: string): number {
    return this.#counts.get(word) ?? 0;
  }

  report() {
    return {
      restored: this.#restored,
      recoveryMs: this.#recoveryMs,
      completed: this.#completed,
      committed: this.#committed,
      faults: this.#faults,
      wasKilledAsAsked: this.wasKilledAsAsked,
    };
  }
}
