import type { CheckpointStorage } from "./checkpoint-storage.ts";
import type {
  AggregatingState,
  AggregatingStateDescriptor,
  Key,
  ListState,
  ListStateDescriptor,
  MapState,
  MapStateDescriptor,
  ReducingState,
  ReducingStateDescriptor,
  ValueState,
  ValueStateDescriptor,
} from "./state.ts";

/** A contiguous range of key groups out of `max`, both ends inclusive. */
export interface KeyGroupRange {
  /** Number of key groups of the whole job, 1 to 32,768. Fixed for its life. */
  readonly max: number;
  readonly first: number;
  readonly last: number;
}

/** Anything JSON can carry. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/**
 * `full`: each checkpoint uploads everything. `incremental`: only files that are new. `changelog`: the
 * net changes since the last one, while a new base is made in the background.
 */
export type CheckpointPolicy = "full" | "incremental" | "changelog";

/** An immutable stored file: its own random id, length and SHA-256 (64 hexadecimal digits). */
export interface SharedFile {
  readonly id: string;
  readonly lengthBytes: number;
  readonly sha256: string;
}

/** Name, type and serializers of a state, as stored with the rows. */
export interface StateSchema {
  readonly name: string;
  /** 32-bit hash of the name, as in every row key. */
  readonly id: number;
  readonly type: "value" | "list" | "map" | "reducing" | "aggregating";
  /** In the order of the descriptor: value; element; key and value; accumulator. */
  readonly serializers: readonly string[];
  readonly namespaces: boolean;
}

/** An immutable set of files captured at a change number, described by a file list of its own. */
export interface BaseHandle {
  readonly kind: "sst-set" | "dump" | "canonical";
  readonly fileList: SharedFile;
  /** Total length of the files that the list names, in bytes. */
  readonly totalBytes: number;
  readonly fileCount: number;
}

/**
 * The first `lengthBytes` of a changelog segment, and their SHA-256. The file may be longer: it takes
 * later checkpoints, which name it with a greater length.
 */
export interface SegmentHandle {
  readonly id: string;
  readonly lengthBytes: number;
  readonly sha256: string;
}

/** The net changes after a base. */
export interface ChangelogHandle {
  /** The base holds exactly the changes up to it. */
  readonly baseChangeNumber: number;
  /** In the order of the changes; they may hold those of other backends too. */
  readonly segments: readonly SegmentHandle[];
}

/** What one backend captured for a checkpoint: references to persisted bytes. Plain data. */
export interface KeyedStateHandle {
  readonly keyGroups: KeyGroupRange;
  /** Generation boundary: base and log together hold exactly the changes up to it. */
  readonly changeNumber: number;
  readonly base: BaseHandle;
  /** Absent: the base holds everything. */
  readonly log?: ChangelogHandle | undefined;
  readonly states: readonly StateSchema[];
}

/** What was appended to the log: as stored, with frames and indexes, and the rows before compression. */
export interface LoggedBytes {
  readonly bytes: number;
  readonly rawBytes: number;
}

export interface SnapshotResult {
  readonly handle: KeyedStateHandle;
  /**
   * Every file the handle references, the file list included. Changelog segments stand without length
   * and hash (0, and zeros), since they grow.
   */
  readonly files: readonly SharedFile[];
  /** Those of `files` that this snapshot uploaded. */
  readonly newFileIds: readonly string[];
  readonly uploadedBytes: number;
  /** Bytes of the log that a restore replays. @defaultValue 0 */
  readonly logBytes?: number | undefined;
  /** For people: as in CompletedCheckpoint. */
  readonly pauseMs?: number | undefined;
  readonly estimatedRecoveryMs?: number | undefined;
  readonly logged?: LoggedBytes | undefined;
  readonly isMaterializing?: boolean | undefined;
  /** For people: where the time went. */
  readonly phases?: Omit<CheckpointPhases, "sealMs" | "acknowledgeMs" | "metadataMs"> | undefined;
}

/** A snapshot whose cut is made; what remains runs in the background. */
export interface Snapshot {
  readonly checkpointId: number;
  /** Resolves when all files are durable in the checkpoint storage. */
  readonly result: Promise<SnapshotResult>;
}

/** One of the checkpoints that a backend was restored from. */
export interface RestoredPart {
  readonly checkpointId: number;
  /** What the user stored with it. */
  readonly metadata: JsonValue | undefined;
  /** Key groups that came from it, as its handles name them; some may be outside the backend's. */
  readonly keyGroups: readonly KeyGroupRange[];
}

/** What `backend.restored` tells: which checkpoint, and what the user stored with it. */
export interface RestoredCheckpoint {
  /** The highest id, if several checkpoints were restored together. */
  readonly checkpointId: number;
  /** What the user stored with it; undefined if several were restored: `parts` has each one's. */
  readonly metadata: JsonValue | undefined;
  /** All checkpoints, in the order they were given. */
  readonly parts: readonly RestoredPart[];
}

