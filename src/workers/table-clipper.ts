// Clips a table file to a range of key groups. Page: docs/formats/leveldb-table.md#clipping.
//   C1. Every entry of the range is kept, in its order; no other is.
//   C2. A block is copied as it is stored only if both keys around it lie in the range.
import type { ReadableFile, WritableFile } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { CorruptionError } from "../errors.ts";
import { userKeyOf } from "../format/leveldb-internal-key.ts";
import {
  BLOCK_TRAILER_BYTES,
  type BlockEntry,
  type BlockHandle,
  type IndexEntry,
  TABLE_FOOTER_BYTES,
  decodeBlock,
  encodeDataBlock,
  encodeTableEnd,
  readEntries,
  readFooter,
  readIndex,
} from "../format/leveldb-table.ts";
import { TaskStopped } from "./tasks.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

type Request = WorkerTasks["clipTable"]["request"];
type Clipped = WorkerTasks["clipTable"]["response"];

const PIECE_BYTES = 524_288;
const GROUPS = 65_536;

export async function clipTable(request: Request, context: TaskContext): Promise<Clipped> {
  const { path, target, file } = request;
  const { fileSystem } = context;
  try {
    if (context.isRepeated) await fileSystem.removeTree(target);
    const source = await fileSystem.open(path);
    try {
      const output = await fileSystem.create(target);
      let clipped: Clipped | undefined;
      try {
        clipped = await new Clipper(source, output, request, context).run();
      } finally {
        await output.close();
        if (clipped?.bounds === undefined) await fileSystem.removeTree(target);
      }
      return clipped;
    } finally {
      await source.close();
    }
  } catch (cause) {
    throw cause instanceof TaskStopped
      ? cause
      : typedFileError(`clip ${file} into ${target}`, cause);
  }
}

class Clipper {
  readonly #source: ReadableFile;
  readonly #output: WritableFile;
  readonly #context: TaskContext;
  readonly #file: string;
  readonly #first: Uint8Array;
  /** Undefined where the last key group is the last there can be. */
  readonly #end: Uint8Array | undefined;
  readonly #piece = new Uint8Array(PIECE_BYTES);
  readonly #index: IndexEntry[] = [];
  #written = 0;
  /** Stored bytes still to be copied. */
  #copyStart = 0;
  #copyEnd = 0;
  #smallest: Uint8Array | undefined = undefined;
  #largest: Uint8Array | undefined = undefined;
  /** The last block copied as it is stored: its last key is looked up only if nothing follows. */
  #lastCopied: BlockHandle | undefined = undefined;

  constructor(source: ReadableFile, output: WritableFile, request: Request, context: TaskContext) {
    this.#source = source;
    this.#output = output;
    this.#context = context;
    this.#file = request.file;
    const { first, last } = request.keyGroups;
    this.#first = Uint8Array.of(first >> 8, first & 255);
    this.#end = last + 1 < GROUPS ? Uint8Array.of((last + 1) >> 8, (last + 1) & 255) : undefined;
  }

