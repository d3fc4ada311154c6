// Reads the entries of table files that follow each other in key order: those of one level, or a
// single one of level 0. Hot: entries are views into a block, and keys are put together in one array;
// nothing is allocated per entry. Guarded by bench/savepoint.
//   U1. A block's checksum is verified before its content is looked at.
//   U2. `key` and `content` are valid until the next `step` or `load`.
import type { FileSystem, ReadableFile } from "../api/environment.ts";
import { type Cursor, readVarint } from "../common/varint.ts";
import { CorruptionError } from "../errors.ts";
import { INTERNAL_KEY_TRAILER_BYTES, userKeyOf } from "../format/leveldb-internal-key.ts";
import {
  BLOCK_TRAILER_BYTES,
  type BlockHandle,
  type IndexEntry,
  TABLE_FOOTER_BYTES,
  decodeBlock,
  readFooter,
  readIndex,
} from "../format/leveldb-table.ts";
import { ROW_KEY_BYTES_MAX } from "../format/row-record.ts";

/** Blocks of 4 KiB are read many at a time. */
const PIECE_BYTES = 262_144;

export class TableRun {
  readonly #fileSystem: FileSystem;
  readonly #paths: readonly string[];
  /** The first two bytes of the first row key wanted. */
  readonly #from: Uint8Array;
  #nextTable = 0;
  #file: ReadableFile | undefined;
  #path = "";
  #blocks: readonly IndexEntry[] = [];
  #nextBlock = 0;
  readonly #pieceBuffer = new Uint8Array(PIECE_BYTES);
  #piece: Uint8Array = new Uint8Array(0);
  #pieceStart = 0;
  /** Internal key of the current entry: its first `keyBytes` bytes. */
  readonly key: Uint8Array = new Uint8Array(ROW_KEY_BYTES_MAX + INTERNAL_KEY_TRAILER_BYTES);
  readonly #keyView = new DataView(this.key.buffer);
  keyBytes = 0;
  /** The current entry's value: `content` from `valueStart` to `valueEnd`. */
  content: Uint8Array = new Uint8Array(0);
  valueStart = 0;
  valueEnd = 0;
  #end = 0;
  readonly #cursor: Cursor = { offset: 0 };

  constructor(fileSystem: FileSystem, paths: readonly string[], firstKeyGroup: number) {
    this.#fileSystem = fileSystem;
    this.#paths = paths;
    this.#from = Uint8Array.of(firstKeyGroup >> 8, firstKeyGroup & 255);
  }

  get userKeyBytes(): number {
    return this.keyBytes - INTERNAL_KEY_TRAILER_BYTES;
  }

  get keyGroup(): number {
    return this.key[0]! * 256 + this.key[1]!;
  }

  /** Lowest byte of the trailer: the entry's type. */
  get type(): number {
    return this.key[this.keyBytes - INTERNAL_KEY_TRAILER_BYTES]!;
  }

  /** The trailer as two halves: sequence and type, the higher the newer. */
  get trailerHigh(): number {
    return this.#keyView.getUint32(this.keyBytes - 4, true);
  }

  get trailerLow(): number {
    return this.#keyView.getUint32(this.keyBytes - 8, true);
  }

  /** Goes to the next entry of the block; false if there is none: then `load` has to be awaited. */
  step(): boolean {
    const { content } = this;
    const end = this.#end;
    const cursor = this.#cursor;
    if (cursor.offset >= end) return false;
    const shared = length(content, cursor, end);
    const own = length(content, cursor, end);
    const valueBytes = length(content, cursor, end);
    const start = cursor.offset;
    const keyBytes = shared + own;
    this.valueStart = start + own;
    this.valueEnd = this.valueStart + valueBytes;
    const isSound =
      shared <= this.keyBytes &&
      this.valueEnd <= end &&
      keyBytes <= this.key.length &&
      keyBytes >= INTERNAL_KEY_TRAILER_BYTES + 2;
    if (!isSound) throw new CorruptionError("an entry is cut", this.#path, start);
    const { key } = this;
    for (let at = 0; at < own; at++) key[shared + at] = content[start + at]!;
    this.keyBytes = keyBytes;
    cursor.offset = this.valueEnd;
    return true;
  }

  /** Goes to the first entry of the next block, in the next table if need be; false at the end. */
  async load(): Promise<boolean> {
    for (;;) {
      while (this.#nextBlock >= this.#blocks.length) {
        if (!(await this.#openNext())) return false;
      }
      await this.#loadBlock(this.#blocks[this.#nextBlock++]!.handle);
      if (this.step()) return true;
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #openNext(): Promise<boolean> {
    await this.close();
    const path = this.#paths[this.#nextTable++];
    if (path === undefined) return false;
    const file = await this.#fileSystem.open(path);
    this.#file = file;
    this.#path = path;
    this.#piece = new Uint8Array(0);
    const { sizeBytes } = file;
    const footerAt = Math.max(0, sizeBytes - TABLE_FOOTER_BYTES);
    const { index } = readFooter(await file.read(footerAt, TABLE_FOOTER_BYTES), sizeBytes, path);
    const stored = await file.read(index.offset, index.length + BLOCK_TRAILER_BYTES);
    this.#blocks = readIndex(decodeBlock(stored, index, path), index, path);
    // A block ends at or before its key in the index.
    this.#nextBlock = this.#blocks.findIndex(
      ({ key }) => Buffer.compare(userKeyOf(key), this.#from) >= 0,
    );
    if (this.#nextBlock < 0) this.#nextBlock = this.#blocks.length;
    return true;
  }

  async #loadBlock(handle: BlockHandle): Promise<void> {
    const stored = await this.#stored(handle);
    const content = decodeBlock(stored, handle, this.#path); // U1
    const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
    const restarts = content.length < 4 ? 0 : view.getUint32(content.length - 4, true);
    const end = content.length - 4 - restarts * 4;
    if (content.length < 4 || end < 0) {
      throw new CorruptionError("the restarts of a block are cut", this.#path, handle.offset);
    }
    this.content = content;
    this.#end = end;
    this.#cursor.offset = 0;
    this.keyBytes = 0;
  }

  /** Stored bytes of a block, its trailer included. */
  async #stored(handle: BlockHandle): Promise<Uint8Array> {
    const bytes = handle.length + BLOCK_TRAILER_BYTES;
    let at = handle.offset - this.#pieceStart;
    if (at < 0 || at + bytes > this.#piece.length) {
      const isLarge = bytes > PIECE_BYTES;
      const into = isLarge ? undefined : this.#pieceBuffer;
      this.#pieceStart = handle.offset;
      this.#piece = await this.#file!.read(handle.offset, isLarge ? bytes : PIECE_BYTES, into);
      at = 0;
    }
    return this.#piece.subarray(at, at + bytes);
  }
}

/** A varint; most are of one byte. */
function length(content: Uint8Array, cursor: Cursor, end: number): number {
  const byte = content[cursor.offset]!;
  if (byte >= 128 || cursor.offset >= end) return readVarint(content, cursor, end);
  cursor.offset++;
  return byte;
}
