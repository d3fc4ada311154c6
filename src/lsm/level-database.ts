// The one place that opens classic-level.
//   D1. Keys and values are views, set in the constructor: an options object per call leaves
//       classic-level's fast path.
//   D2. The location is a real path. LevelDB compares locations as strings, and two spellings of
//       one directory give two engines that destroy each other's files.
import { ClassicLevel } from "classic-level";
import type { DatabaseBatch, Environment, SortedDatabase } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { ClosedError } from "../errors.ts";

export type LevelDatabase = ClassicLevel<Uint8Array, Uint8Array>;

/** LevelDB, or what takes its place. */
export type Database = LevelDatabase | SortedDatabase;

/** The half of abstract-level's chained batch that its implementers provide. */
interface BatchInternals {
  _put(key: Uint8Array, row: Uint8Array): void;
  _del(key: Uint8Array): void;
  _write(options: object): Promise<void>;
  _clear(): void;
}

/**
 * LevelDB copies keys and rows at once. classic-level frees a chained batch only when it is garbage
 * collected, and its wrapper can be written once: a thread that makes no other garbage would hold
 * hundreds of megabytes. Beneath the wrapper the native batch can be filled again.
 */
export function reusableBatch(database: Database): DatabaseBatch {
  if ("newBatch" in database) return database.newBatch();
  const batch = database.batch() as unknown as BatchInternals;
  for (const name of ["_put", "_del", "_write", "_clear"] as const) {
    assert(typeof batch[name] === "function", `classic-level's batch has no ${name} any more`);
  }
  return {
    put: (key, row) => batch._put(key, row),
    delete: (key) => batch._del(key),
    write: () => {
      // The wrapper would look: the native code takes an open database for granted.
      if (database.status === "open") return batch._write({});
      return Promise.reject(new ClosedError(`the database is ${database.status}`));
    },
    clear: () => batch._clear(),
  };
}

/** All resolved numbers; a database keeps those of its first opener. */
export interface LsmOptions {
  /** Decompressed blocks kept in memory. */
  readonly blockCacheBytes: number;
  /** Size of a memtable; up to two exist. 64 KiB to 1 GiB. */
  readonly writeBufferBytes: number;
  /** Size at which a compaction begins a new SST. 1 MiB to 64 MiB. */
  readonly fileSizeBytes: number;
  readonly blockSizeBytes: number;
  /** Snappy. */
  readonly compression: boolean;
  readonly maxOpenFiles: number;
}

export interface OpenMode {
  /** Share the handle with other threads of this process that open the same location. */
  readonly shared: boolean;
  readonly createIfMissing: boolean;
}

/** Opens the database of an environment; rejects with classic-level's error. */
export function openDatabase(
  { openDatabase: openOther }: Environment,
  realPath: string,
  lsm: LsmOptions,
  mode: OpenMode,
): Promise<Database> {
  return openOther === undefined ? openLevelDatabase(realPath, lsm, mode) : openOther(realPath);
}

/** Opens LevelDB; rejects with classic-level's error. */
export async function openLevelDatabase(
  realPath: string,
  lsm: LsmOptions,
  mode: OpenMode,
): Promise<LevelDatabase> {
  const database: LevelDatabase = new ClassicLevel<Uint8Array, Uint8Array>(realPath, {
    keyEncoding: "view",
    valueEncoding: "view",
    multithreading: mode.shared,
    createIfMissing: mode.createIfMissing,
    cacheSize: lsm.blockCacheBytes,
    writeBufferSize: lsm.writeBufferBytes,
    maxFileSize: lsm.fileSizeBytes,
    blockSize: lsm.blockSizeBytes,
    compression: lsm.compression,
    maxOpenFiles: lsm.maxOpenFiles,
  });
  await database.open(); //# fail point: database.opened
  return database;
}
