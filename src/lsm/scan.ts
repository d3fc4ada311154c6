// Reads a captured set in key order, on a database of its own: LevelDB's iterators must not be open
// on a database that somebody writes (google/leveldb 320).
import type { Environment } from "../api/environment.ts";
import { removeDirectory } from "../environment/typed-error.ts";
import { typedFailure } from "./failure.ts";
import { openDatabase } from "./level-database.ts";
import type { Database, LsmOptions } from "./level-database.ts";
import { buildDirectory } from "./restore-directory.ts";
import type { RestoredSet } from "./restore-directory.ts";

const BATCH_ENTRIES_DEFAULT = 1000;
/** LevelDB's own default of 16 KiB ends a batch after a few hundred small rows. */
const BATCH_BYTES = 1_048_576;

/** One scan at a time, each block once: a cache would not be hit. */
const scanOptions: LsmOptions = {
  blockCacheBytes: 1_048_576,
  writeBufferBytes: 65_536,
  fileSizeBytes: 2_097_152,
  blockSizeBytes: 4096,
  compression: true,
  maxOpenFiles: 1000,
};

/** Row keys from `gte` to `lt`; an absent end is open. */
export interface KeyRange {
  readonly gte?: Uint8Array | undefined;
  readonly lt?: Uint8Array | undefined;
}

export interface ScanOptions {
  readonly environment: Environment;
  /** The set to read, with the path of every file. */
  readonly set: RestoredSet;
  /** Where to build the database: must not exist, and is removed at the end. */
  readonly directory: string;
  readonly ranges: readonly KeyRange[];
  /** @defaultValue 1000 */
  readonly batchEntries?: number | undefined;
}

export type Entry = readonly [key: Uint8Array, row: Uint8Array];

/** Yields the entries of each range in key order, range by range. Stopping early cleans up too. */
export async function* scanCapture(
  options: ScanOptions,
): AsyncGenerator<readonly Entry[], void, void> {
  const { environment, directory } = options;
  await buildDirectory(environment, directory, options.set);
  try {
    const realPath = await environment.fileSystem.realPath(directory);
    const mode = { shared: false, createIfMissing: false };
    const database = await openDatabase(environment, realPath, scanOptions, mode);
    try {
      for (const range of options.ranges) {
        yield* scanRange(database, range, options.batchEntries ?? BATCH_ENTRIES_DEFAULT);
      }
    } finally {
      await database.close();
    }
  } catch (error) {
    throw typedFailure(error, `scanning ${directory} failed`);
  } finally {
    await removeDirectory(environment.fileSystem, directory);
  }
}

async function* scanRange(
  database: Database,
  range: KeyRange,
  batchEntries: number,
): AsyncGenerator<readonly Entry[], void, void> {
  if ("newBatch" in database) {
    yield [...database.entries(range)];
    return;
  }
  const iterator = database.iterator({
    ...(range.gte === undefined ? {} : { gte: range.gte }),
    ...(range.lt === undefined ? {} : { lt: range.lt }),
    highWaterMarkBytes: BATCH_BYTES,
  });
  try {
    for (;;) {
      const entries: readonly Entry[] = await iterator.nextv(batchEntries);
      if (entries.length === 0) return;
      yield entries;
    }
  } finally {
    await iterator.close();
  }
}
