// Which checkpoints of a job, completed or under way, need which stored file, over all tasks. In
// memory; deleting is the caller's job. It decides nothing about checkpoints: it is told what
// completes, aborts and is subsumed.
//   R1. A file becomes discardable only when no standing checkpoint uses it and no attempt under way
//       can. A completed checkpoint stands while it is retained, or an attempt under way builds on it.
//   R2. What became discardable is gone from here. Nothing may name it again but a repeated late
//       acknowledgement, which makes it discardable once more: deleting twice does no harm.
//   R3. An id names one immutable byte sequence for ever (T2 of file-table.ts).
//   R4. An attempt builds only on files of a completed checkpoint that stands. What an attempt
//       created is its own, or that of several under way, until one of them completes.
//   R5. What an aborted attempt created becomes discardable as soon as no other attempt uses it and
//       none is under way that began before the abort: a later one knows of the abort.
//   R6. Work is proportional to what changed: a checkpoint is a difference to its base, and a file
//       that stays in use is not touched. Only a task that builds on nothing costs all it uses.
// A file's uses by completed checkpoints are the stretch from its first use to its last, less the
// few that are noted as `absent`: a file may come back when a job was restored from an older one.
// While the newest checkpoint uses it the end of the stretch is open, and nothing is written at all;
// afterwards the file is in the set of the checkpoint that used it last. Once that one falls, the
// file moves to the one before it that uses it, or goes: as dead lists do it in ZFS. So pinned
// checkpoints cost no more than others, where Flink's rising lowest retained id would keep
// everything younger than the pinned one.
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import { Field, FileTable } from "./file-table.ts";
import type { FileId } from "./file-table.ts";
import { hold } from "./registry-records.ts";
import type { Attempt, Change, Completed, Deferred } from "./registry-records.ts";
import { differenceToNewest } from "./task-change.ts";
import type { TaskChange, TaskFiles } from "./task-change.ts";

/** Ids of checkpoints. */
export interface FileUse {
  readonly createdBy: number;
  /** The newest standing checkpoint that uses it; undefined while none has completed. */
  readonly lastUsedBy: number | undefined;
}

const noFiles: ReadonlySet<number> = new Set();

export class SharedStateRegistry {
  readonly #table = new FileTable();
  /** In the order of completion. */
  #standing: Completed[] = [];
  readonly #attempts = new Map<number, Attempt>();
  /** Indexes of each task's files in the newest completed checkpoint. */
  readonly #live = new Map<number, Set<number>>();
  /** Differences that an attempt under way may have to look back over. */
  #changes: Change[] = [];
  #deferred: Deferred[] = [];
  #discardable: FileId[] = [];
  #newestPosition = 0;
  #lastBegun = 0;
  #isRetired = false;

  get fileCount(): number {
    return this.#table.count;
  }

  has(id: FileId): boolean {
    return this.#table.find(id) >= 0;
  }

  /** Whether an attempt of this id has begun and not ended. */
  isUnderWay(checkpointId: number): boolean {
    return this.#attempts.has(checkpointId);
  }

  /** What a placeholder stands for; undefined if it is not there. */
  fileOf(id: FileId): SharedFile | undefined {
    const index = this.#table.find(id);
    return index < 0 ? undefined : this.#table.fileOf(index);
  }

