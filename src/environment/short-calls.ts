// For work of many short file operations: links, looks at names, reads of what is cached. A trip to
// one of libuv's threads takes longer than such a call, so it blocks its thread, within bounds.
//   S1. Calls that follow each other at once block for SLICE_MS and one call more, at most; then the
//       event loop has a turn.
//   S2. A call that took long, as those of a network or of a slow device do, is the last one to block
//       for a while.
//   S3. The same system calls in the same order, and the same errors, as without.
import * as fs from "node:fs";
import * as promises from "node:fs/promises";
import { promisify } from "node:util";
import type { FileSystem } from "../api/environment.ts";
import { BlockingHandle, type NodeCalls, type NodeHandle, promiseCalls } from "./node-calls.ts";
import { NodeFileSystem, isNodeFileSystem } from "./node-file-system.ts";

const SLICE_MS = 3;
/** Between two calls with less time than that the event loop has probably not turned. */
const PAUSE_MS = 0.5;
/** A hundred times what a call takes that finds everything in memory. */
const SLOW_MS = 1;
const CALLS_AFTER_A_SLOW_ONE = 256;

const read = promisify(fs.read);
const sync = promisify(fs.fsync);

/** When a call may block. */
class Turns {
  readonly #now: () => number;
  #sliceStart = Number.NEGATIVE_INFINITY;
  #lastEnd = Number.NEGATIVE_INFINITY;
  #restrained = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  async run<T>(blocking: () => T, otherwise: () => Promise<T>): Promise<T> {
    const start = this.#now();
    if (start - this.#lastEnd > PAUSE_MS) this.#sliceStart = start;
    if (this.#restrained > 0 || start - this.#sliceStart >= SLICE_MS) {
      if (this.#restrained > 0) this.#restrained--;
      try {
        return await otherwise();
      } finally {
        this.#sliceStart = this.#now(); // S1
      }
    }
    try {
      return blocking();
    } finally {
      this.#lastEnd = this.#now();
      if (this.#lastEnd - start > SLOW_MS) this.#restrained = CALLS_AFTER_A_SLOW_ONE; // S2
    }
  }
}

/** A file that was opened for reading. */
class ShortHandle extends BlockingHandle {
  readonly #turns: Turns;

  constructor(descriptor: number, turns: Turns) {
    super(descriptor);
    this.#turns = turns;
  }

  override read(
    into: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }> {
    return this.#turns.run(
      () => ({ bytesRead: fs.readSync(this._descriptor, into, offset, length, position) }),
      () => read(this._descriptor, into, offset, length, position),
    );
  }

  /** Never short. */
  override sync(): Promise<void> {
    return sync(this._descriptor);
  }
}

/** Node's calls, of which those that are short and frequent may block (S1). `now`: milliseconds. */
export function shortNodeCalls(now: () => number): NodeCalls {
  const turns = new Turns(now);
  return {
    ...promiseCalls,
    async open(path, flags, mode) {
      if (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR | fs.constants.O_DIRECTORY)) {
        return promises.open(path, flags, mode);
      }
      return turns.run<NodeHandle>(
        () => new ShortHandle(fs.openSync(path, flags, mode), turns),
        () => promises.open(path, flags, mode),
      );
    },
    link: (existing, path) =>
      turns.run(
        () => fs.linkSync(existing, path),
        () => promises.link(existing, path),
      ),
    lstat: (path) =>
      turns.run(
        () => fs.lstatSync(path),
        () => promises.lstat(path),
      ),
  };
}

const shortCalls = new NodeFileSystem(shortNodeCalls(() => performance.now()));

/** The same files, for many short operations one after the other; the same object if it is not Node's. */
export function shortCallsOf(fileSystem: FileSystem): FileSystem {
  return isNodeFileSystem(fileSystem) ? shortCalls : fileSystem;
}
