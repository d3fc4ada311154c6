// The one place that opens classic-level.
//   D1. Keys and values are views, set in the constructor: an options object per call leaves
//       classic-level's fast path.
//   D2. The location is a real path. LevelDB compares locations as strings, and two spellings of
//       one directory give two engines that destroy each other's files.
import { ClassicLevel } from "classic-level";

export type LevelDatabase = ClassicLevel<Uint8Array, Uint8Array>;

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

/** Opens the database; rejects with classic-level's error. */
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
  await database.open();
  return database;
}
