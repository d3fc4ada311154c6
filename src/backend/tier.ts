import type {
  ChangelogStats,
  SavepointFormat,
  SnapshotResult,
  StateSchema,
} from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import type { FileSink } from "../checkpoint/base-writer.ts";

/**
 * Who keeps the files that a snapshot builds on: this backend's own checkpoint store, or a runtime.
 * `nobody`: it builds on none.
 */
export type FileKeeper = "store" | "runtime" | "nobody";

/** What lies behind the write buffer and differs between the backends. */
export interface Tier {
  readonly kind: "lsm" | "memory";
  /** Cuts in the call and captures in the background. Rejects with the signal's reason. */
  begin(checkpointId: number, keeper: FileKeeper, signal: AbortSignal): Promise<SnapshotResult>;
  /**
   * As `begin`, all of it into a sink of its own: nothing is built upon, nothing builds on it. What a
   * failure leaves in the sink is its owner's to remove.
   */
  beginSavepoint(
    format: SavepointFormat,
    sink: Promise<FileSink>,
    signal: AbortSignal,
  ): Promise<SnapshotResult>;
  /** The snapshot's checkpoint is durable: its files may be built upon. */
  complete(checkpointId: number): void;
  abort(checkpointId: number): void;
  /** Throws if files that the checkpoint names may be gone: it must not become durable. */
  requireWhole?(checkpointId: number): void;
  scanKeys(schema: StateSchema, namespace: Uint8Array | undefined): AsyncIterableIterator<Key>;
  prefetch(keys: readonly Key[]): Promise<void>;
  readonly needsDrain: boolean;
  /** Resolves when the buffer has room. */
  drained(signal: AbortSignal): Promise<void>;
  /** Makes room in this call, before a record begins; BackPressureError if it cannot. */
  relieve(): void;
  stats(): TierStats;
  close(): Promise<void>;
}

export interface TierStats {
  readonly drains: number;
  readonly drainedRows: number;
  readonly drainedBytes: number;
  readonly prefetchedRows: number;
  readonly backPressureWaits: number;
  readonly backPressureWaitMs: number;
  readonly linkedFiles: number;
  readonly copiedFiles: number;
  readonly clippedFiles: number;
  readonly clippedBytes: number;
  readonly unverifiedFiles: number;
  /** Undefined without a changelog. */
  readonly changelog?: ChangelogStats | undefined;
}
