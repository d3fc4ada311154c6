// A toy in LevelDB's place, for simulations: what LevelDB does to a directory, in an environment's file
// system. Rows are in memory, too. As LevelDB:
//   - what is written is in a log, which is not synced, until a flush makes a table of level 0 of it;
//   - after three of these, compaction merges them with those of level 1 whose keys they overlap, and drops
//     deletions there; tables are never changed, and removed once MANIFEST does not name them;
//   - a table, its name, MANIFEST and CURRENT are durable in this order, and only then the log goes;
//   - an error of a flush is kept, and told by the next write.
import { join } from "node:path";
import type { DatabaseBatch, FileSystem, SortedDatabase } from "../../src/api/environment.ts";
import { writeSynced } from "../../src/environment/write-synced.ts";
import {
  EntryType,
  compareInternalKeys,
  encodeInternalKey,
  entryTypeOf,
  userKeyOf,
} from "../../src/format/leveldb-internal-key.ts";
import { writeLog } from "../../src/format/leveldb-log.ts";
import { replayManifest } from "../../src/format/leveldb-manifest.ts";
import {
  BLOCK_TRAILER_BYTES,
  type BlockEntry,
  type IndexEntry,
  TABLE_FOOTER_BYTES,
  decodeBlock,
  encodeDataBlock,
  encodeTableEnd,
  readEntries,
  readFooter,
  readIndex,
} from "../../src/format/leveldb-table.ts";
import {
  LEVELDB_COMPARATOR,
  type LevelFile,
  encodeVersionEdit,
} from "../../src/format/leveldb-version-edit.ts";
import { CURRENT_NAME, logName, manifestName, sstName } from "../../src/lsm/file-names.ts";

const LEVEL_0_MAX = 3;
const ENTRIES_PER_BLOCK = 8;
const ENTRIES_PER_TABLE = 24;

/** One for each life of a process: of a directory that is open already the same database is given. */
export function toyDatabases(fileSystem: FileSystem): (path: string) => Promise<SortedDatabase> {
  const open = new Map<string, Promise<ToyDatabase>>();
  return async (path) => {
    let opening = open.get(path);
    if (opening === undefined) {
      opening = ToyDatabase.open(fileSystem, path, () => open.delete(path));
      open.set(path, opening);
    }
    const database = await opening;
    database.users++;
    return database;
  };
}

interface Table extends LevelFile {
  readonly entries: readonly BlockEntry[];
}

type Change = readonly [key: Uint8Array, row: Uint8Array | undefined];

class ToyDatabase implements SortedDatabase {
  users = 0;
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #onClosed: () => void;
  /** Everything that there is, by the key as Latin-1. */
  readonly #rows = new Map<string, Uint8Array>();
  /** Entries that are in no table yet, by user key. */
  #memtable = new Map<string, BlockEntry>();
  #tables: Table[] = [];
  #lastSequence = 0;
  #nextFile = 2;
  #manifest: string | undefined;
  #log = 0;
  #failure: Error | undefined;