/**
 * Where the time of a checkpoint went, in ms, one after the other but for `appendMs` and `syncMs`, which
 * are 0 without a changelog, and `uploadMs`, which is 0 unless a base was made.
 */
export interface CheckpointPhases {
  /** The synchronous part: the write buffer's generation is sealed. */
  readonly sealMs: number;
  /** Waiting for the append thread, or for the drain and the capture of the base. */
  readonly cutMs: number;
  /** Encoding and writing the changes that were not appended ahead. */
  readonly appendMs: number;
  /** The data sync of the segment. */
  readonly syncMs: number;
  /** Hashing and storing the files of a base. */
  readonly uploadMs: number;
  /**
   * From the trigger until all else was durable and the turn came, so that metadata could be written: of
   * a job, until its last task had acknowledged. Metadata tells it as `durationMs`.
   */
  readonly acknowledgeMs: number;
  /** From then on until the metadata is durable. */
  readonly metadataMs: number;
}

export interface CompletedCheckpoint {
  readonly checkpointId: number;
  readonly policy: CheckpointPolicy;
  /** From the call to durable. */
  readonly durationMs: number;
  /** The synchronous part, in the call. */
  readonly pauseMs: number;
  readonly phases: CheckpointPhases;
  /** Bytes that this checkpoint added to the storage, those appended ahead of it included. */
  readonly uploadedBytes: number;
  /** Bytes of all files the checkpoint references. */
  readonly totalBytes: number;
  /** Of those, bytes of the changelog that a restore replays. */
  readonly logBytes: number;
  /**
   * What a restore of it would take, by rates measured in this process, in ms; undefined without a
   * changelog.
   */
  readonly estimatedRecoveryMs: number | undefined;
  /** Changes that were appended for it, ahead of it too; undefined without a changelog. */
  readonly logged: LoggedBytes | undefined;
  /** Whether a new base was being made in the background. */
  readonly isMaterializing: boolean;
  readonly newFileCount: number;
  readonly fileCount: number;
  /** Path or name of its metadata, for `restore`. */
  readonly location: string;
}

/**
 * `canonical`: rows, for any backend, any policy and any number of key groups; every row is read.
 * `native`: the backend's own files, for the same kind of backend and the same number of key groups.
 */
export type SavepointFormat = "canonical" | "native";

export interface SavepointOptions extends WaitOptions {
  /** @defaultValue "canonical" */
  readonly format?: SavepointFormat | undefined;
  /** Comes back as `restored.metadata`; at most 1 MiB as JSON. */
  readonly metadata?: JsonValue | undefined;
  /**
   * How files get into the directory. `link`: as hard links where the file system can, else as
   * copies; a linked file shares its damage with the working directory. `copy`: always as copies,
   * which are reflinks where the file system can.
   * @defaultValue "link"
   */
  readonly transfer?: "link" | "copy" | undefined;
}

export interface CompletedSavepoint {
  readonly checkpointId: number;
  readonly format: SavepointFormat;
  /** From the call to durable. */
  readonly durationMs: number;
  /** The synchronous part, in the call. */
  readonly pauseMs: number;
  /** Bytes of all its files, their list included. */
  readonly totalBytes: number;
  readonly fileCount: number;
  /** The directory, for `restore`. */
  readonly location: string;
}

/** What policy "changelog" did so far. */
export interface ChangelogStats {
  /** Batches of changes, and rows in them; a row counts each time it is appended. */
  readonly appends: number;
  readonly appendedRows: number;
  /** As stored: compressed, frames and indexes included. */
  readonly appendedBytes: number;
  /** Segment files begun. */
  readonly segments: number;
  /** Times that small segments were put together into one, and that this failed. */
  readonly merges: number;
  readonly failedMerges: number;
  /** Bytes of log that a restore of the newest checkpoint would replay. */
  readonly logBytes: number;
  /** Bases made in the background, and those that failed. */
  readonly materializations: number;
  readonly failedMaterializations: number;
  readonly isMaterializing: boolean;
  /** What a restore of the newest checkpoint would take, by rates measured in this process, in ms. */
  readonly estimatedRecoveryMs: number;
}

