// Syncs of directories, shared: a checkpoint gives names to tens of files at once, and one sync
// covers all names given before it began.
//   Y1. A call resolves only through a sync that began after the call.
//   Y2. A failed sync is never repeated: Linux may have dropped the unwritten pages, and the next
//       sync would succeed without them. The directory takes no more names from this instance.
import { dirname } from "node:path";
import type { FileSystem } from "../api/environment.ts";
import { isPassing, systemCodeOf } from "../environment/typed-error.ts";

interface DirectoryState {
  running: Promise<void> | undefined;
  next: Promise<void> | undefined;
  failure: Error | undefined;
}

export class DirectorySyncs {
  readonly #fileSystem: FileSystem;
  readonly #states = new Map<string, DirectoryState>();

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  /** Throws what a sync of the directory has failed with (Y2). */
  requireSound(path: string): void {
    const failure = this.#states.get(path)?.failure;
    if (failure !== undefined) throw failure;
  }

  /** Takes note of a sync that was done elsewhere, and has failed. */
  noteFailure(path: string, cause: Error): void {
    if (!isPassing(cause)) this.#stateOf(path).failure = cause; // Y2; EMFILE comes before the sync itself.
  }

  /** Resolves when every name in the directory at the time of the call is durable. */
  async sync(path: string): Promise<void> {
    const state = this.#stateOf(path);
    if (state.running === undefined) {
      state.running = this.#run(path, state);
      return state.running;
    }
    // Y1: the running one may have begun before the caller's name was there.
    state.next ??= this.#runAfter(path, state, state.running);
    return state.next;
  }

  #stateOf(path: string): DirectoryState {
    let state = this.#states.get(path);
    if (state === undefined) {
      state = { running: undefined, next: undefined, failure: undefined };
      this.#states.set(path, state);
    }
    return state;
  }

  async #runAfter(path: string, state: DirectoryState, running: Promise<void>): Promise<void> {
    await running.catch(() => undefined); // Its own callers hear of it.
    state.next = undefined;
    state.running = this.#run(path, state);
    return state.running;
  }

  async #run(path: string, state: DirectoryState): Promise<void> {
    try {
      this.requireSound(path);
      await this.#fileSystem.syncDirectory(path); //# fail point: storage.directory-synced
    } catch (cause) {
      this.noteFailure(path, cause as Error);
      throw cause;
    } finally {
      state.running = undefined;
    }
  }
}

/** The whole chain, since an earlier process may have created it and died before its syncs. */
export async function syncWithAncestors(fileSystem: FileSystem, root: string): Promise<void> {
  for (let path = root; ; path = dirname(path)) {
    try {
      await fileSystem.syncDirectory(path);
    } catch (cause) {
      // An ancestor that we may not open is none that we created.
      const isRefused = ["EACCES", "EPERM", "EINVAL"].includes(systemCodeOf(cause) ?? "");
      if (path === root || !isRefused) throw cause;
    }
    if (dirname(path) === path) break;
  }
}