  private constructor(fileSystem: FileSystem, directory: string, onClosed: () => void) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#onClosed = onClosed;
  }

  static async open(
    fileSystem: FileSystem,
    directory: string,
    onClosed: () => void,
  ): Promise<ToyDatabase> {
    const database = new ToyDatabase(fileSystem, directory, onClosed);
    const names = await fileSystem.readDirectory(directory);
    if (names.includes(CURRENT_NAME)) await database.#load();
    await database.#beginLog();
    await database.#install();
    // As LevelDB's own diary, by which a directory is known that was opened.
    const diary = join(directory, "LOG");
    if (!names.includes("LOG")) await writeSynced(fileSystem, diary, new Uint8Array(0));
    return database;
  }

  async #load(): Promise<void> {
    const current = await this.#fileSystem.readFile(join(this.#directory, CURRENT_NAME));
    this.#manifest = Buffer.from(current).toString().trim();
    const path = join(this.#directory, this.#manifest);
    const live = replayManifest(await this.#fileSystem.readFile(path), path);
    this.#nextFile = live.nextFile;
    this.#lastSequence = live.lastSequence;
    // Deeper levels are older, and so are lower numbers of level 0.
    const files = [...live.files.values()].sort((a, b) => b.level - a.level || a.number - b.number);
    for (const file of files) {
      const name = join(this.#directory, sstName(file.number));
      const entries = tableEntries(await this.#fileSystem.readFile(name), name);
      this.#tables.push({ ...file, entries });
      for (const { key, value } of entries) {
        const text = textOf(userKeyOf(key));
        if (entryTypeOf(key) === EntryType.deletion) this.#rows.delete(text);
        else this.#rows.set(text, value);
      }
    }
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    return this.#rows.get(textOf(key))?.slice();
  }

  entries({
    gte,
    lt,
  }: {
    readonly gte?: Uint8Array | undefined;
    readonly lt?: Uint8Array | undefined;
  }): readonly (readonly [Uint8Array, Uint8Array])[] {
    return [...this.#rows]
      .map(([text, row]) => [Buffer.from(text, "latin1"), row] as const)
      .filter(([key]) => gte === undefined || Buffer.compare(key, gte) >= 0)
      .filter(([key]) => lt === undefined || Buffer.compare(key, lt) < 0)
      .sort(([a], [b]) => Buffer.compare(a, b));
  }

  newBatch(): DatabaseBatch {
    let changes: Change[] = [];
    return {
      put: (key, row) => changes.push([key.slice(), row.slice()]),
      delete: (key) => changes.push([key.slice(), undefined]),
      write: () => this.#write(changes),
      clear: () => (changes = []),
    };
  }

  del(key: Uint8Array): Promise<void> {
    return this.#write([[key, undefined]]);
  }

  async #write(changes: readonly Change[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const bytes = new Uint8Array(changes.reduce((sum, [key]) => sum + key.length, 1));
    const name = join(this.#directory, logName(this.#log));
    // Whatever it holds: a working directory is not opened again after a crash.
    await this.#fileSystem.unlink(name);
    const file = await this.#fileSystem.create(name);
    await file.write(bytes);
    await file.close();
    for (const [key, row] of changes) {
      const type = row === undefined ? EntryType.deletion : EntryType.value;
      const internal = encodeInternalKey(key, ++this.#lastSequence, type);
      const text = textOf(key);
      this.#memtable.set(text, { key: internal, value: row ?? new Uint8Array(0) });
      if (row === undefined) this.#rows.delete(text);
      else this.#rows.set(text, row);
    }
  }

  async compactRange(): Promise<void> {
    try {
      await this.#flush();
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  async #flush(): Promise<void> {
    const entries = [...this.#memtable.values()].sort(byKey);
    const dead: string[] = [logName(this.#log)];
    if (entries.length > 0) this.#tables.push(await this.#makeTable(entries, 0));
    this.#memtable = new Map();
    await this.#beginLog();
    dead.push(...(await this.#install()));
    if (this.#tables.filter(({ level }) => level === 0).length >= LEVEL_0_MAX) {
      dead.push(...(await this.#compact()), ...(await this.#install()));
    }
    for (const name of dead) await this.#fileSystem.unlink(join(this.#directory, name));
  }

  /** Names of the tables that are replaced. */
  async #compact(): Promise<string[]> {
    const level0 = this.#tables.filter(({ level }) => level === 0);
    const keys = level0.flatMap(({ entries }) => entries).sort(byKey);
    const [first, last] = [userKeyOf(keys[0]!.key), userKeyOf(keys.at(-1)!.key)];
    const replaced = this.#tables.filter(
      ({ level, smallest, largest }) =>
        level === 0 ||
        (Buffer.compare(userKeyOf(smallest), last) <= 0 &&
          Buffer.compare(userKeyOf(largest), first) >= 0),
    );
    const newest = new Map<string, BlockEntry>();
    for (const { entries } of replaced) {
      for (const entry of entries) newest.set(textOf(userKeyOf(entry.key)), entry);
    }
    const kept = [...newest.values()].filter(({ key }) => entryTypeOf(key) === EntryType.value);
    kept.sort(byKey);
    const made: Table[] = [];
    for (let at = 0; at < kept.length; at += ENTRIES_PER_TABLE) {
      made.push(await this.#makeTable(kept.slice(at, at + ENTRIES_PER_TABLE), 1));
    }
    const gone = new Set(replaced);
    this.#tables = [...made, ...this.#tables.filter((table) => !gone.has(table))];
    return replaced.map(({ number }) => sstName(number));
  }

  async #makeTable(entries: readonly BlockEntry[], level: number): Promise<Table> {
    const number = this.#nextFile++;
    const bytes = encodeTable(entries);
    await writeSynced(this.#fileSystem, join(this.#directory, sstName(number)), bytes);
    await this.#fileSystem.syncDirectory(this.#directory);
    const [smallest, largest] = [entries[0]!.key, entries.at(-1)!.key];
    return { number, level, sizeBytes: bytes.length, smallest, largest, entries };
  }

  async #beginLog(): Promise<void> {
    this.#log = this.#nextFile++;
    const file = await this.#fileSystem.create(join(this.#directory, logName(this.#log)));
    await file.close();
  }

  /** Makes MANIFEST say what there is. The name of the one before. */
  async #install(): Promise<string[]> {
    const before = this.#manifest;
    const manifest = manifestName(this.#nextFile++);
    const edit = encodeVersionEdit({
      comparator: LEVELDB_COMPARATOR,
      logNumber: this.#log,
      prevLogNumber: 0,
      nextFile: this.#nextFile,
      lastSequence: this.#lastSequence,
      compactPointers: [],
      deletedFiles: [],
      newFiles: this.#tables,
    });
    await writeSynced(this.#fileSystem, join(this.#directory, manifest), writeLog([edit]));
    const temporary = join(this.#directory, `${manifest}.dbtmp`);
    await writeSynced(this.#fileSystem, temporary, Buffer.from(`${manifest}\n`));
    await this.#fileSystem.rename(temporary, join(this.#directory, CURRENT_NAME));
    await this.#fileSystem.syncDirectory(this.#directory);
    this.#manifest = manifest;
    return before === undefined ? [] : [before];
  }

  async close(): Promise<void> {
    if (--this.users === 0) this.#onClosed();
  }
}

function byKey(left: BlockEntry, right: BlockEntry): number {
  return compareInternalKeys(left.key, right.key);
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

function encodeTable(entries: readonly BlockEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const index: IndexEntry[] = [];
  let offset = 0;
  for (let at = 0; at < entries.length; at += ENTRIES_PER_BLOCK) {
    const inBlock = entries.slice(at, at + ENTRIES_PER_BLOCK);
    const block = encodeDataBlock(inBlock);
    const handle = { offset, length: block.length - BLOCK_TRAILER_BYTES };
    index.push({ key: inBlock.at(-1)!.key, handle });
    parts.push(block);
    offset += block.length;
  }
  return Buffer.concat([...parts, encodeTableEnd(index, offset)]);
}

function tableEntries(bytes: Uint8Array, name: string): BlockEntry[] {
  const footer = bytes.subarray(bytes.length - TABLE_FOOTER_BYTES);
  const { index } = readFooter(footer, bytes.length, name);
  const content = decodeBlock(storedAt(bytes, index), index, name);
  return readIndex(content, index, name).flatMap(({ handle }) =>
    readEntries(decodeBlock(storedAt(bytes, handle), handle, name), handle.offset, name),
  );
}

function storedAt(bytes: Uint8Array, { offset, length }: IndexEntry["handle"]): Uint8Array {
  return bytes.subarray(offset, offset + length + BLOCK_TRAILER_BYTES);
}
