// A checkpoint, read without restoring it: no backend, no working directory, no job code.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { KeyGroupRange, StateSchema } from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";
import type { Groups } from "./row-source.ts";
import type { CheckpointFile } from "./checkpoint-files.ts";
import type { LocationOptions } from "./checkpoint-location.ts";
import type { StoredEntry } from "./entry-decoder.ts";
import type { FingerprintOptions } from "./fingerprint.ts";
import type { KeyGroupStatistics } from "./statistics.ts";

export interface OpenCheckpointOptions extends LocationOptions, FingerprintOptions {}

export interface StateDescription extends StateSchema {
  /** Whether all of its serializers are known: built in, made of such, or given. */
  readonly isDecodable: boolean;
}

export interface ScanOptions {
  /** Only keys that begin so: strings, or byte arrays. */
  readonly prefix?: string | Uint8Array | undefined;
  /** Only this key. */
  readonly key?: Key | undefined;
  /** Only these key groups, both ends inclusive. @defaultValue all */
  readonly keyGroups?: Groups | undefined;
  /** Only this namespace. @defaultValue all */
  readonly namespace?: Key | undefined;
}

/** The changes of a handle after its base. */
export interface LogDescription {
  readonly keyGroups: KeyGroupRange;
  /** The base holds the changes up to it, and the log those after it, up to the other. */
  readonly baseChangeNumber: number;
  readonly changeNumber: number;
  /** Stored bytes of its segments, as far as the handle names them. */
  readonly logBytes: number;
  readonly segmentCount: number;
  /** Batches of this handle in them; their rows and raw bytes: what a restore replays. */
  readonly batchCount: number;
  readonly rowCount: number;
  readonly rawBytes: number;
}

export interface CheckpointView extends AsyncDisposable {
  readonly storage: CheckpointStorage;
  readonly checkpointId: number;
  /** What the checkpoint says of itself, the user's metadata included. */
  readonly metadata: CheckpointMetadata;

  /** The states, by name. Where handles disagree about one, as the first describes it. */
  states(): readonly StateDescription[];
  /** Every file that the checkpoint references, file lists included. */
  files(): Promise<readonly CheckpointFile[]>;
  /**
   * What a key has in a state; undefined if nothing. In a state with namespaces `namespace` is
   * needed: `scan(state, { key })` gives all of them.
   */
  get(state: string, key: Key, namespace?: Key): Promise<StoredEntry | undefined>;
  /**
   * The entries of a state, by key group, and within one in the order of the keys' bytes. A list or
   * map is put together in memory, one at a time.
   */
  scan(state: string, options?: ScanOptions): AsyncGenerator<StoredEntry, void, void>;
  /** What the log of each handle has that has one. Reads and verifies the segments. */
  logs(): Promise<readonly LogDescription[]>;
  /** Keys, rows and bytes of each state in each key group that has any. Reads everything. */
  statistics(): AsyncGenerator<KeyGroupStatistics, void, void>;
  /** Ends what is being read. Idempotent. */
  close(): Promise<void>;
}
