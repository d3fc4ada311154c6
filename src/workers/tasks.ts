// What workers do, and the protocol between pool and workers. Requests are copied (shared buffers
// excepted), so that a task can be repeated on another thread; large responses are moved.
import type { FileSystem } from "../api/environment.ts";
import type { SharedFile } from "../api/keyed-state-backend.ts";
import type { ChangeClaims, GroupSpan } from "../format/changelog-check.ts";
import type { FileList } from "../format/file-list.ts";
import type { FrameTools } from "../format/frame.ts";
import type { TableClaims } from "../format/leveldb-table-walk.ts";
import type { ErrorData } from "./error-data.ts";

/** A chunk of the arena whose records may belong to the dump. */
export interface DumpChunk {
  /** Number of the chunk in the arena. */
  readonly chunk: number;
  readonly generation: number;
  /** 8-byte units in use, from the start of the chunk. */
  readonly usedUnits: number;
}

export interface PackedDumpFile {
  readonly path: string;
  readonly lengthBytes: number;
  readonly sha256: string;
  readonly rowCount: number;
  /** Key groups of its first and its last row. */
  readonly firstKeyGroup: number;
  readonly lastKeyGroup: number;
}

/** A local table file to read rows from. */
export interface PackedTable {
  readonly path: string;
  /** Tables of one level from 1 on do not overlap. */
  readonly level: number;
  /** Internal key of its first entry. */
  readonly smallest: Uint8Array;
}

export interface WorkerTasks {
  /** Loads the code of these tasks, and the tools if they use them. */
  readonly warmUp: {
    readonly request: { readonly tasks: readonly WorkerTaskName[]; readonly usesTools: boolean };
    readonly response: Readonly<Record<never, never>>;
  };
  /** SHA-256 of a local file. */
  readonly hashFile: {
    readonly request: { readonly path: string };
    readonly response: { readonly sha256: string; readonly lengthBytes: number };
  };
  /**
   * CorruptionError, naming `file`, unless the local file has this length and hash and, if it is said
   * to be a table, is one from its first to its last byte.
   */
  readonly verifyFile: {
    readonly request: {
      readonly path: string;
      readonly lengthBytes: number;
      readonly sha256: string;
      readonly file: string;
      readonly table?: TableClaims | undefined;
    };
    readonly response: { readonly lengthBytes: number };
  };
  /** CorruptionError unless these local tables have their lengths, and ends as they were written. */
  readonly checkTables: {
    readonly request: {
      readonly files: readonly {
        readonly path: string;
        readonly lengthBytes: number;
        /** Names it in errors. */
        readonly file: string;
      }[];
    };
    readonly response: { readonly files: number };
  };
  /**
   * Writes the rows of these key groups of a local table file, which must have been verified, into
   * `target`, which must not exist. Without bounds there was none, and `target` does not exist.
   */
  readonly clipTable: {
    readonly request: {
      readonly path: string;
      readonly target: string;
      /** Both ends inclusive. */
      readonly keyGroups: { readonly first: number; readonly last: number };
      /** Names it in errors. */
      readonly file: string;
    };
    readonly response: {
      readonly lengthBytes: number;
      /** Internal keys, both inclusive. */
      readonly bounds: { readonly smallest: Uint8Array; readonly largest: Uint8Array } | undefined;
    };
  };
  /** Bytes as a sequence of frames, compressed where that shrinks them. */
  readonly encodeFrames: {
    readonly request: { readonly bytes: Uint8Array };
    readonly response: { readonly bytes: Uint8Array };
  };
  /** The raw bytes of a sequence of frames. */
  readonly decodeFrames: {
    readonly request: {
      readonly bytes: Uint8Array;
      readonly totalBytesMax: number;
      readonly file: string;
    };
    readonly response: { readonly bytes: Uint8Array };
  };
  readonly encodeFileList: {
    readonly request: { readonly list: FileList };
    readonly response: { readonly bytes: Uint8Array; readonly sha256: string };
  };
  /** Verifies length and hash, and decodes. */
  readonly decodeFileList: {
    readonly request: {
      readonly bytes: Uint8Array;
      readonly expected: SharedFile;
      readonly file: string;
    };
    readonly response: { readonly list: FileList };
  };
  /**
   * Writes the rows that the arena held at `boundary` into the files `<pathPrefix>0`, `<pathPrefix>1`
   * and so on, sorted. The files must not exist; after a failure none of them does.
   */
  readonly packDump: {
    readonly request: {
      readonly arena: SharedArrayBuffer;
      readonly chunks: readonly DumpChunk[];
      readonly boundary: number;
      readonly pathPrefix: string;
      /** Raw bytes after which a new file is begun. */
      readonly fileRawBytes: number;
    };
    readonly response: { readonly files: readonly PackedDumpFile[]; readonly rowCount: number };
  };
  /**
   * Writes the rows of these key groups, the newest of each key and no tombstones, from the tables of
   * one captured set into dump files, as `packDump` does. The tables must not change meanwhile.
   */
  readonly packTables: {
    readonly request: {
      readonly tables: readonly PackedTable[];
      /** Both ends inclusive. */
      readonly keyGroups: { readonly first: number; readonly last: number };
      readonly pathPrefix: string;
      readonly fileRawBytes: number;
    };
    readonly response: { readonly files: readonly PackedDumpFile[]; readonly rowCount: number };
  };
  /**
   * The rows of a dump file, verified: each buffer holds rows as `readDumpRows` reads them, at most
   * 1 MiB, and their keys ascend from buffer to buffer.
   */
  readonly unpackDump: {
    readonly request: {
      readonly path: string;
      readonly lengthBytes: number;
      readonly sha256: string;
      readonly file: string;
    };
    readonly response: { readonly buffers: readonly Uint8Array[]; readonly rowCount: number };
  };
  /**
   * Verifies a file of canonical rows and makes a table of those of the key groups, in `target`,
   * which must not exist. Without bounds there was none, and `target` does not exist.
   */
  readonly makeTable: {
    readonly request: {
      readonly path: string;
      readonly lengthBytes: number;
      readonly sha256: string;
      readonly file: string;
      readonly target: string;
      readonly blockSizeBytes: number;
      /** What rows may be of. */
      readonly stateIds: readonly number[];
      readonly keyGroupCount: number;
      /** Both ends inclusive: what the file may hold, and what is wanted of it. */
      readonly storedGroups: { readonly first: number; readonly last: number };
      readonly keyGroups: { readonly first: number; readonly last: number };
    };
    readonly response: {
      readonly lengthBytes: number;
      /** Rows of the file. */
      readonly rowCount: number;
      /** Internal keys, both inclusive. */
      readonly bounds: { readonly smallest: Uint8Array; readonly largest: Uint8Array } | undefined;
    };
  };
  /**
   * CorruptionError, naming `file`, unless the first bytes of this local changelog segment have this
   * length and hash, and are whole batches. What is behind them is not looked at.
   */
  readonly verifySegment: {
    readonly request: {
      readonly path: string;
      readonly lengthBytes: number;
      readonly sha256: string;
      readonly file: string;
    };
    readonly response: {
      /**
       * BATCH_NUMBERS for each: key groups of the job, first and last key group, change numbers after and
       * up to, offset, rows, frames.
       */
      readonly batches: Float64Array;
      /** FRAME_NUMBERS for each: offset, length, raw length, first key group << 16 | last one. */
      readonly frames: Uint32Array;
    };
  };
  /**
   * One segment of what small ones hold for a backend: its batches above `afterChange`, in their order.
   * CorruptionError, naming its file, for what is not whole, and where a batch is missing between others.
   */
  readonly mergeSegments: {
    readonly request: {
      readonly segments: readonly {
        /** All that the handle names. */
        readonly bytes: Uint8Array;
        readonly sha256: string;
        readonly file: string;
      }[];
      /** Of the backend; both ends inclusive. */
      readonly keyGroups: GroupSpan;
      readonly afterChange: number;
    };
    readonly response: { readonly bytes: Uint8Array; readonly sha256: string };
  };
  /** Rows of frames of a verified segment, checked, at most 2 MiB raw: those of the wanted key groups. */
  readonly decodeChanges: {
    readonly request: ChangeClaims & {
      readonly path: string;
      /** As `verifySegment` answers, ascending. What is between them is read too. */
      readonly frames: Uint32Array;
      readonly wanted: GroupSpan;
      readonly file: string;
    };
    readonly response: {
      readonly bytes: Uint8Array;
      /** Of each frame, one after the other: how many of `bytes` are its wanted rows. */
      readonly lengths: Uint32Array;
      /** And how many rows it has, wanted or not. */
      readonly rowCounts: Uint32Array;
    };
  };
}