/** Everything counts from open, unless it says otherwise. Sizes in bytes. */
export interface BackendStats {
  readonly backend: "memory" | "lsm";
  readonly memoryBudgetBytes: number;
  readonly writeBufferCapacityBytes: number;
  readonly writeBufferUsedBytes: number;
  readonly undrainedBytes: number;
  readonly indexBytes: number;
  /** Rows in the write buffer, tombstones included. */
  readonly bufferedRows: number;
  /** Row look-ups answered by the write buffer. */
  readonly hotReads: number;
  /** Row look-ups that went to LevelDB and found a row. */
  readonly coldReads: number;
  /** Row look-ups that went to LevelDB and found none. */
  readonly coldMisses: number;
  readonly prefetchedRows: number;
  readonly drains: number;
  readonly drainedRows: number;
  readonly drainedBytes: number;
  readonly backPressureWaits: number;
  readonly backPressureWaitMs: number;
  readonly completedCheckpoints: number;
  readonly abortedCheckpoints: number;
  readonly uploadedBytes: number;
  readonly linkedFiles: number;
  readonly copiedFiles: number;
  /** Table files that the restore clipped to the backend's key groups, and the bytes it wrote. */
  readonly clippedFiles: number;
  readonly clippedBytes: number;
  /** Restored files that `restoreVerification: "behind"` has not verified yet: 0 in the end. */
  readonly unverifiedFiles: number;
  /** With `localRecovery`: files that the restore found in the working directory and did not fetch, */
  readonly localFiles: number;
  /** that were there and not what the checkpoint says, and were removed, */
  readonly localRejectedFiles: number;
  /** and that could not be kept there, used or removed. */
  readonly localFailures: number;
  /** Undefined with another policy. */
  readonly changelog: ChangelogStats | undefined;
  /** LZ4 codec in use: `lz4` (native), `lz4-napi`, or `none` until a worker needed one. */
  readonly compressionCodec: string;
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface SnapshotOptions extends WaitOptions {
  /** Builds on no earlier checkpoint: every file is uploaded anew. @defaultValue false */
  readonly full?: boolean | undefined;
}

/** The lower half: for runtimes that coordinate many backends. */
export interface SnapshotParticipant {
  /**
   * Cuts in the call: everything before it is in the snapshot, nothing after it is. The rest runs
   * in the background. Snapshots run one after the other; BackPressureError as for `checkpoint`.
   */
  snapshot(checkpointId: number, options?: SnapshotOptions): Snapshot;
  /** The checkpoint is durable: its files may be built upon. */
  notifyCheckpointComplete(checkpointId: number): void;
  /** The checkpoint will never complete: its new files are not built upon. */
  notifyCheckpointAborted(checkpointId: number): void;
  /** No checkpoint up to this one, inclusive, is retained any more. */
  notifyCheckpointSubsumed(checkpointId: number): void;
}

export interface KeyedStateBackend extends SnapshotParticipant, AsyncDisposable {
  readonly keyGroups: KeyGroupRange;
  readonly checkpointStorage: CheckpointStorage;
  /** The checkpoint this backend started from; undefined if it started empty. */
  readonly restored: RestoredCheckpoint | undefined;
  /** Aborts, with the typed error as its reason, once poisoned, fenced or closed. */
  readonly signal: AbortSignal;

  valueState<T>(descriptor: ValueStateDescriptor<T>): ValueState<T>;
  listState<T>(descriptor: ListStateDescriptor<T>): ListState<T>;
  mapState<K, V>(descriptor: MapStateDescriptor<K, V>): MapState<K, V>;
  reducingState<T>(descriptor: ReducingStateDescriptor<T>): ReducingState<T>;
  aggregatingState<In, Accumulator, Out>(
    descriptor: AggregatingStateDescriptor<In, Accumulator, Out>,
  ): AggregatingState<In, Out>;

  /** Sets the key for one synchronous callback, and unsets it when the callback returns or throws. */
  withKey<R>(key: Key, callback: () => R): R;
  /** Sets the key until the next call. For runtimes; elsewhere use `withKey`. */
  setCurrentKey(key: Key): void;
  /** The current key, or undefined. */
  currentKey(): Key | undefined;

  /** Reads rows of these keys into the buffer ahead of use. Resolves when done; never needed for correctness. */
  prefetch(keys: Iterable<Key>): Promise<void>;

  /** True when `drained` should be awaited before the next record. */
  readonly needsDrain: boolean;
  /** Resolves when the write buffer has room again. */
  drained(options?: WaitOptions): Promise<void>;

  /**
   * Takes a checkpoint, which holds everything up to this call: call it between records. Resolves
   * when it is durable. `metadata` comes back as `restored.metadata`; at most 1 MiB as JSON.
   *
   * May be called before an earlier one has completed: each waits its turn, and still holds what was
   * there at its own call. Of checkpoints and snapshots together 16 may be under way; one more is
   * refused with BackPressureError, and has changed nothing: await one, then call again.
   */
  checkpoint(metadata?: JsonValue, options?: WaitOptions): Promise<CompletedCheckpoint>;

  /**
   * Writes a savepoint, which holds everything up to this call, into a directory that does not exist
   * or is empty: call it between records. Resolves when it is durable. It belongs to the caller: it
   * shares nothing with checkpoints, is never deleted, and is not what `restore: "latest"` finds. It
   * counts among the 16 that may be under way.
   */
  savepoint(directory: string, options?: SavepointOptions): Promise<CompletedSavepoint>;

  stats(): BackendStats;
  /**
   * Takes no checkpoint; aborts running ones and awaits their clean-up. Idle threads of a backend without a host may
   * stay for ten seconds, for the next one of the process; they do not keep it alive. Idempotent.
   */
  close(): Promise<void>;
}
