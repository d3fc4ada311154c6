// Whether LevelDB maps table files into memory or reads from them (docs/decisions/0008).
//
// LevelDB 1.20 maps the first thousand table files that a process has open, and reads from all others;
// it has no option for it. A page of a mapped file that is not in the page cache comes with as much
// around it as the disk's read-ahead; what is read from a file comes alone. Mapping is quicker while
// the page cache holds all tables, and many times slower where it cannot. So the mappings are used up,
// by a database of a thousand tiny tables, once tables do not fit the memory that is left for them.
//   T1. The tiny database stays open until the process ends, and nobody else knows of it.
//   T2. Nothing of it is left on the disk: its directory is removed once all its tables are open.
//   T3. It is opened once in a thread: what fails is not tried again unasked.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { type TableReadsTrace, tableReadsTracing } from "../diagnostics.ts";
import { removeDirectory } from "../environment/typed-error.ts";
import { writeSynced } from "../environment/write-synced.ts";
import { TableBuilder } from "../format/leveldb-table-builder.ts";
import { EntryType, encodeInternalKey } from "../format/leveldb-internal-key.ts";
import { typedFailure } from "./failure.ts";
import { type LevelDatabase, openLevelDatabase } from "./level-database.ts";
import { buildDirectory } from "./restore-directory.ts";

/** env_posix.cc of LevelDB 1.20. */
const MAPPINGS = 1000;
/** A level that compaction leaves alone while it has less than 100 MB. */
const LEVEL = 2;
const KEY_BYTES = 4;
const tinyDatabase = {
  blockCacheBytes: 65_536,
  writeBufferBytes: 65_536,
  fileSizeBytes: 1_048_576,
  blockSizeBytes: 4096,
  compression: false,
  maxOpenFiles: 50_000,
};

/** `true`: as LevelDB does. `false`: never. `"auto"`: while tables fit the memory that is left. */
export type MmapReads = boolean | "auto";

export interface TableMappingOptions {
  readonly environment: Environment;
  readonly mmapReads: MmapReads;
  /** Table files of this thread's databases that may be mapped, in bytes. */
  readonly allowanceBytes: number;
  /** A path in a local directory, which must not exist. */
  readonly newPath: () => string;
}

/** Of all databases of this thread. */
const thread: {
  bytes: number;
  ending: Promise<void> | undefined;
  database: unknown;
  /** T3 */
  isGivenUp: boolean;
} = { bytes: 0, ending: undefined, database: undefined, isGivenUp: false };

/** Whether tables that are opened from now on are read. */
export function areTablesRead(): boolean {
  return thread.database !== undefined;
}

/** What one database tells of its tables. */
export class TableMapping {
  readonly #options: TableMappingOptions;
  #bytes = 0;

  constructor(options: TableMappingOptions) {
    this.#options = options;
  }

  /** Before a database with so many bytes of tables is opened. Throws if mapping was to be ended, and could not. */
  async begin(bytes: number): Promise<void> {
    if (this.#options.environment.openDatabase !== undefined) return; // Not LevelDB.
    this.#set(bytes);
    if (this.#options.mmapReads === false) await end(this.#options, thread.bytes);
    else if (this.#isOver) await this.#endUnasked();
  }

  /** So many bytes were written; compaction may have dropped what they replace. */
  wrote(bytes: number): void {
    this.#set(this.#bytes + bytes);
    if (this.#isOver) void this.#endUnasked();
  }

  /** There are tables of so many bytes. */
  has(bytes: number): void {
    this.#set(bytes);
  }

  get #isOver(): boolean {
    const { mmapReads, allowanceBytes } = this.#options;
    if (mmapReads !== "auto" || thread.ending !== undefined || thread.isGivenUp) return false;
    return thread.bytes > allowanceBytes;
  }

  #set(bytes: number): void {
    thread.bytes += bytes - this.#bytes;
    this.#bytes = bytes;
  }

  /** It is for speed alone: who listens is told, and mapping goes on (T3). */
  #endUnasked(): Promise<void> {
    return end(this.#options, thread.bytes).catch(() => undefined);
  }

  /** What goes on in the database's working directory has ended when it resolves. */
  async close(): Promise<void> {
    this.#set(0);
    await thread.ending?.catch(() => undefined); // Told to who listens, or asked for it.
  }
}

/** Resolves when no further table is mapped. */
function end(options: TableMappingOptions, bytes: number): Promise<void> {
  const trace: TableReadsTrace = { tableBytes: bytes, allowanceBytes: options.allowanceBytes };
  return (thread.ending ??= tableReadsTracing.tracePromise(async () => {
    const directory = options.newPath();
    try {
      thread.database = await useUpMappings(options.environment, directory); // T1
    } catch (error) {
      thread.isGivenUp = true;
      thread.ending = undefined;
      throw typedFailure(error, `using up LevelDB's mappings in ${directory} failed`);
    } finally {
      await removeDirectory(options.environment.fileSystem, directory); // T2
    }
  }, trace));
}

async function useUpMappings(environment: Environment, directory: string): Promise<LevelDatabase> {
  const { fileSystem } = environment;
  await fileSystem.makeDirectory(directory);
  const table = join(directory, "table");
  const bytes = tinyTable();
  await writeSynced(fileSystem, table, bytes);
  const keys = Array.from({ length: MAPPINGS }, (_, index) => keyOf(index));
  const files = keys.map((key, index) => {
    const bound = encodeInternalKey(key, 1, EntryType.value); // LevelDB goes by these, not by what is inside.
    const bounds = { smallest: bound, largest: bound };
    return { path: table, number: index + 1, level: LEVEL, sizeBytes: bytes.length, ...bounds };
  });
  const set = { files, lastSequence: 1, nextFile: MAPPINGS + 1 };
  const path = join(await fileSystem.realPath(directory), "tables");
  await buildDirectory(environment, path, set);
  const database = await openLevelDatabase(path, tinyDatabase, {
    shared: false,
    createIfMissing: false,
  });
  const rows = await database.getMany(keys); // Opens every table.
  assert(rows[0] !== undefined, "T1: the tables are not where the keys are asked for");
  return database;
}

function tinyTable(): Uint8Array {
  const pieces: Uint8Array[] = [];
  const builder = new TableBuilder(tinyDatabase.blockSizeBytes, (piece) => {
    pieces.push(piece.slice());
  });
  builder.add(keyOf(0), 0, KEY_BYTES, KEY_BYTES, KEY_BYTES);
  builder.finish();
  return Buffer.concat(pieces);
}

function keyOf(index: number): Uint8Array {
  const key = new Uint8Array(KEY_BYTES);
  new DataView(key.buffer).setUint32(0, index);
  return key;
}