export type WorkerTaskName = keyof WorkerTasks;

export type TaskFunction<N extends WorkerTaskName> = (
  request: WorkerTasks[N]["request"],
  context: TaskContext,
) => Promise<WorkerTasks[N]["response"]>;

/** What a task may use besides its request. */
export interface TaskContext {
  readonly fileSystem: FileSystem;
  /** The same, for short calls: they block a thread that runs nothing else. */
  readonly shortCalls: FileSystem;
  /** Hasher and codec of this thread, loaded at the first call. */
  readonly tools: () => Promise<FrameTools>;
  /** Throws TaskStopped if the task shall stop. To be called at least once per MiB. */
  readonly checkStop: () => void;
  /** True if an earlier attempt may have left files behind. */
  readonly isRepeated: boolean;
}

/** Thrown by a task that was told to stop, after it has removed what it made. */
export class TaskStopped extends Error {}

/** State of a task, shared between pool and worker as one 32-bit word. */
export const TaskState = {
  /** Not begun: the pool may cancel it by itself. */
  queued: 0,
  running: 1,
  /** Cancelled before it began. */
  cancelled: 2,
  /** Running and told to stop. */
  stopping: 3,
} as const;

export interface TaskMessage {
  readonly name: WorkerTaskName;
  readonly request: unknown;
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly isRepeated: boolean;
}

export type TaskReply =
  | { readonly outcome: "done"; readonly response: unknown; readonly codec: string | undefined }
  | { readonly outcome: "stopped" }
  | { readonly outcome: "failed"; readonly error: ErrorData };
