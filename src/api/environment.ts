// The one seam to everything outside the process: disk, clocks, randomness, timers. Threads start
// in workers/, with an environment of their own. Simulation, fault injection and crash
// enumeration depend on nothing going round it; lint enforces that.

/** What `stat` tells. Sizes in bytes. */
export interface FileStat {
  readonly kind: "file" | "directory" | "other";
  readonly sizeBytes: number;
  /**
   * Whether it is this process's user's and nobody else may write to it; undefined where the system has
   * no such owners.
   */
  readonly isPrivate?: boolean | undefined;
}

/** A file open for appending. Whoever opened it closes it. */
export interface WritableFile {
  readonly path: string;
  /** Appends all of `bytes`. The caller must not change them before the promise resolves. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when every byte written before this call is durable. Never repeat a failed sync. */
  sync(): Promise<void>;
  /** As `sync`, without what reading does not need, such as times: cheaper for a file that grows. */
  syncData(): Promise<void>;
  close(): Promise<void>;
}

/** A file open for reading at any offset. Whoever opened it closes it. */
export interface ReadableFile {
  readonly path: string;
  readonly sizeBytes: number;
  /**
   * Reads exactly `length` bytes from `offset`; fewer only where the file ends. With `into`, at
   * least `length` long, the result is a view of it: for those who read piece by piece.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * The file system. Errors are those of Node's `fs` (an `Error` with a string `code` such as
 * `ENOENT`, `EEXIST`, `EXDEV`, `EPERM`, `EMLINK`, `ENOSPC`); callers turn them into typed errors.
 * An operation's effect on names is durable once `syncDirectory` of the parent resolved.
 */
export interface FileSystem {
  /**
   * Whether paths are the system's own, so that native code and other processes see the same files.
   * LevelDB opens paths by itself: the lsm backend needs this.
   */
  readonly isNative: boolean;
  /** Creates a file that must not exist (`EEXIST` if it does), readable by its owner only. */
  create(path: string): Promise<WritableFile>;
  /** Opens an existing regular file; refuses symbolic links (`ELOOP`). */
  open(path: string): Promise<ReadableFile>;
  /** All bytes of a regular file; refuses symbolic links. */
  readFile(path: string): Promise<Uint8Array>;
  /** A second name for the same file; `EEXIST` if the name is taken. */
  link(existing: string, path: string): Promise<void>;
  /** Copies the bytes (a reflink where the file system can) to a name that must not exist. */
  copyFile(source: string, path: string): Promise<void>;
  /** Atomically replaces `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a name of a file. */
  unlink(path: string): Promise<void>;
  /** Removes a directory and everything in it; no error if it is absent. */
  removeTree(path: string): Promise<void>;
  /** Creates the directory and missing parents, mode 0700; no error if it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, sorted bytewise. */
  readDirectory(path: string): Promise<string[]>;
  /** Undefined if nothing has that name. Does not follow symbolic links. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Bytes that may be written to the file system of `path`, which exists; undefined if unknown. */
  freeBytes(path: string): Promise<number | undefined>;
  /** The path with every symbolic link resolved. */
  realPath(path: string): Promise<string>;
  /** Makes an existing file's bytes durable. */
  syncFile(path: string): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>;
}

export interface Clock {
  /** Milliseconds of a clock that never jumps; only differences mean something. */
  monotonicMs(): number;
  /** Milliseconds since 1970 UTC. May jump: never decides about deleting. */
  wallMs(): number;
}

export interface Random {
  /** `count` random bytes that nobody can predict. */
  bytes(count: number): Uint8Array;
}

export interface Timers {
  /** Resolves after `ms`; rejects with `signal.reason` if that comes first. Does not keep the process alive. */
  delay(ms: number, signal?: AbortSignal): Promise<void>;
  /** Resolves in a later turn of the event loop, after pending I/O callbacks had their chance. */
  yieldTurn(): Promise<void>;
}

/** Puts and deletions that go into a database together. Can be filled again once `write` has resolved. */
export interface DatabaseBatch {
  /** Copies key and row. */
  put(key: Uint8Array, row: Uint8Array): void;
  delete(key: Uint8Array): void;
  write(): Promise<void>;
  clear(): void;
}

/**
 * A sorted database in a directory, with the files of LevelDB: CURRENT, MANIFEST, a log, and table files,
 * which are never changed.
 */
export interface SortedDatabase {
  /** Undefined if there is no such key. */
  getSync(key: Uint8Array): Uint8Array | undefined;
  newBatch(): DatabaseBatch;
  /** Keys from `gte` to below `lt`, ascending, with their rows; an absent end is open. */
  entries(range: {
    readonly gte?: Uint8Array | undefined;
    readonly lt?: Uint8Array | undefined;
  }): Iterable<readonly [key: Uint8Array, row: Uint8Array]>;
  /** With two keys without bytes: all that was written is in tables when it resolves. */
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>;
  del(key: Uint8Array): Promise<void>;
  /** Of several who opened the same directory the last one closes it. */
  close(): Promise<void>;
}

export interface Environment {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  /** Bytes of memory this process may use: the container's limit, else what is free. */
  availableMemoryBytes(): number;
  /** Cores this process may use, at least 1. */
  availableCores(): number;
  /**
   * Opens what takes LevelDB's place in a directory, which exists, for simulations: without it the lsm
   * backend needs a file system that is native. Drains then run on the calling thread.
   */
  readonly openDatabase?: ((path: string) => Promise<SortedDatabase>) | undefined;
}
