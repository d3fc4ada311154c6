// Reads table files entry by entry, a block at a time. Never LevelDB: it writes into the directory it
// opens, and trusts what it reads. Page: docs/formats/leveldb-table.md.
//   T1. Footer, index and blocks are those of the file list's length; each block's checksum is
//       verified before it is used. The SHA-256 of whole files is for `verify` to compare.
//   T2. Entries of a file ascend from block to block, and lie between the bounds that the file list
//       records: LevelDB finds nothing outside them.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { CorruptionError } from "../errors.ts";
import type { SstListEntry } from "../format/file-list.ts";
import { compareInternalKeys, userKeyOf } from "../format/leveldb-internal-key.ts";
import {
  BLOCK_TRAILER_BYTES,
  type BlockEntry,
  type BlockHandle,
  type IndexEntry,
  TABLE_FOOTER_BYTES,
  decodeBlock,
  readEntries,
  readFooter,
  readIndex,
} from "../format/leveldb-table.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { PieceReader, StoredFile } from "./stored-file.ts";

/** Blocks named by the indexes that are kept: some 100 bytes each. */
const INDEX_ENTRIES_MAX = 65_536;
/** Bytes of blocks that searches ended in: the next key group begins where the last one ended. */
const BLOCK_BYTES_KEPT = 2_097_152;

/** A table file with its index. */
export interface SstTable {
  readonly file: StoredFile;
  readonly entry: SstListEntry;
  readonly index: readonly IndexEntry[];
}

type Block = readonly BlockEntry[];

/** The table files of one base. */
export class SstTables {
  readonly #storage: CheckpointStorage;
  readonly #tables = new BoundedCache<SstTable>(INDEX_ENTRIES_MAX);
  readonly #blocks = new BoundedCache<Block>(BLOCK_BYTES_KEPT);

  constructor(storage: CheckpointStorage) {
    this.#storage = storage;
  }

  open(entry: SstListEntry): Promise<SstTable> {
    const load = async (): Promise<SstTable> => {
      const file = new StoredFile(this.#storage, entry);
      const footerAt = Math.max(0, entry.lengthBytes - TABLE_FOOTER_BYTES);
      const footer = await file.read(footerAt, entry.lengthBytes - footerAt);
      const { index: handle } = readFooter(footer, entry.lengthBytes, file.name);
      const stored = await file.read(handle.offset, handle.length + BLOCK_TRAILER_BYTES);
      const content = decodeBlock(stored, handle, file.name); // T1
      return { file, entry, index: readIndex(content, handle, file.name) };
    };
    return this.#tables.get(entry.id, load, ({ index }) => index.length + 16);
  }

  async block(table: SstTable, reader: PieceReader, handle: BlockHandle): Promise<Block> {
    const { name } = table.file;
    const stored = await reader.read(handle.offset, handle.length + BLOCK_TRAILER_BYTES);
    const entries = readEntries(decodeBlock(stored, handle, name), handle.offset, name); // T1
    const { smallest, largest } = table.entry;
    const [first, last] = [entries[0], entries.at(-1)];
    const isInside =
      first !== undefined &&
      last !== undefined &&
      compareInternalKeys(first.key, smallest) >= 0 &&
      compareInternalKeys(last.key, largest) <= 0;
    if (isInside) return entries;
    throw new CorruptionError("a block is empty or outside its file's bounds", name, handle.offset); // T2
  }

  /** Likewise, for a search: kept, since searches often end in the same block. */
  searchedBlock(table: SstTable, reader: PieceReader, handle: BlockHandle): Promise<Block> {
    const load = (): Promise<Block> => this.block(table, reader, handle);
    const key = `${table.entry.id} ${handle.offset}`;
    return this.#blocks.get(key, load, () => handle.length + 256);
  }

  clear(): void {
    this.#tables.clear();
    this.#blocks.clear();
  }
}

/** Goes through the entries of files that follow each other: one of level 0, or those of a level. */
export class LevelCursor {
  /** Undefined at the end of a block. */
  entry: BlockEntry | undefined = undefined;
  readonly #tables: SstTables;
  readonly #files: readonly SstListEntry[];
  readonly #from: Uint8Array;
  #nextFile = 0;
  #table: SstTable | undefined = undefined;
  #reader: PieceReader | undefined = undefined;
  #nextBlock = 0;
  #isSearching = true;
  #block: Block = [];
  #at = 0;
  #last: Uint8Array | undefined = undefined;

  /** Ascending files that may have user keys from `from` on. `more` comes first. */
  constructor(tables: SstTables, files: readonly SstListEntry[], from: Uint8Array) {
    this.#tables = tables;
    this.#files = files;
    this.#from = from;
  }

  /** Moves on within the block; `entry` is undefined where that ends. */
  advance(): void {
    this.entry = this.#block[++this.#at];
  }

  /** Loads the next block; false at the end of the last file. */
  async more(): Promise<boolean> {
    for (;;) {
      const handle = this.#table?.index[this.#nextBlock]?.handle;
      if (handle === undefined) {
        if (!(await this.#openNext())) return false;
        continue;
      }
      this.#nextBlock++;
      await this.#load(handle);
      this.entry = this.#block[this.#at];
      if (this.entry !== undefined) return true;
    }
  }

  async #openNext(): Promise<boolean> {
    const file = this.#files[this.#nextFile];
    if (file === undefined) return false;
    this.#nextFile++;
    const table = await this.#tables.open(file);
    this.#table = table;
    this.#reader = new PieceReader(table.file);
    this.#nextBlock = lowerBound(table.index, this.#from);
    return true;
  }

  async #load(handle: BlockHandle): Promise<void> {
    const [table, reader] = [this.#table!, this.#reader!];
    if (this.#isSearching) {
      this.#block = await this.#tables.searchedBlock(table, reader, handle);
      this.#at = lowerBound(this.#block, this.#from);
      this.#isSearching = this.#at === this.#block.length;
    } else {
      this.#block = await this.#tables.block(table, reader, handle);
      this.#at = 0;
    }
    const first = this.#block[0]!.key;
    if (this.#last !== undefined && compareInternalKeys(this.#last, first) >= 0) {
      const { name } = table.file;
      throw new CorruptionError("blocks of a table do not ascend", name, handle.offset); // T2
    }
    this.#last = this.#block.at(-1)!.key;
  }
}

/** Index of the first entry whose user key is not below `from`. */
function lowerBound(entries: readonly { readonly key: Uint8Array }[], from: Uint8Array): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(userKeyOf(entries[middle]!.key), from) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
