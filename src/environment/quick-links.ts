// Second names for many files, without a turn of the event loop and of libuv's threads for each call: a link
// takes microseconds where the directory is in memory, and such a turn takes five times as long.
//   Q1. The calling thread is blocked for a millisecond at most, then others have a turn.
//   Q2. Where calls turn out to be slow, over a network for example, the rest goes to libuv's threads,
//       where many wait at a time.
import type { Environment, FileStat, FileSystem } from "../api/environment.ts";
import { blockingCalls } from "./node-calls.ts";
import { NodeFileSystem, isNodeFileSystem } from "./node-file-system.ts";

/** A call that took longer counts as slow; it may also have waited for a core. */
const SLOW_MS = 0.5;
/** So many slow calls above one in a hundred mean that the file system is slow. */
const SLOW_MAX = 4;
const BLOCKED_MS_MAX = 1;

export class QuickLinks {
  readonly #environment: Environment;
  #fileSystem: FileSystem;
  #calls = 0;
  #slowCalls = 0;
  #blockedMs = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
    const { fileSystem } = environment;
    const isOwn = isNodeFileSystem(fileSystem);
    this.#fileSystem = isOwn ? new NodeFileSystem(blockingCalls) : fileSystem;
  }

  /** As the file system's. */
  link(existing: string, path: string): Promise<void> {
    return this.#timed((fileSystem) => fileSystem.link(existing, path));
  }

  /** As the file system's. */
  stat(path: string): Promise<FileStat | undefined> {
    return this.#timed((fileSystem) => fileSystem.stat(path));
  }

  /** Whether the calling thread makes the calls. */
  get isQuick(): boolean {
    return this.#fileSystem !== this.#environment.fileSystem;
  }

  async #timed<T>(call: (fileSystem: FileSystem) => Promise<T>): Promise<T> {
    if (!this.isQuick) return call(this.#fileSystem);
    const { clock, timers, fileSystem } = this.#environment;
    const startMs = clock.monotonicMs();
    const outcome = call(this.#fileSystem); // It is over.
    const tookMs = clock.monotonicMs() - startMs;
    this.#calls++;
    if (tookMs > SLOW_MS) this.#slowCalls++;
    if (this.#slowCalls > SLOW_MAX + this.#calls / 100) this.#fileSystem = fileSystem; // Q2
    this.#blockedMs += tookMs;
    if (this.#blockedMs >= BLOCKED_MS_MAX) {
      this.#blockedMs = 0;
      outcome.catch(() => undefined); // Told below.
      await timers.yieldTurn(); // Q1
    }
    return outcome;
  }
}