  async run(): Promise<Clipped> {
    const { sizeBytes } = this.#source;
    const footerAt = Math.max(0, sizeBytes - TABLE_FOOTER_BYTES);
    const footer = await this.#source.read(footerAt, TABLE_FOOTER_BYTES);
    const { index: indexHandle } = readFooter(footer, sizeBytes, this.#file);
    const blocks = readIndex(await this.#block(indexHandle), indexHandle, this.#file);
    let before: Uint8Array | undefined;
    for (const { key, handle } of blocks) {
      this.#context.checkStop();
      const isAbove = before !== undefined && !this.#isBeforeEnd(before);
      if (isAbove) break;
      if (!this.#isBeforeFirst(key)) {
        const isInside = before !== undefined && !this.#isBeforeFirst(before);
        if (isInside && this.#isBeforeEnd(key)) await this.#copyBlock(key, handle);
        else await this.#filterBlock(key, handle);
      }
      before = key;
    }
    return this.#finish();
  }

  async #finish(): Promise<Clipped> {
    if (this.#lastCopied !== undefined) {
      this.#largest = (await this.#entries(this.#lastCopied)).at(-1)?.key;
    }
    const [smallest, largest] = [this.#smallest, this.#largest];
    if (smallest === undefined || largest === undefined) {
      return { lengthBytes: 0, bounds: undefined };
    }
    await this.#copy();
    await this.#write(encodeTableEnd(this.#index, this.#written));
    return { lengthBytes: this.#written, bounds: { smallest, largest } };
  }

  async #filterBlock(separator: Uint8Array, handle: BlockHandle): Promise<void> {
    const entries = await this.#entries(handle);
    const kept = entries.filter(
      ({ key }) => !this.#isBeforeFirst(key) && this.#isBeforeEnd(key), // C1
    );
    if (kept.length === 0) return;
    if (kept.length === entries.length) {
      await this.#copyBlock(separator, handle);
      return;
    }
    await this.#copy();
    const offset = this.#written;
    const block = encodeDataBlock(kept);
    await this.#write(block);
    const last = kept.at(-1)!.key;
    const isEndKept = last === entries.at(-1)!.key;
    const length = block.length - BLOCK_TRAILER_BYTES;
    this.#index.push({ key: isEndKept ? separator : last, handle: { offset, length } });
    this.#smallest ??= kept[0]!.key;
    this.#largest = last;
    this.#lastCopied = undefined;
  }

  async #copyBlock(separator: Uint8Array, handle: BlockHandle): Promise<void> {
    if (this.#smallest === undefined) {
      this.#smallest = (await this.#entries(handle))[0]?.key;
      if (this.#smallest === undefined) throw this.#damaged("a data block is empty", handle);
    }
    if (handle.offset !== this.#copyEnd) {
      await this.#copy();
      this.#copyStart = handle.offset;
      this.#copyEnd = handle.offset;
    }
    const offset = this.#written + (this.#copyEnd - this.#copyStart);
    this.#copyEnd = handle.offset + handle.length + BLOCK_TRAILER_BYTES;
    this.#index.push({ key: separator, handle: { offset, length: handle.length } });
    this.#lastCopied = handle;
  }

  /** Copies the blocks gathered so far, which lie one after the other. */
  async #copy(): Promise<void> {
    while (this.#copyStart < this.#copyEnd) {
      this.#context.checkStop();
      const wanted = Math.min(PIECE_BYTES, this.#copyEnd - this.#copyStart);
      const piece = await this.#source.read(this.#copyStart, wanted, this.#piece);
      if (piece.length === 0) {
        throw new CorruptionError("a block is cut", this.#file, this.#copyStart);
      }
      await this.#write(piece);
      this.#copyStart += piece.length;
    }
  }

  async #entries(handle: BlockHandle): Promise<readonly BlockEntry[]> {
    const entries = readEntries(await this.#block(handle), handle.offset, this.#file);
    for (const { key } of entries) {
      if (userKeyOf(key).length >= 2) continue;
      throw this.#damaged("a row key has no key group", handle);
    }
    return entries;
  }

  async #block(handle: BlockHandle): Promise<Uint8Array> {
    const stored = await this.#source.read(handle.offset, handle.length + BLOCK_TRAILER_BYTES);
    return decodeBlock(stored, handle, this.#file);
  }

  /** Also of keys in the index, which may have a single byte. */
  #isBeforeFirst(internalKey: Uint8Array): boolean {
    return Buffer.compare(userKeyOf(internalKey), this.#first) < 0;
  }

  #isBeforeEnd(internalKey: Uint8Array): boolean {
    return this.#end === undefined || Buffer.compare(userKeyOf(internalKey), this.#end) < 0;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#output.write(bytes);
    this.#written += bytes.length;
    assert(this.#written <= this.#source.sizeBytes * 2 + 65_536, "a clipped table grew");
  }

  #damaged(message: string, handle: BlockHandle): CorruptionError {
    return new CorruptionError(message, this.#file, handle.offset);
  }
}
