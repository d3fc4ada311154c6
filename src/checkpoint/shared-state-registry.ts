// Which checkpoints, retained or under way, still need which stored file. In memory; deleting is the
// caller's job. "Number" is a completion number: the position in the sequence of completed
// checkpoints. An attempt is named by its checkpoint id until it completes.
//   R1. A file is deletable only when no retained checkpoint and no attempt under way uses it.
//   R2. lastUsedBy never decreases: a late registration cannot shorten a file's life.
//   R3. An id names one immutable byte sequence for ever. LevelDB reuses file numbers after a
//       restore, so an id is never derived from one.
//   R4. An attempt builds only on files that it created or that a completed checkpoint uses.
//   R5. What an aborted attempt created is deletable at once, unless another one uses it.
// Tracks the last user instead of a reference count, as Flink's SharedStateRegistryImpl does:
// checkpoints are subsumed in order, and an aborted one then has no count to give back.
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";

interface Entry {
  readonly file: SharedFile;
  /** Checkpoint id of the attempt that uploaded it; undefined if that was before this process. */
  readonly createdBy: number | undefined;
  /** Highest number of a completed checkpoint that uses it; 0 while there is none. */
  lastUsedBy: number;
  /** Checkpoint ids of attempts under way. */
  readonly attempts: Set<number>;
}

export class SharedStateRegistry {
  readonly #entries = new Map<string, Entry>();

  get fileCount(): number {
    return this.#entries.size;
  }

  has(id: string): boolean {
    return this.#entries.has(id);
  }

  /** A file of a checkpoint that completed before this process began. */
  restore(file: SharedFile, number: number): void {
    const entry = this.#entries.get(file.id);
    if (entry === undefined) {
      this.#entries.set(file.id, {
        file,
        createdBy: undefined,
        lastUsedBy: number,
        attempts: new Set(),
      });
      return;
    }
    checkSame(entry.file, file);
    entry.lastUsedBy = Math.max(entry.lastUsedBy, number); // R2
  }

  /**
   * An attempt will build on this file of a completed checkpoint: to be called before it does. False
   * if no checkpoint here knows it: a runtime keeps it, and may delete it.
   */
  pin(file: SharedFile, checkpointId: number): boolean {
    const entry = this.#entries.get(file.id);
    if (entry === undefined) return false;
    assert(entry.lastUsedBy > 0, "R4: builds on an unconfirmed file");
    checkSame(entry.file, file);
    entry.attempts.add(checkpointId);
    return true;
  }

  /** A file that the attempt uploaded, or one that it has pinned. Repeating it changes nothing. */
  register(file: SharedFile, checkpointId: number, isNew: boolean): void {
    const entry = this.#entries.get(file.id);
    if (entry === undefined) {
      assert(isNew, "R4: builds on a file that is deleted or was never there");
      this.#entries.set(file.id, {
        file,
        createdBy: checkpointId,
        lastUsedBy: 0,
        attempts: new Set([checkpointId]),
      });
      return;
    }
    checkSame(entry.file, file);
    const isOwn = entry.createdBy === checkpointId;
    assert(isOwn || entry.lastUsedBy > 0, "R4: builds on a file of an unconfirmed checkpoint");
    entry.attempts.add(checkpointId);
  }

  /** The attempt completed under `number`. */
  confirm(checkpointId: number, number: number): void {
    for (const entry of this.#entries.values()) {
      if (!entry.attempts.delete(checkpointId)) continue;
      entry.lastUsedBy = Math.max(entry.lastUsedBy, number); // R2
    }
  }

  /** Takes back the attempt's uses; removes and returns what only it would have used (R5). */
  abort(checkpointId: number): SharedFile[] {
    for (const entry of this.#entries.values()) entry.attempts.delete(checkpointId);
    return this.#take((entry) => entry.createdBy === checkpointId && entry.lastUsedBy === 0);
  }

  /** Removes and returns the files that no checkpoint from `lowestRetained` on uses. */
  subsume(lowestRetained: number): SharedFile[] {
    return this.#take((entry) => entry.lastUsedBy > 0 && entry.lastUsedBy < lowestRetained);
  }

  #take(isUnused: (entry: Entry) => boolean): SharedFile[] {
    const taken: SharedFile[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.attempts.size > 0 || !isUnused(entry)) continue; // R1
      this.#entries.delete(entry.file.id);
      taken.push(entry.file);
    }
    return taken;
  }
}

function checkSame(known: SharedFile, file: SharedFile): void {
  const isSame = known.lengthBytes === file.lengthBytes && known.sha256 === file.sha256;
  assert(isSame, "R3: one id, two contents");
}
