// Syncs of directories, shared: a checkpoint gives names to tens of files at once, and one sync
// covers all names given before it began.
//   Y1. A call resolves only through a sync that began after the call.
//   Y2. A failed sync is never repeated: Linux may have dropped the unwritten pages, and the next
//       sync would succeed without them. The directory takes no more names from this instance.
//   Y3. One at a time in a directory: Linux tells a failure to one of two. Whoever waits begins in the turn
//       in which it sees that none runs.
import { dirname } from "node:path";
import type { FileSystem } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { isPassing, systemCodeOf } from "../environment/typed-error.ts";

interface DirectoryState {
  /** Resolves when the one that runs is over, whatever became of it, and nothing runs. */
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

  /** Resolves when every name in the directory at the time of the call is durable. */
  async sync(path: string): Promise<void> {
    const state = this.#stateOf(path);
    if (state.running === undefined) return this.#begin(path, state);
    // Y1: the running one may have begun before the caller's name was there.
    state.next ??= this.#beginAfter(path, state);
    return state.next;
  }

  /**
   * Does work that ends with a sync of the directory, and rejects with what `unsynced` of its result tells. No
   * sync of ours runs meanwhile (Y3).
   */
  async withSync<T extends { readonly unsynced: Error | undefined }>(
    path: string,
    work: () => Promise<T>,
  ): Promise<T> {
    const state = this.#stateOf(path);
    while (state.running !== undefined) await state.running; // Y3
    return running(state, async () => {
      const result = await work();
      if (result.unsynced === undefined) return result;
      noteFailure(state, result.unsynced);
      throw result.unsynced;
    });
  }

  #stateOf(path: string): DirectoryState {
    let state = this.#states.get(path);
    if (state === undefined) {
      state = { running: undefined, next: undefined, failure: undefined };
      this.#states.set(path, state);
    }
    return state;
  }

  async #beginAfter(path: string, state: DirectoryState): Promise<void> {
    while (state.running !== undefined) await state.running; // Y3
    state.next = undefined;
    return this.#begin(path, state);
  }

  #begin(path: string, state: DirectoryState): Promise<void> {
    return running(state, async () => {
      try {
        await this.#fileSystem.syncDirectory(path); //# fail point: storage.directory-synced
      } catch (cause) {
        noteFailure(state, cause as Error);
        throw cause;
      }
    });
  }
}

/** Does the work as the one that runs, unless a sync has failed (Y2). */
function running<T>(state: DirectoryState, work: () => Promise<T>): Promise<T> {
  assert(state.running === undefined, "Y3: two syncs of a directory at a time");
  const result = state.failure === undefined ? work() : Promise.reject<T>(state.failure);
  const isOver = (): void => {
    state.running = undefined;
  };
  state.running = result.then(isOver, isOver);
  return result;
}

/** Y2; EMFILE comes before the sync itself. */
function noteFailure(state: DirectoryState, cause: Error): void {
  if (!isPassing(cause)) state.failure = cause;
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
