// What the tasks have told of checkpoints under way.
import type { CompletedJobCheckpoint, TaskSnapshot } from "../api/checkpoint-coordinator.ts";
import type { JsonValue } from "../api/keyed-state-backend.ts";
import type { CheckpointAbortReason } from "../errors.ts";
import type { TaskFiles } from "../coordinator/task-change.ts";
import type { CheckpointTiming } from "../format/timing.ts";
import { JobTiming } from "./job-timing.ts";
import { TaskFilesTracker } from "./task-files.ts";

interface Partial {
  /** Ids of files that tasks uploaded. */
  readonly created: string[];
  readonly triggeredAtMs: number;
  readonly metadata: Map<number, JsonValue>;
  readonly tasks: JobTiming;
  uploadedBytes: number;
  totalBytes: number;
  logBytes: number;
  /** When writing its metadata began. */
  metadataFromMs: number;
  failure: unknown;
}

export interface LastFailure {
  readonly checkpointId: number;
  /** Undefined while it is not given up. */
  readonly reason: CheckpointAbortReason | undefined;
  readonly cause: unknown;
}

export class PartialCheckpoints {
  readonly #files = new TaskFilesTracker();
  readonly #partials = new Map<number, Partial>();
  /** The last one that failed, and why. */
  lastFailure: LastFailure = { checkpointId: 0, reason: undefined, cause: undefined };

  begin(checkpointId: number, nowMs: number): void {
    if (this.#partials.has(checkpointId)) return; // Once for all tasks.
    this.#partials.set(checkpointId, {
      triggeredAtMs: nowMs,
      created: [],
      metadata: new Map(),
      tasks: new JobTiming(),
      uploadedBytes: 0,
      totalBytes: 0,
      logBytes: 0,
      metadataFromMs: nowMs,
      failure: undefined,
    });
  }

  /** The files of a task's answer. `newest`: the newest completed checkpoint. */
  acknowledge(
    checkpointId: number,
    task: number,
    { snapshot, metadata }: TaskSnapshot,
    newest: number | undefined,
  ): TaskFiles {
    const partial = this.#partials.get(checkpointId);
    if (partial !== undefined) {
      if (metadata !== undefined) partial.metadata.set(task, metadata);
      partial.created.push(...(snapshot?.newFileIds ?? []));
      partial.uploadedBytes += snapshot?.uploadedBytes ?? 0;
      for (const { lengthBytes } of snapshot?.files ?? []) partial.totalBytes += lengthBytes;
      // Among the files they have no length, since they grow.
      for (const { lengthBytes } of snapshot?.handle.log?.segments ?? []) {
        partial.totalBytes += lengthBytes;
      }
      partial.logBytes += snapshot?.logBytes ?? 0;
      if (snapshot !== undefined) partial.tasks.add(snapshot);
    }
    return this.#files.describe(checkpointId, task, snapshot, newest);
  }

  /** By task; null where a task gave none. */
  metadataOf(checkpointId: number, taskCount: number): JsonValue {
    const { metadata } = this.#partials.get(checkpointId)!;
    return Array.from({ length: taskCount }, (_, task) => metadata.get(task) ?? null);
  }

  /** Of all that has acknowledged; its metadata is about to be written. */
  timingOf(checkpointId: number, nowMs: number): CheckpointTiming {
    const partial = this.#partials.get(checkpointId)!;
    partial.metadataFromMs = nowMs;
    return { durationMs: nowMs - partial.triggeredAtMs, ...partial.tasks.timing() };
  }

  fail(checkpointId: number, cause: unknown): void {
    this.lastFailure = { checkpointId, reason: undefined, cause };
    const partial = this.#partials.get(checkpointId);
    if (partial !== undefined) partial.failure ??= cause;
  }

  /** It is given up. */
  aborted(checkpointId: number, reason: CheckpointAbortReason): void {
    this.lastFailure = { checkpointId, reason, cause: this.failureOf(checkpointId) };
  }

  /** Why it was aborted, if a task or the storage told. */
  failureOf(checkpointId: number | undefined): unknown {
    return checkpointId === undefined ? undefined : this.#partials.get(checkpointId)?.failure;
  }

  complete(
    checkpointId: number,
    completionNumber: number,
    nowMs: number,
    location: string,
  ): CompletedJobCheckpoint {
    const partial = this.#partials.get(checkpointId)!;
    const { triggeredAtMs, uploadedBytes, totalBytes, logBytes, metadataFromMs } = partial;
    const { pauseMs, phases, recoveryMs, logged, isMaterializing } = partial.tasks.timing();
    this.#files.complete(checkpointId);
    this.#partials.delete(checkpointId);
    const durationMs = nowMs - triggeredAtMs;
    return {
      checkpointId,
      completionNumber,
      durationMs,
      uploadedBytes,
      totalBytes,
      logBytes,
      pauseMs,
      phases: {
        ...phases,
        sealMs: pauseMs,
        acknowledgeMs: metadataFromMs - triggeredAtMs,
        metadataMs: nowMs - metadataFromMs,
      },
      estimatedRecoveryMs: recoveryMs,
      logged,
      isMaterializing: isMaterializing === true,
      location,
    };
  }

  /** What tasks uploaded for checkpoints that have not ended. */
  createdFiles(): string[] {
    return [...this.#partials.values()].flatMap(({ created }) => created);
  }

  /** Forgets those that have ended. */
  prune(isOpen: (checkpointId: number) => boolean): void {
    for (const id of this.#partials.keys()) if (!isOpen(id)) this.#partials.delete(id);
    this.#files.prune(isOpen);
  }
}
