// An environment in which nothing happens by itself: disk in memory, a clock that is advanced by
// hand, randomness from a seed. Deterministic: one seed, one run.
import type { Clock, Environment, Random, Timers } from "../api/environment.ts";
import { MemoryFileSystem } from "./memory-file-system.ts";
import { seededRandom } from "./seeded-random.ts";

export interface MemoryEnvironmentOptions {
  /** @defaultValue a new, empty one */
  readonly fileSystem?: MemoryFileSystem | undefined;
  /** Seed of all random bytes. @defaultValue 1 */
  readonly seed?: number | undefined;
  /** What `wallMs` starts from. @defaultValue 1_700_000_000_000 */
  readonly wallMs?: number | undefined;
  /** @defaultValue 1 GiB */
  readonly availableMemoryBytes?: number | undefined;
}

export interface MemoryEnvironment extends Environment {
  readonly fileSystem: MemoryFileSystem;
  /** Moves both clocks on and ends the delays that are due, in order. */
  advance(ms: number): void;
}

interface Delay {
  readonly dueMs: number;
  readonly end: () => void;
}

export function memoryEnvironment(options: MemoryEnvironmentOptions = {}): MemoryEnvironment {
  const next = seededRandom(options.seed ?? 1);
  const wallStartMs = options.wallMs ?? 1_700_000_000_000;
  let nowMs = 0;
  const delays = new Set<Delay>();

  const clock: Clock = { monotonicMs: () => nowMs, wallMs: () => wallStartMs + nowMs };
  const random: Random = {
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
  };
  const timers: Timers = {
    delay: (ms, signal) => delayUntil(delays, nowMs + ms, signal),
    yieldTurn: () => new Promise((resolve) => setImmediate(resolve)),
  };
  return {
    fileSystem: options.fileSystem ?? new MemoryFileSystem(),
    clock,
    random,
    timers,
    availableMemoryBytes: () => options.availableMemoryBytes ?? 1_073_741_824,
    availableCores: () => 1,
    advance(ms) {
      nowMs += ms;
      const due = [...delays].filter((delay) => delay.dueMs <= nowMs);
      for (const delay of due.sort((a, b) => a.dueMs - b.dueMs)) delay.end();
    },
  };
}

function delayUntil(
  delays: Set<Delay>,
  dueMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const abort = (): void => {
      delays.delete(delay);
      reject(signal?.reason as Error);
    };
    const delay: Delay = {
      dueMs,
      end: () => {
        delays.delete(delay);
        signal?.removeEventListener("abort", abort);
        resolve();
      },
    };
    delays.add(delay);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
