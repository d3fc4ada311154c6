// Threads by piscina. The only file that knows the library.
//   P1. Threads that are kept have no task and have loaded their code: they may be ended at any moment.
//   P2. Threads that were given shared memory are not kept: one that is idle collects no garbage, and would hold
//       the write buffer of a backend that is closed.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import type { Timers } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { TaskMessage, TaskReply } from "./tasks.ts";
import type { TaskThreads } from "./worker-pool.ts";

/** A thread takes about 30 ms to start: it stays from one checkpoint to the next. */
const idleTimeoutMs = 600_000;
/** For a job that is restored in its own process. An idle thread takes about 5 MB. */
const keptMs = 10_000;
/** Any long time: the interval exists for its reference to the event loop. */
const keepAliveMs = 2_147_483_647;

interface Threads {
  readonly pool: Piscina<TaskMessage, TaskReply>;
  /** Ids of those whose code is loaded. */
  readonly ready: Set<number>;
}

/** Threads whose user has closed them, by their number. */
const kept = new Map<number, Threads & { readonly taken: AbortController }>();

/** Threads begin with the first tasks, unless some are kept of a pool that was closed a moment ago. */
export function startThreads(threads: number, timers: Timers): TaskThreads {
  const { pool, ready } = takeKept(threads) ?? newThreads(threads);
  let running = 0;
  let wasShared = false; // P2
  let keepAlive: NodeJS.Timeout | undefined;
  return {
    async run(message, end) {
      // A thread that is still starting does not hold the process; somebody waits for it (W3).
      wasShared ||= sharesMemory(message.request as object);
      if (running++ === 0) keepAlive = setInterval(() => undefined, keepAliveMs);
      try {
        // Aborting ends the thread if the task has begun; another one takes its place.
        return await pool.run(message, end === undefined ? {} : { signal: end });
      } finally {
        if (--running === 0) clearInterval(keepAlive);
      }
    },
    async close() {
      // To end a thread that is loading a module ends the whole process (Node 20.20).
      for (;;) {
        const loading = pool.threads.filter(
          ({ threadId }) => threadId >= 0 && !ready.has(threadId),
        );
        if (loading.length === 0) break;
        await new Promise<unknown>((resolve) => {
          pool.once("workerCreate", resolve);
          for (const worker of loading) worker.once("exit", resolve).ref();
        });
      }
      if (running > 0 || wasShared || kept.has(threads)) await pool.destroy();
      else keep(threads, { pool, ready }, timers);
    },
  };
}

function sharesMemory(request: object): boolean {
  return Object.values(request).some((value) => value instanceof SharedArrayBuffer);
}

function keep(threads: number, { pool, ready }: Threads, timers: Timers): void {
  const areReady = pool.threads.every(({ threadId }) => threadId < 0 || ready.has(threadId));
  assert(areReady && pool.queueSize === 0, "P1: a thread that loads or has a task is kept");
  const mine = { pool, ready, taken: new AbortController() };
  kept.set(threads, mine);
  const end = async (): Promise<void> => {
    if (kept.get(threads) !== mine) return; // Taken in the moment in which the time was over.
    kept.delete(threads);
    await pool.destroy();
  };
  void timers.delay(keptMs, mine.taken.signal).then(end, () => undefined); // Taken.
}

function takeKept(threads: number): Threads | undefined {
  const found = kept.get(threads);
  kept.delete(threads);
  found?.taken.abort();
  return found;
}

function newThreads(threads: number): Threads {
  const pool = new Piscina<TaskMessage, TaskReply>({
    filename: workerFile(),
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: idleTimeoutMs,
    recordTiming: false,
    // Tasks work on buffers: V8's default of 48 MB a thread would be outside the budget.
    resourceLimits: { maxYoungGenerationSizeMb: 8 },
  });
  // A thread that dies while idle; without a listener the event would end the process.
  pool.on("error", () => undefined);
  const ready = new Set<number>();
  pool.on("workerCreate", ({ id }) => ready.add(id)); // Emitted once its code is loaded.
  return { pool, ready };
}

function workerFile(): string {
  const filename = fileURLToPath(new URL("./worker-main.js", import.meta.url));
  if (!existsSync(filename)) {
    throw new InvalidArgumentError(
      `the worker's file ${filename} is missing: a bundler has left it out; mark the package ` +
        `"varve" as external in the bundler's configuration, so that it stays in node_modules`,
    );
  }
  return filename;
}
