// The real outside: Node's file system, clocks, randomness and timers.
import { randomBytes } from "node:crypto";
import { availableParallelism, freemem, totalmem } from "node:os";
import type { Clock, Environment, Random, Timers } from "../api/environment.ts";
import { blockingCalls } from "./node-calls.ts";
import { NodeFileSystem } from "./node-file-system.ts";

const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

const random: Random = {
  bytes: (count) => new Uint8Array(randomBytes(count)),
};

const timers: Timers = {
  delay(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const abort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      }, ms);
      timer.unref();
      signal?.addEventListener("abort", abort, { once: true });
    });
  },
  yieldTurn() {
    return new Promise((resolve) => setImmediate(resolve));
  },
};

/** Without a limit Node reports 0, undefined or about 1.8e19, depending on its version. */
function availableMemoryBytes(): number {
  const limit: number | undefined = process.constrainedMemory();
  if (limit !== undefined && limit > 0 && limit <= totalmem()) return limit;
  return freemem(); // On Linux this is MemAvailable: the page cache counts as available.
}

const environment: Environment = {
  fileSystem: new NodeFileSystem(),
  clock,
  random,
  timers,
  availableMemoryBytes,
  availableCores: () => availableParallelism(),
};

/** The environment every backend uses unless it is given another. */
export function nodeEnvironment(): Environment {
  return environment;
}

/** For a thread that has nothing to do while a file operation goes on: that costs it no turns. */
export function blockingNodeEnvironment(): Environment {
  return { ...environment, fileSystem: new NodeFileSystem(blockingCalls) };
}