  useOf(id: FileId): FileUse | undefined {
    const index = this.#table.find(id);
    if (index < 0) return undefined;
    const isLive = this.#table.get(index, Field.users) > 0;
    const position = isLive ? this.#newestPosition : this.#table.get(index, Field.lastUse);
    const last = this.#standing.find((completed) => completed.position === position);
    return { createdBy: this.#table.createdBy(index), lastUsedBy: last?.checkpointId };
  }

  /**
   * A completed checkpoint, from its metadata. In the order of completion, before any attempt. Who
   * uploaded a file is not known any more: the first that uses it counts as creator.
   */
  restore(checkpointId: number, tasks: Iterable<readonly [number, readonly SharedFile[]]>): void {
    assert(this.#attempts.size === 0, "a checkpoint is restored while attempts are under way");
    this.begin(checkpointId, undefined);
    for (const [task, created] of tasks) {
      const files = { base: undefined, created, reused: [], released: [] };
      assert(this.register(checkpointId, task, files), "a restored checkpoint is refused");
    }
    this.complete(checkpointId);
  }

  /**
   * An attempt begins. `held`: the completed checkpoint that tasks build on, unless on a newer one;
   * it stands until the attempt ends.
   */
  begin(checkpointId: number, held: number | undefined): void {
    assert(!this.#isRetired, "an attempt begins after the end");
    assert(checkpointId > this.#lastBegun, "checkpoint ids do not increase");
    this.#lastBegun = checkpointId;
    const base = held === undefined ? undefined : this.#find(held);
    const isThere = held === undefined || base !== undefined;
    assert(isThere, "R4: an attempt builds on a checkpoint that does not stand");
    const oldestBase = base?.position ?? this.#newestPosition;
    const attempt: Attempt = {
      checkpointId,
      oldestBase,
      held: [],
      pinned: [],
      tasks: new Map(),
    };
    this.#attempts.set(checkpointId, attempt);
    if (base !== undefined) hold(attempt, base);
  }

  /**
   * A task will name these confirmed files as `reused`, and none of its bases keeps them: files of a
   * checkpoint that completed after the cut. They stay until the attempt ends. False, and nothing
   * pinned, if one is not there.
   */
  pin(checkpointId: number, ids: readonly FileId[]): boolean {
    const attempt = this.#attempts.get(checkpointId);
    assert(attempt !== undefined, "files are pinned for no attempt under way");
    const indexes = ids.map((id) => this.#table.find(id));
    if (!indexes.every((index) => this.#isConfirmed(index))) return false;
    for (const index of indexes) this.#table.add(index, Field.pins, 1);
    attempt.pinned.push(...indexes);
    return true;
  }

  /**
   * A task's snapshot for an attempt under way. False if it builds on what is not there any more, or
   * not confirmed (R4): the attempt must then be aborted. What it uploaded is registered all the same.
   */
  register(checkpointId: number, task: number, files: TaskFiles): boolean {
    const attempt = this.#attempts.get(checkpointId);
    assert(attempt !== undefined, "a snapshot of no attempt under way");
    assert(!attempt.tasks.has(task), "a task's snapshot is registered twice");
    const base = files.base === undefined ? undefined : this.#find(files.base);
    const reused = files.reused.map((id) => this.#table.find(id));
    const hasBase = files.base === undefined || (base?.position ?? -1) >= attempt.oldestBase;
    const isThere = (index: number): boolean =>
      this.#isConfirmed(index) || attempt.pinned.includes(index);
    if (!hasBase || !reused.every(isThere)) {
      this.registerLate(checkpointId, files.created);
      return false;
    }
    const created = files.created.map((file) => this.#table.insert(file, checkpointId));
    const released = files.released.map((id) => this.#table.find(id));
    assert(
      released.every((index) => this.#isConfirmed(index)),
      "R4: a file is released that its base does not use",
    );
    for (const index of created) this.#table.add(index, Field.pins, 1);
    for (const index of reused) this.#table.add(index, Field.pins, 1);
    if (base !== undefined) hold(attempt, base);
    attempt.tasks.set(task, { base: base?.position, created, reused, released });
    return true;
  }

  /** What a task uploaded for an attempt that has ended: goes, unless something uses it (R5). */
  registerLate(checkpointId: number, created: readonly SharedFile[]): void {
    const pinned = created.map((file) => this.#table.insert(file, checkpointId));
    for (const index of pinned) this.#table.add(index, Field.pins, 1);
    this.#defer(pinned);
    this.#releaseDeferred();
  }

  /** The attempt completed. Tasks that have registered nothing use nothing. */
  complete(checkpointId: number): void {
    const attempt = this.#end(checkpointId);
    const previous = this.#standing.at(-1);
    const isInOrder = previous === undefined || previous.checkpointId < checkpointId;
    assert(isInOrder, "checkpoints complete out of order");
    const isPreviousThere = (previous?.position ?? 0) === this.#newestPosition;
    assert(isPreviousThere, "the newest completed checkpoint was subsumed before the next one");
    const tasks = this.#differences(attempt);
    const completed: Completed = {
      checkpointId,
      position: ++this.#newestPosition,
      isRetained: true,
      holds: 0,
      lastUses: new Set(),
      absent: new Set(),
    };
    // Added before removed: a file that goes from one task to another stays in use.
    for (const [task, change] of tasks) this.#addAll(task, change.added);
    this.#standing.push(completed);
    for (const [task, change] of tasks) this.#removeAll(task, change.removed, previous);
    if (this.#attempts.size > 0) this.#changes.push({ position: completed.position, tasks });
    this.#unpin(attempt.pinned);
    for (const uses of attempt.tasks.values()) {
      this.#unpin(uses.created);
      this.#unpin(uses.reused);
    }
    this.#letGo(attempt);
  }

  /** The attempt will never complete. */
  abort(checkpointId: number): void {
    const attempt = this.#end(checkpointId);
    this.#defer(attempt.pinned);
    for (const { created, reused } of attempt.tasks.values()) this.#defer([...created, ...reused]);
    this.#letGo(attempt);
  }

  /** The completed checkpoint is not retained any more. In any order; never the newest. */
  subsume(checkpointId: number): void {
    const completed = this.#find(checkpointId);
    assert(completed !== undefined && completed.isRetained, "subsumed twice, or never completed");
    const isNewest = completed.position === this.#newestPosition;
    assert(!isNewest || this.#isRetired, "the newest completed checkpoint is subsumed");
    completed.isRetained = false;
    this.#fall(completed);
  }

  /** No attempt will begin any more: the newest checkpoint may be subsumed as well. Touches every file. */
  retire(): void {
    assert(this.#attempts.size === 0, "retired while attempts are under way");
    if (this.#isRetired) return;
    this.#isRetired = true;
    const newest = this.#standing.at(-1);
    for (const [task, live] of this.#live) this.#removeAll(task, [...live], newest);
  }

  /** Ids of the files that became discardable since the last call. */
  takeDiscardable(): readonly FileId[] {
    const taken = this.#discardable;
    if (taken.length > 0) this.#discardable = [];
    return taken;
  }

  #find(checkpointId: number): Completed | undefined {
    return this.#standing.find((completed) => completed.checkpointId === checkpointId);
  }

  #isConfirmed(index: number): boolean {
    if (index < 0) return false;
    return this.#table.get(index, Field.users) > 0 || this.#table.get(index, Field.lastUse) > 0;
  }

  #end(checkpointId: number): Attempt {
    const attempt = this.#attempts.get(checkpointId);
    assert(attempt !== undefined, "an attempt ends twice, or never began");
    this.#attempts.delete(checkpointId);
    return attempt;
  }

  /** After the end of an attempt: what it kept from falling may fall. */
  #letGo(attempt: Attempt): void {
    for (const completed of attempt.held) {
      completed.holds--;
      this.#fall(completed);
    }
    let oldestBase = this.#newestPosition;
    for (const other of this.#attempts.values()) {
      oldestBase = Math.min(oldestBase, other.oldestBase);
    }
    this.#changes = this.#changes.filter((change) => change.position > oldestBase);
    this.#releaseDeferred();
  }

  #differences(attempt: Attempt): Map<number, TaskChange> {
    const changes = new Map<number, TaskChange>();
    for (const [task, uses] of attempt.tasks) {
      const live = this.#live.get(task) ?? noFiles;
      const since = this.#changes.filter(({ position }) => position > (uses.base ?? Infinity));
      const later = since.flatMap(({ tasks }) => tasks.get(task) ?? []);
      changes.set(task, differenceToNewest(uses, live, later));
    }
    for (const [task, live] of this.#live) {
      if (!attempt.tasks.has(task)) changes.set(task, { added: [], removed: [...live] });
    }
    return changes;
  }

  #addAll(task: number, added: readonly number[]): void {
    let live = this.#live.get(task);
    if (live === undefined) this.#live.set(task, (live = new Set()));
    for (const index of added) {
      live.add(index);
      if (this.#table.add(index, Field.users, 1) > 1) continue;
      const lastUse = this.#table.get(index, Field.lastUse);
      if (lastUse > 0) this.#comeBack(index, lastUse);
      else this.#table.set(index, Field.firstUse, this.#newestPosition);
    }
  }

  /** Used by the newest checkpoint again, but not by those since its last use. */
  #comeBack(index: number, lastUse: number): void {
    for (let at = this.#standing.length - 1; at >= 0; at--) {
      const completed = this.#standing[at]!;
      if (completed.position > lastUse) completed.absent.add(index);
      else {
        assert(completed.lastUses.delete(index), "R1: a file's last use is not where it is noted");
        break;
      }
    }
    this.#table.set(index, Field.lastUse, 0);
  }

  #removeAll(task: number, removed: readonly number[], previous: Completed | undefined): void {
    const live = this.#live.get(task);
    for (const index of removed) {
      assert(live?.delete(index) === true, "R1: a task gives back a file that it does not use");
      if (this.#table.add(index, Field.users, -1) > 0) continue;
      assert(previous !== undefined, "R1: a file is in use and no checkpoint uses it");
      this.#table.set(index, Field.lastUse, previous.position);
      previous.lastUses.add(index);
    }
    if (live?.size === 0) this.#live.delete(task);
  }

  /** Takes the checkpoint away if nothing keeps it, and moves or frees the files it used last. */
  #fall(completed: Completed): void {
    if (completed.isRetained || completed.holds > 0) return;
    const at = this.#standing.indexOf(completed);
    this.#standing.splice(at, 1);
    for (const index of completed.lastUses) {
      const before = this.#lastUser(index, at - 1);
      this.#table.set(index, Field.lastUse, before?.position ?? 0);
      if (before === undefined) this.#freeIfUnused(index);
      else before.lastUses.add(index);
    }
  }

  /** The newest standing checkpoint up to place `from` that uses the file. */
  #lastUser(index: number, from: number): Completed | undefined {
    const firstUse = this.#table.get(index, Field.firstUse);
    for (let at = from; at >= 0; at--) {
      const completed = this.#standing[at]!;
      if (completed.position < firstUse) return undefined;
      if (!completed.absent.has(index)) return completed;
    }
    return undefined;
  }

  #defer(pinned: readonly number[]): void {
    if (pinned.length > 0) this.#deferred.push({ until: this.#lastBegun, pinned });
  }

  #releaseDeferred(): void {
    if (this.#deferred.length === 0) return;
    const [oldest = Infinity] = this.#attempts.keys(); // In the order of their ids.
    const released = this.#deferred.filter(({ until }) => until < oldest);
    this.#deferred = this.#deferred.filter(({ until }) => until >= oldest);
    for (const { pinned } of released) this.#unpin(pinned);
  }

  #unpin(indexes: readonly number[]): void {
    for (const index of indexes) {
      if (this.#table.add(index, Field.pins, -1) === 0) this.#freeIfUnused(index);
    }
  }

  #freeIfUnused(index: number): void {
    const isUsed =
      this.#table.get(index, Field.users) > 0 ||
      this.#table.get(index, Field.lastUse) > 0 ||
      this.#table.get(index, Field.pins) > 0;
    if (isUsed) return; // R1
    this.#discardable.push(this.#table.idOf(index));
    this.#table.remove(index);
  }
}
