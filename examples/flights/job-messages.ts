// What supervisor and job tell each other.
import type { BackendKind, Policy } from "./options.ts";

/** Directories of one run, all inside a temporary one. */
export interface RunDirectories {
  readonly working: string;
  readonly checkpoints: string;
  /** Output rows of the sink. */
  readonly output: string;
  /** The states as text, written at the end. */
  readonly dump: string;
}

/** Supervisor to job: the only message. */
export interface JobStart {
  readonly inputPath: string;
  readonly limit: number | undefined;
  /** Rows of the input's largest row group. */
  readonly groupRows: number;
  readonly backend: BackendKind;
  readonly policy: Policy;
  readonly budgetMib: number;
  readonly intervalMs: number;
  readonly directories: RunDirectories;
  /** Where the newest checkpoint that the supervisor knows of ends. */
  readonly expectedPosition: number;
  /** Set if the job is to be killed yet: it goes slowly towards the end, so that it still can be. */
  readonly slowMotion: SlowMotion | undefined;
}

export interface SlowMotion {
  readonly fromPosition: number;
  readonly recordsPerTurn: number;
  readonly turnMs: number;
  /** Longest time between checkpoints meanwhile. */
  readonly intervalMs: number;
}

/** Counters of the backend since this process started. */
export interface JobCounters {
  readonly hotReads: number;
  readonly coldReads: number;
  readonly coldMisses: number;
  readonly drains: number;
  readonly backPressureWaits: number;
  readonly backPressureWaitMs: number;
  /** Bytes that a log of every single change would have, uncompressed. */
  readonly changeBytes: number;
  /** Of policy "changelog": bytes appended to the log, and bases made in the background. */
  readonly logBytes: number;
  readonly materializations: number;
  readonly failedMaterializations: number;
}

export interface CheckpointReport {
  readonly checkpointId: number;
  /** First position that the checkpoint does not contain. */
  readonly position: number;
  /** From the call to durable. */
  readonly durationMs: number;
  /** Longest block of the main thread: the call itself, or a turn of the event loop until durable. */
  readonly pauseMs: number;
  /** How long records waited for the sink's files to be synced before the call. */
  readonly sinkMs: number;
  readonly uploadedBytes: number;
  readonly totalBytes: number;
  /** Of those, bytes of log. */
  readonly logBytes: number;
}

export interface DumpedState {
  readonly name: string;
  readonly keys: number;
  /** Encoded keys and values of the live rows. */
  readonly bytes: number;
}

/** Job to supervisor. Positions are of the next flight: everything before was processed. */
export type JobMessage =
  | {
      readonly kind: "ready";
      /** Where the job goes on: 0 without a checkpoint. */
      readonly position: number;
      readonly checkpointId: number | undefined;
      readonly openMs: number;
      /** Of that, opening the backend: verification and the replay of the log included. */
      readonly restoreMs: number;
      /** Bytes of log that were replayed. */
      readonly replayedLogBytes: number;
    }
  | { readonly kind: "progress"; readonly position: number; readonly counters: JobCounters }
  | { readonly kind: "checkpoint-begin"; readonly position: number }
  | { readonly kind: "checkpoint-end"; readonly report: CheckpointReport }
  | { readonly kind: "checkpoint-aborted"; readonly position: number; readonly message: string }
  | { readonly kind: "end-of-input"; readonly position: number; readonly counters: JobCounters }
  | { readonly kind: "dumped"; readonly state: DumpedState }
  | { readonly kind: "finished" }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };
