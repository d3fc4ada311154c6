// What a runtime of many tasks programs against: one coordinator for all of them.
import type { CheckpointStorage } from "./checkpoint-storage.ts";
import type {
  CheckpointPhases,
  JsonValue,
  KeyedStateHandle,
  LoggedBytes,
  SnapshotResult,
} from "./keyed-state-backend.ts";

/** Where a backend starts from, for runtimes that keep checkpoint metadata themselves. */
export interface RestoreHandles {
  /** 0 without any handles: an empty start. */
  readonly checkpointId: number;
  /** Handles whose key groups together cover those of the backend; others are left out. */
  readonly handles: readonly KeyedStateHandle[];
  readonly metadata?: JsonValue | undefined;
  /** Where the files are. @defaultValue the backend's checkpointStorage */
  readonly storage?: CheckpointStorage | undefined;
}

export interface TriggerOptions {
  /** Build on no earlier checkpoint: pass it on to `snapshot`. */
  readonly full: boolean;
  /** Aborts once the checkpoint is given up. */
  readonly signal: AbortSignal;
}

/** One task's part of a checkpoint. */
export interface TaskSnapshot {
  /** Undefined for a task without keyed state. */
  readonly snapshot: SnapshotResult | undefined;
  /** What the task needs to go on from here, its offsets for example. */
  readonly metadata?: JsonValue | undefined;
}

/**
 * A task, as the coordinator sees it: wherever it runs. Between `triggerCheckpoint` and
 * `notifyCheckpointComplete` it prepares its output, on `notifyCheckpointComplete` it commits it.
 */
export interface CheckpointTask {
  /**
   * Cuts where the task's barrier is, and resolves once all files are durable. A rejection declines
   * the checkpoint, which is then aborted for all tasks.
   */
  triggerCheckpoint(checkpointId: number, options: TriggerOptions): Promise<TaskSnapshot>;
  /** The checkpoint of all tasks is durable. Ids may be skipped: this one covers all before it. */
  notifyCheckpointComplete(checkpointId: number): void;
  notifyCheckpointAborted(checkpointId: number): void;
  notifyCheckpointSubsumed(checkpointId: number): void;
}

/** A checkpoint of all tasks. */
export interface CompletedJobCheckpoint {
  readonly checkpointId: number;
  readonly completionNumber: number;
  /** From the trigger to durable. */
  readonly durationMs: number;
  readonly uploadedBytes: number;
  /** Bytes of all files the checkpoint references. */
  readonly totalBytes: number;
  /** Of those, bytes of changelogs that a restore replays. */
  readonly logBytes: number;
  /** The longest synchronous part of a task. */
  readonly pauseMs: number;
  /** Of each the longest of a task; metadata is the job's. */
  readonly phases: CheckpointPhases;
  /** Changes that were appended for it; undefined without a changelog. */
  readonly logged: LoggedBytes | undefined;
  /** Whether a task was making a new base in the background. */
  readonly isMaterializing: boolean;
  /** What a restore would take, of the task for which it takes longest, in ms; undefined without a changelog. */
  readonly estimatedRecoveryMs: number | undefined;
  /** Path or name of its metadata, for `restore`. */
  readonly location: string;
}

export interface CheckpointCoordinatorStats {
  readonly completedCheckpoints: number;
  readonly abortedCheckpoints: number;
  /** Checkpoints triggered and not ended. */
  readonly underWay: number;
  /** Ids of the completed checkpoints that are kept, ascending. */
  readonly retained: readonly number[];
  /** Files that a checkpoint, retained or under way, needs. */
  readonly sharedFiles: number;
  readonly deletedObjects: number;
  readonly pendingDeletions: number;
  readonly failedDeletions: number;
  /** Deletions given up because too many waited: the next owner finds them. */
  readonly abandonedDeletions: number;
}

/** Coordinates the checkpoints of all tasks of a job. One a job: a second one fences the first. */
export interface CheckpointCoordinator extends AsyncDisposable {
  /** For the tasks' `openKeyedStateBackend({ restore })`: what the job starts from. */
  readonly restore: RestoreHandles;
  /** Aborts, with the error as its reason, once fenced or closed. */
  readonly signal: AbortSignal;
  /** The tasks run, from what `restore` or `recover` told: checkpoints may be triggered. */
  start(tasks: readonly CheckpointTask[]): void;
  /** A checkpoint now. Rejects with CheckpointAbortedError, FencedError or BackPressureError. */
  trigger(options?: { readonly full?: boolean | undefined }): Promise<CompletedJobCheckpoint>;
  /**
   * A task has failed, or `onFailure` was called; all tasks are stopped. Gives up what is under way
   * and tells what all of them start from, once it is certain which checkpoint is the newest. Call
   * `start` again with the new tasks.
   */
  recover(): Promise<RestoreHandles>;
  /** Keeps a retained checkpoint until it is unpinned, also through restarts. */
  pin(checkpointId: number): Promise<void>;
  unpin(checkpointId: number): Promise<void>;
  /**
   * Ends the job for good: with `externalizedCheckpointRetention: "delete-on-cancellation"` its
   * checkpoints are deleted but for pinned ones, and the storage never takes another.
   */
  cancel(): Promise<void>;
  /** Ends the coordinator, and keeps the checkpoints. Idempotent. */
  close(): Promise<void>;
  stats(): CheckpointCoordinatorStats;
}
