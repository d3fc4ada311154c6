// What the owner of changelog segments and the append thread say to each other.
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";
import type { SealedChunk } from "../format/sealed-rows.ts";
import type { ErrorData } from "../workers/error-data.ts";

/** What one backend changed between two cuts. */
export interface AppendTask {
  /** The arena of its write buffer, and the chunks of the generations up to `boundary` in it. */
  readonly chunks: readonly SealedChunk[];
  readonly boundary: number;
  readonly keyGroups: KeyGroupRange;
  /** Change numbers: of the cut before, exclusive, and of this one, inclusive. */
  readonly afterChange: number;
  readonly upToChange: number;
  /** Where the thread notes that `boundary` is appended: ProgressBlock. */
  readonly progress: SharedArrayBuffer;
}

export interface AppendGroup {
  readonly segment: number;
  readonly tasks: readonly AppendTask[];
  readonly isSynced: boolean;
  /** Where it need not be synced: so many unsynced bytes are all the same. */
  readonly syncAheadBytes: number;
}

export interface AppendedTask {
  readonly rowCount: number;
  /** Bytes of its batch, and of the rows in it before compression. */
  readonly lengthBytes: number;
  readonly rawBytes: number;
}

export interface AppendedGroup {
  /** In the order of the request's tasks. */
  readonly tasks: readonly AppendedTask[];
  /** Of the segment. */
  readonly lengthBytes: number;
  /** Of the segment's first `lengthBytes`; undefined if they were not synced. */
  readonly sha256: string | undefined;
  /** All bytes of a segment in memory, once it is "synced". */
  readonly bytes: Uint8Array | undefined;
  /** Encoding and writing, and the data sync. */
  readonly appendMs: number;
  readonly syncMs: number;
}

/** One request in, one result out, per kind. Requests are served one at a time, in order. */
export interface AppendCalls {
  /** Creates a segment under a number of the owner's. Without a path: in memory. */
  readonly create: {
    readonly request: { readonly segment: number; readonly path: string | undefined };
    readonly result: undefined;
  };
  readonly append: { readonly request: AppendGroup; readonly result: AppendedGroup };
  /** Closes a segment, which takes nothing more. */
  readonly close: { readonly request: { readonly segment: number }; readonly result: undefined };
  /** The thread ends after the answer. */
  readonly end: { readonly request: undefined; readonly result: undefined };
}

export type AppendCallKind = keyof AppendCalls;

/** What the thread is started with. */
export interface AppendThreadData {
  readonly arena: SharedArrayBuffer;
}

/** `id` ties an answer to its request. */
export type AppendCallMessage = {
  [K in AppendCallKind]: {
    readonly id: number;
    readonly kind: K;
    readonly request: AppendCalls[K]["request"];
  };
}[AppendCallKind];

export interface AppendAnswerMessage {
  readonly id: number;
  readonly result?: AppendCalls[AppendCallKind]["result"];
  readonly error?: ErrorData | undefined;
}
