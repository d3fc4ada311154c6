// What a task's snapshot changes about its files, seen from the newest completed checkpoint.
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import type { FileId } from "./file-table.ts";

/** What the snapshot of one task uses, as the task tells it. */
export interface TaskFiles {
  /**
   * Id of a completed checkpoint whose files of this task it uses, but for `released`. Undefined:
   * the other lists are all it uses.
   */
  readonly base: number | undefined;
  /** What it uploaded: all that is not known to be of a completed checkpoint. */
  readonly created: readonly SharedFile[];
  /** Placeholders: confirmed files that it uses and that are not its own in the base. */
  readonly reused: readonly FileId[];
  /** Files of its own in the base that it does not use. */
  readonly released: readonly FileId[];
}

/** The same, by indexes of the file table. */
export interface TaskUses {
  /** Position of the base in the order of completion. */
  readonly base: number | undefined;
  readonly created: readonly number[];
  readonly reused: readonly number[];
  readonly released: readonly number[];
}

/** Each index at most once in either list, and in one of them only. */
export interface TaskChange {
  readonly added: readonly number[];
  readonly removed: readonly number[];
}

/**
 * The difference to `live`, the task's files in the newest completed checkpoint. `later`: what the
 * checkpoints that completed since the base have changed for this task, in their order.
 */
export function differenceToNewest(
  uses: TaskUses,
  live: ReadonlySet<number>,
  later: readonly TaskChange[],
): TaskChange {
  if (uses.base === undefined) return differenceOfAll(uses, live);
  if (later.length === 0) return differenceToBase(uses, live);
  const wanted = new Map<number, boolean>();
  // The first change since the base tells whether the base has a file: it has what was removed.
  for (const { added, removed } of later) {
    for (const index of added) if (!wanted.has(index)) wanted.set(index, false);
    for (const index of removed) if (!wanted.has(index)) wanted.set(index, true);
  }
  for (const index of uses.released) {
    const isInBase = wanted.get(index) ?? live.has(index);
    assert(isInBase, "R4: a file is released that its base does not use");
    wanted.set(index, false);
  }
  for (const index of uses.reused) wanted.set(index, true);
  for (const index of uses.created) wanted.set(index, true);
  const added: number[] = [];
  const removed: number[] = [];
  for (const [index, isWanted] of wanted) {
    if (isWanted === live.has(index)) continue;
    (isWanted ? added : removed).push(index);
  }
  return { added, removed };
}

/** As nearly always: the base is the newest. */
function differenceToBase(uses: TaskUses, live: ReadonlySet<number>): TaskChange {
  const removed = new Set(uses.released);
  for (const index of removed) {
    assert(live.has(index), "R4: a file is released that its base does not use");
  }
  const added = new Set<number>();
  for (const index of [...uses.created, ...uses.reused]) {
    if (!removed.delete(index) && !live.has(index)) added.add(index);
  }
  return { added: [...added], removed: [...removed] };
}

function differenceOfAll(uses: TaskUses, live: ReadonlySet<number>): TaskChange {
  const wanted = new Set([...uses.created, ...uses.reused]);
  return {
    added: [...wanted].filter((index) => !live.has(index)),
    removed: [...live].filter((index) => !wanted.has(index)),
  };
}
