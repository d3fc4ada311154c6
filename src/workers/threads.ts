// Threads by piscina. The only file that knows the library.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import { InvalidArgumentError } from "../errors.ts";
import type { TaskMessage, TaskReply } from "./tasks.ts";
import type { TaskThreads } from "./worker-pool.ts";

/** A thread takes about 30 ms to start: it stays from one checkpoint to the next. */
const idleTimeoutMs = 600_000;
/** Any long time: the interval exists for its reference to the event loop. */
const keepAliveMs = 2_147_483_647;

/** Threads begin with the first tasks. */
export function startThreads(threads: number): TaskThreads {
  const filename = workerFile();
  const pool = new Piscina<TaskMessage, TaskReply>({
    filename,
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
  let running = 0;
  let keepAlive: NodeJS.Timeout | undefined;
  return {
    async run(message, end) {
      // A thread that is still starting does not hold the process; somebody waits for it (W3).
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
      await pool.destroy();
    },
  };
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
