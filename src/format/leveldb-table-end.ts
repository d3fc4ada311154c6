// What follows the data blocks of a table file: filter, metaindex, index and footer. LevelDB reads it
// when it opens the file, and trusts it. Page: docs/formats/leveldb-table.md#walking.
//   E1. The parts follow each other without gaps up to the end of the file: nothing is read twice, and
//       nothing lies outside.
//   E2. The filter is the one that LevelDB makes here, and its offsets lie within it.
//   E3. Data blocks follow each other without gaps from the file's start to the end's.
//   E4. Index keys ascend (K4 of the cursor).
import { type Cursor, readVarint } from "../common/varint.ts";
import { CorruptionError } from "../errors.ts";
import { BlockCursor } from "./leveldb-block-cursor.ts";
import {
  BLOCK_BYTES_MAX,
  BLOCK_TRAILER_BYTES,
  type BlockHandle,
  TABLE_FOOTER_BYTES,
  checkBlock,
  type decodeBlock,
  readMetaindex,
} from "./leveldb-table.ts";

const FILTER_BASE_LOG2 = 11;
const FILTER_TAIL_BYTES = 5; // u32 start of the offsets, u8 logarithm of the bytes a filter is for.

export interface TableEnd {
  /** Where the data blocks end. */
  readonly dataEnd: number;
  /** The file's bytes from there on. */
  readonly bytes: Uint8Array;
  /** Raw content of the index. */
  readonly index: Uint8Array;
  readonly indexHandle: BlockHandle;
}

/** `decodeBlock`, or `decodeHashedBlock` where the whole file is hashed. */
export type DecodeBlock = typeof decodeBlock;

/**
 * Where the end of a file begins, as far as `bytes`, its last ones, tell: if that is before them, ask
 * again with bytes from there on. Verifies what of it is there.
 */
export function locateTableEnd(
  bytes: Uint8Array,
  fileBytes: number,
  handles: { readonly metaindex: BlockHandle; readonly index: BlockHandle },
  decode: DecodeBlock,
  file: string,
): number {
  const { metaindex, index } = handles;
  const start = fileBytes - bytes.length;
  if (endOf(metaindex) !== index.offset || endOf(index) !== fileBytes - TABLE_FOOTER_BYTES) {
    throw new CorruptionError("the parts of a table do not follow each other", file, index.offset); // E1
  }
  if (metaindex.offset < start) return metaindex.offset;
  const content = decode(storedOf(bytes, start, metaindex), metaindex, file);
  const filter = readMetaindex(content, metaindex, file);
  if (filter === undefined) return metaindex.offset;
  if (endOf(filter) !== metaindex.offset) {
    throw new CorruptionError("the parts of a table do not follow each other", file, filter.offset); // E1
  }
  if (filter.offset < start) return filter.offset;
  checkFilter(decode(storedOf(bytes, start, filter), filter, file), filter.offset, file);
  return filter.offset;
}

/** The end of a file, from bytes that begin where it does or before. */
export function readTableEnd(
  bytes: Uint8Array,
  fileBytes: number,
  dataEnd: number,
  indexHandle: BlockHandle,
  decode: DecodeBlock,
  file: string,
): TableEnd {
  const start = fileBytes - bytes.length;
  const index = decode(storedOf(bytes, start, indexHandle), indexHandle, file);
  return { dataEnd, bytes: bytes.subarray(dataEnd - start), index, indexHandle };
}

/** The checksum of an index whose content nobody looks at yet. `bytes` as for `readTableEnd`. */
export function checkStoredIndex(
  bytes: Uint8Array,
  fileBytes: number,
  indexHandle: BlockHandle,
  file: string,
): void {
  checkBlock(storedOf(bytes, fileBytes - bytes.length, indexHandle), indexHandle, file);
}

function endOf({ offset, length }: BlockHandle): number {
  return offset + length + BLOCK_TRAILER_BYTES;
}

function storedOf(bytes: Uint8Array, start: number, handle: BlockHandle): Uint8Array {
  return bytes.subarray(handle.offset - start, endOf(handle) - start);
}

/** E2. What a filter says of keys is not compared with them: a wrong one hides rows, as removing them would. */
function checkFilter(content: Uint8Array, offset: number, file: string): void {
  const refuse = (): never => {
    throw new CorruptionError("a filter is damaged", file, offset);
  };
  const offsetsEnd = content.length - FILTER_TAIL_BYTES;
  if (offsetsEnd < 0 || content[content.length - 1] !== FILTER_BASE_LOG2) refuse();
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const offsetsAt = view.getUint32(offsetsEnd, true);
  if (offsetsAt > offsetsEnd || (offsetsEnd - offsetsAt) % 4 !== 0) refuse();
  let before = 0;
  for (let at = offsetsAt; at < offsetsEnd; at += 4) {
    const from = view.getUint32(at, true);
    if (from < before || from > offsetsAt) refuse();
    before = from;
  }
}

/** Goes through the data blocks that an index names. Allocates nothing per block. */
export class IndexCursor {
  readonly separators: BlockCursor;
  /** Handle of the current block. */
  offset = 0;
  length = 0;
  readonly #dataEnd: number;
  readonly #varint: Cursor = { offset: 0 };
  readonly #file: string;

  constructor({ index, indexHandle, dataEnd }: TableEnd, file: string) {
    this.#file = file;
    this.#dataEnd = dataEnd;
    this.separators = new BlockCursor(file);
    this.separators.open(index, 0, index.length, indexHandle.offset);
    this.length = -BLOCK_TRAILER_BYTES;
  }

  /** Goes to the next block; false after the last, which ends where the data does. */
  next(): boolean {
    const { separators } = this;
    const from = this.offset + this.length + BLOCK_TRAILER_BYTES;
    if (!separators.next()) {
      if (from !== this.#dataEnd) this.#refuse(); // E3
      return false;
    }
    const { content, valueEnd } = separators;
    const varint = this.#varint;
    varint.offset = separators.valueStart;
    this.offset = this.#number(content, varint, valueEnd);
    this.length = this.#number(content, varint, valueEnd);
    const isSound =
      this.offset === from &&
      varint.offset === valueEnd &&
      this.length <= BLOCK_BYTES_MAX &&
      from + this.length + BLOCK_TRAILER_BYTES <= this.#dataEnd;
    if (!isSound) this.#refuse(); // E3
    return true;
  }

  #number(content: Uint8Array, varint: Cursor, end: number): number {
    try {
      return readVarint(content, varint, end);
    } catch {
      return this.#refuse();
    }
  }

  #refuse(): never {
    throw new CorruptionError("data blocks do not follow each other", this.#file, this.offset);
  }
}
