// What the coordinator is told and what it asks for: plain data. Whoever drives it does the work.
import type { KeyedStateHandle } from "../api/keyed-state-backend.ts";
import type { CheckpointAbortReason } from "../errors.ts";
import type { FileId } from "./file-table.ts";
import type { TaskFiles } from "./task-change.ts";

export type CoordinatorEvent =
  /** All tasks run, from the checkpoint of `restore`: checkpoints may be triggered. */
  | { readonly type: "start" }
  /** The time of `set-timer` has come. */
  | { readonly type: "tick" }
  /** On demand. `isFull`: builds on no earlier checkpoint. */
  | { readonly type: "trigger-requested"; readonly requestId: number; readonly isFull: boolean }
  | TaskAcknowledged
  | {
      readonly type: "task-declined";
      readonly epoch: string;
      readonly checkpointId: number;
      readonly task: number;
    }
  /** A task runs no more: all of them are restored from the newest checkpoint. */
  | { readonly type: "task-failed"; readonly task: number }
  /** `write-metadata` is done. `isHintDurable`: older checkpoints may be deleted. */
  | {
      readonly type: "metadata-durable";
      readonly checkpointId: number;
      readonly isHintDurable: boolean;
    }
  /**
   * `write-metadata` failed. `isOutcomeKnown`: this request has not created it, and never will. That
   * decides only if the outcome of every earlier request for it was known as well.
   */
  | {
      readonly type: "metadata-failed";
      readonly checkpointId: number;
      readonly isOutcomeKnown: boolean;
    }
  /** Another owner has completed a checkpoint: this one must stop. */
  | { readonly type: "fenced" }
  /** `discard` is done, or has failed. */
  | { readonly type: "discarded"; readonly isDeleted: boolean }
  | { readonly type: "pin" | "unpin"; readonly checkpointId: number }
  /** The job ends. `isCancelled`: for good, by the user; only then may checkpoints be deleted. */
  | { readonly type: "stop"; readonly isCancelled: boolean }
  /** `close-sequence` is done: nobody else can complete a checkpoint after the newest one. */
  | { readonly type: "sequence-closed" };

/** The snapshot of one task is durable. */
export interface TaskAcknowledged {
  readonly type: "task-acknowledged";
  /** Of the coordinator that triggered it. */
  readonly epoch: string;
  readonly checkpointId: number;
  readonly task: number;
  readonly files: TaskFiles;
  /** Undefined for a task without keyed state. */
  readonly handle: KeyedStateHandle | undefined;
}

export type CoordinatorAction =
  /** `base`: id of the completed checkpoint to build on; undefined: a full one. */
  | {
      readonly type: "trigger";
      readonly task: number;
      readonly checkpointId: number;
      readonly base: number | undefined;
    }
  /** Create the metadata under this completion number, if the number is free. */
  | WriteMetadata
  | { readonly type: "notify-complete"; readonly task: number; readonly checkpointId: number }
  | {
      readonly type: "notify-aborted";
      readonly task: number;
      readonly checkpointId: number;
      readonly reason: CheckpointAbortReason;
    }
  /** No checkpoint up to this one, inclusive, is retained any more. */
  | { readonly type: "notify-subsumed"; readonly task: number; readonly checkpointId: number }
  /** Delete, and answer with `discarded`. One at a time. */
  | {
      readonly type: "discard";
      /** Completion numbers of metadata. */
      readonly metadata: readonly number[];
      readonly files: readonly FileId[];
    }
  | {
      readonly type: "request-completed";
      readonly requestId: number;
      readonly checkpointId: number;
    }
  | {
      readonly type: "request-failed";
      readonly requestId: number;
      /** Undefined if none was triggered for it. */
      readonly checkpointId: number | undefined;
      readonly reason: RequestFailure;
    }
  /** Stop all tasks, and restart them if `restore` says so. */
  | { readonly type: "fail-job"; readonly reason: "too-many-failures" | "fenced" }
  /** Restart all tasks from this completed checkpoint, or empty, and answer with `start`. */
  | { readonly type: "restore"; readonly checkpointId: number | undefined }
  /** Send a `tick` at this time of the monotonic clock. Replaces the one before. */
  | { readonly type: "set-timer"; readonly atMs: number }
  /** Take this completion number for good, so that no other owner can complete a checkpoint. */
  | { readonly type: "close-sequence"; readonly completionNumber: number }
  | { readonly type: "stopped" };

export interface WriteMetadata {
  readonly type: "write-metadata";
  readonly checkpointId: number;
  readonly completionNumber: number;
  /** Lowest completion number that is retained once this one is durable. */
  readonly oldestRetained: number;
  /** By task. */
  readonly handles: readonly (KeyedStateHandle | undefined)[];
}

export type RequestFailure = CheckpointAbortReason | "not-running" | "queue-full" | "fenced";
