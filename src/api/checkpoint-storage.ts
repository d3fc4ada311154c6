// What holds checkpoints. An object store can implement it: names are flat strings, a whole object
// is written at once, and listing serves garbage collection only.

/** Counts how files came in. */
export interface StorageStats {
  readonly linkedFiles: number;
  readonly copiedFiles: number;
}

export interface PutOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Another name, which a storage may read once it has created one. */
export interface ReadAfter {
  readonly name: string;
  readonly maxBytes: number;
  /** Set by the storage, if it has read it. Whoever finds it undefined calls `read`. */
  bytes: Uint8Array | undefined;
}

/**
 * Names are `/`-separated segments of `[a-z0-9._-]`, none starting with a dot. Every promise that
 * resolves means durable: bytes and name survive a power loss. Errors are StorageError,
 * NoSpaceError, or the signal's reason.
 */
export interface CheckpointStorage {
  /** For error messages: where this is. No secrets. */
  readonly description: string;
  /** Creates what must exist before the first write, and resolves links of the root once. */
  open(): Promise<void>;
  /** Stores a local file under a new name. Never replaces. The local file must not change any more. */
  putFile(name: string, localPath: string, options?: PutOptions): Promise<void>;
  /** Stores bytes under a new name. Never replaces. */
  putBytes(name: string, bytes: Uint8Array, options?: PutOptions): Promise<void>;
  /**
   * A path at which the name, which does not exist, may be created as a file that grows: appended to
   * by another thread and synced. Whoever does so makes the name durable. Absent: objects are written
   * whole, and each checkpoint of policy "changelog" is an object of its own.
   */
  pathForAppending?(name: string): Promise<string>;
  /**
   * Atomically creates, or reports that the name exists: the fence of D7. `after`: what the caller is
   * going to read then; a storage whose calls take their time may do so in this one.
   */
  createIfAbsent(name: string, bytes: Uint8Array, after?: ReadAfter): Promise<"created" | "exists">;
  /** Atomically creates or replaces. Only for hints: losing it must lose nothing. */
  replace(name: string, bytes: Uint8Array): Promise<void>;
  /** All bytes, or undefined if the name does not exist. More than `maxBytes` is a StorageError. */
  read(name: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** A range of the bytes; shorter where the object ends; undefined if the name does not exist. */
  readRange(name: string, offset: number, length: number): Promise<Uint8Array | undefined>;
  /** Size in bytes, or undefined if the name does not exist. */
  size(name: string): Promise<number | undefined>;
  /**
   * Makes the object's bytes available as the local file `localPath`, which must not exist. The
   * file may share its inode with the store: nobody may change it. Not durable, need not be.
   */
  fetchFile(name: string, localPath: string, options?: PutOptions): Promise<void>;
  /**
   * Whether `fetchFile` of this object into the directory, which exists, takes no space there, by a
   * link for example. Absent: it always copies.
   */
  canLink?(name: string, directory: string): Promise<boolean>;
  /** Removes names; those that do not exist are not an error. */
  delete(names: readonly string[]): Promise<void>;
  /** Names starting with `prefix`, unordered; may lag behind. For garbage collection only. */
  list(prefix: string): AsyncIterable<string>;
  /**
   * Removes what writers before `open` began and never finished, which is no object: temporary files,
   * parts of uploads. The caller has completed a checkpoint since `open`, so that an earlier owner
   * that was only paused is fenced by now and hurt by nothing that goes. Absent if it has no such things.
   */
  removeUnfinished?(): Promise<void>;
  /** The same objects seen from another root, for restoring from a path; undefined if it has no paths. */
  resolvePath?(path: string): { readonly storage: CheckpointStorage; readonly name: string };
  /**
   * Another storage with the protection of this one: what a savepoint's directory gets. Absent if it
   * has none.
   */
  protect?(storage: CheckpointStorage): CheckpointStorage;
  /** Path of an object, for messages and tools; absent if it has none. */
  locate?(name: string): string;
  stats(): StorageStats;
}
