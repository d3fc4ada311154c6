// Names and payload types of all diagnostics channels. Subscribers run inline on the thread that
// publishes: they must be quick and must not throw. Nothing is built for a channel nobody listens to.
import { channel, tracingChannel } from "node:diagnostics_channel";
import type { Channel, TracingChannel } from "node:diagnostics_channel";
import type { CheckpointPolicy, SavepointFormat } from "./api/keyed-state-backend.ts";

/**
 * On `tracing:varve:checkpoint:*`: `start` when a checkpoint is asked for, `asyncEnd` when it is
 * durable, `error` when it was aborted. One object per checkpoint: correlate by identity.
 */
export interface CheckpointTrace {
  readonly checkpointId: number;
  readonly policy: CheckpointPolicy;
  /** Duration of the synchronous part. Set before `end`. */
  pauseMs?: number;
  /** Bytes of files that this checkpoint uploaded. Set before `asyncEnd`. */
  uploadedBytes?: number;
  /** Bytes of all files that it references. Set before `asyncEnd`. */
  totalBytes?: number;
  /** Where it stands in the sequence of completed checkpoints. Set before `asyncEnd`. */
  completionNumber?: number;
}

/** On `tracing:varve:savepoint:*`: as for checkpoints. Correlate by identity. */
export interface SavepointTrace {
  readonly checkpointId: number;
  readonly format: SavepointFormat;
  /** Duration of the synchronous part. */
  pauseMs?: number;
  /** Bytes of all its files. Set before `asyncEnd`. */
  totalBytes?: number;
}

/** On `tracing:varve:restore:*`: from opening to serving. */
export interface RestoreTrace {
  /** Which checkpoint; undefined for an empty start. Set before `asyncEnd`. */
  checkpointId?: number;
  fileCount?: number;
  totalBytes?: number;
}

/** On `tracing:varve:drain:*`: one drain of the write buffer to the LSM. */
export interface DrainTrace {
  /** Generation boundary: everything up to it is drained. */
  readonly boundary: number;
  rowCount?: number;
  byteCount?: number;
}

/** On `tracing:varve:materialization:*`: from the cut to stored. `error`: it is tried again later. */
export interface MaterializationTrace {
  /** Why it began. */
  readonly trigger: "log-bytes" | "age" | "recovery-time";
  uploadedBytes?: number;
  totalBytes?: number;
}

/** On `tracing:varve:log-merge:*`: small changelog segments put together. `error`: it is tried again later. */
export interface LogMergeTrace {
  /** Segments that one takes the place of. */
  readonly parts: number;
  uploadedBytes?: number;
}

/**
 * On `tracing:varve:table-reads:*`: LevelDB maps no further table files into memory, but reads from them,
 * since they are more than the page cache can hold. Once in a process. `error`: they go on being mapped.
 */
export interface TableReadsTrace {
  /** Table files of all databases of the thread. */
  readonly tableBytes: number;
  /** As many may be mapped: half of the memory that budgets leave. */
  readonly allowanceBytes: number;
}

export type ProgressTask =
  | "checkpoint"
  | "materialization"
  | "savepoint"
  | "restore"
  | "clip"
  | "load"
  | "replay"
  | "verification";

/**
 * On `varve:progress`: how far a task is that may be long, when it begins and after each of its files.
 * `checkpoint`, `materialization` and `savepoint` hash and store files. `restore` fetches and verifies them,
 * `clip` takes rows of other tasks out of tables, `load` reads files of rows into memory or makes tables
 * of them, `replay` reads changelog segments, `verification` goes on while a restored backend serves.
 */
export interface ProgressEvent {
  readonly task: ProgressTask;
  /** The same in all events of one task; no other of this process has it. */
  readonly id: number;
  readonly doneFiles: number;
  readonly doneBytes: number;
  /** Of all that has to be done; undefined where it is not known before the end. */
  readonly files: number | undefined;
  readonly bytes: number | undefined;
}

/** On `varve:garbage-collection`: one attempt to delete what no retained checkpoint uses. */
export interface GarbageCollectionEvent {
  /** Names of metadata objects and files that are gone. */
  readonly deleted: readonly string[];
  /** Names that stay for the next attempt, with the error; empty if all went well. */
  readonly remaining: readonly string[];
  readonly error: unknown;
}

/** On `varve:local-recovery`: a local file of a checkpoint that was of no use. */
export interface LocalRecoveryEvent {
  /** Name of the stored file, which is used instead. */
  readonly file: string;
  /** `rejected`: it is not what the checkpoint says, and is removed. `failed`: not kept or not usable. */
  readonly outcome: "rejected" | "failed";
  readonly error: unknown;
}

export const checkpointTracing: TracingChannel<unknown, CheckpointTrace> =
  tracingChannel("varve:checkpoint");

export const savepointTracing: TracingChannel<unknown, SavepointTrace> =
  tracingChannel("varve:savepoint");

export const restoreTracing: TracingChannel<unknown, RestoreTrace> =
  tracingChannel("varve:restore");

export const drainTracing: TracingChannel<unknown, DrainTrace> = tracingChannel("varve:drain");

export const materializationTracing: TracingChannel<unknown, MaterializationTrace> =
  tracingChannel("varve:materialization");

export const logMergeTracing: TracingChannel<unknown, LogMergeTrace> =
  tracingChannel("varve:log-merge");

export const tableReadsTracing: TracingChannel<unknown, TableReadsTrace> =
  tracingChannel("varve:table-reads");

/** Messages are ProgressEvent. */
export const progressChannel: Channel = channel("varve:progress");

/** Messages are GarbageCollectionEvent. */
export const garbageCollectionChannel: Channel = channel("varve:garbage-collection");

/** Publishes if anybody listens. */
export function publishGarbageCollection(event: GarbageCollectionEvent): void {
  if (garbageCollectionChannel.hasSubscribers) garbageCollectionChannel.publish(event);
}

/** Messages are LocalRecoveryEvent. */
export const localRecoveryChannel: Channel = channel("varve:local-recovery");

export function publishLocalRecovery(event: LocalRecoveryEvent): void {
  if (localRecoveryChannel.hasSubscribers) localRecoveryChannel.publish(event);
}
