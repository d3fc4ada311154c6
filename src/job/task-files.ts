// What a task's snapshot changes about its files, as the registry wants to hear it.
import type { SnapshotResult } from "../api/keyed-state-backend.ts";
import type { TaskFiles } from "../coordinator/task-change.ts";

interface Confirmed {
  readonly checkpointId: number;
  readonly ids: ReadonlySet<string>;
}

const none: TaskFiles = { base: undefined, created: [], reused: [], released: [] };

/** The files of each task in the newest completed checkpoint. */
export class TaskFilesTracker {
  readonly #confirmed = new Map<number, Confirmed>();
  /** By checkpoint, then by task. */
  readonly #snapshots = new Map<number, Map<number, ReadonlySet<string>>>();

  /** As a difference to `newest`, the newest completed checkpoint, if this task was part of it. */
  describe(
    checkpointId: number,
    task: number,
    snapshot: SnapshotResult | undefined,
    newest: number | undefined,
  ): TaskFiles {
    const files = snapshot?.files ?? [];
    const ids = new Set(files.map(({ id }) => id));
    let tasks = this.#snapshots.get(checkpointId);
    if (tasks === undefined) this.#snapshots.set(checkpointId, (tasks = new Map()));
    tasks.set(task, ids);
    if (snapshot === undefined) return none;
    const fresh = new Set(snapshot.newFileIds);
    const created = files.filter(({ id }) => fresh.has(id));
    const others = files.filter(({ id }) => !fresh.has(id)).map(({ id }) => id);
    const base = this.#confirmed.get(task);
    if (base === undefined || base.checkpointId !== newest) {
      return { base: undefined, created, reused: others, released: [] };
    }
    return {
      base: base.checkpointId,
      created,
      reused: others.filter((id) => !base.ids.has(id)),
      released: [...base.ids].filter((id) => !ids.has(id)),
    };
  }

  complete(checkpointId: number): void {
    this.#confirmed.clear();
    for (const [task, ids] of this.#snapshots.get(checkpointId) ?? []) {
      this.#confirmed.set(task, { checkpointId, ids });
    }
    this.#snapshots.delete(checkpointId);
  }

  /** Forgets the answers to checkpoints that have ended. */
  prune(isOpen: (checkpointId: number) => boolean): void {
    for (const id of this.#snapshots.keys()) if (!isOpen(id)) this.#snapshots.delete(id);
  }
}
