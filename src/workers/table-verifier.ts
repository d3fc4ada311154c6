// Walks through a table file while its pieces are hashed: both see the same bytes, read once. Page:
// docs/formats/leveldb-table.md#walking.
//   V1. The end of the file is read first, since it says where blocks are; it is compared with the same
//       bytes as they are hashed.
//   V2. Of several things that are wrong the hash is what is reported: the rest follows from it.
import type { ReadableFile } from "../api/environment.ts";
import { CorruptionError } from "../errors.ts";
import {
  type DecodeBlock,
  type TableEnd,
  checkStoredIndex,
  locateTableEnd,
  readTableEnd,
} from "../format/leveldb-table-end.ts";
import { type TableClaims, TableWalk } from "../format/leveldb-table-walk.ts";
import {
  BLOCK_TRAILER_BYTES,
  type BlockHandle,
  TABLE_FOOTER_BYTES,
  decodeBlock,
  decodeHashedBlock,
  readFooter,
} from "../format/leveldb-table.ts";

/** Most often everything after the data blocks; longer ends take a second read. */
export const TABLE_END_BYTES = 98_304;

/** The last bytes of a table, from where its data blocks end or before. */
interface LastBytes {
  readonly bytes: Uint8Array;
  readonly dataEnd: number;
  readonly index: BlockHandle;
}

/**
 * Reads what follows the data blocks, and checks it but for the index. `into`: what to read it into, as
 * long as it probably is.
 */
export async function readLastBytes(
  table: ReadableFile,
  decode: DecodeBlock,
  file: string,
  into: Uint8Array = new Uint8Array(Math.min(TABLE_END_BYTES, table.sizeBytes)),
): Promise<LastBytes> {
  const { sizeBytes } = table;
  let start = Math.max(0, sizeBytes - into.length);
  let bytes = await table.read(start, sizeBytes - start, into);
  const footer = bytes.subarray(Math.max(0, bytes.length - TABLE_FOOTER_BYTES));
  const handles = readFooter(footer, sizeBytes, file);
  for (;;) {
    const dataEnd = locateTableEnd(bytes, sizeBytes, handles, decode, file);
    if (dataEnd >= start) return { bytes, dataEnd, index: handles.index };
    start = dataEnd; // Smaller each time: it stops at the filter.
    bytes = await table.read(start, sizeBytes - start);
    if (bytes.length !== sizeBytes - start) {
      throw new CorruptionError("the file is cut", file, start + bytes.length);
    }
  }
}

/**
 * Checks what LevelDB reads of a table before any row, by layout and checksums: accidents. What only
 * a forger can have written into an index is found as the table is walked. Returns the end's bytes.
 */
export async function checkTableEnd(
  table: ReadableFile,
  into: Uint8Array,
  file: string,
): Promise<number> {
  const { bytes, dataEnd, index } = await readLastBytes(table, decodeBlock, file, into);
  checkStoredIndex(bytes, table.sizeBytes, index, file);
  return table.sizeBytes - dataEnd;
}

/** What verifies a table as all its bytes are hashed. */
export async function openTableVerifier(
  table: ReadableFile,
  claims: TableClaims,
  file: string,
): Promise<TableVerifier> {
  const { sizeBytes } = table;
  const { bytes, dataEnd, index } = await readLastBytes(table, decodeHashedBlock, file);
  const end = readTableEnd(bytes, sizeBytes, dataEnd, index, decodeHashedBlock, file);
  return new TableVerifier(end, claims, file);
}

/** Takes the bytes of a file, piece by piece from its start. */
export class TableVerifier {
  readonly #end: TableEnd;
  readonly #walk: TableWalk;
  readonly #file: string;
  /** Stored bytes of a block that reaches beyond a piece. */
  #carry = new Uint8Array(0);
  #hasBlock: boolean;

  constructor(end: TableEnd, claims: TableClaims, file: string) {
    this.#end = end;
    this.#file = file;
    this.#walk = new TableWalk(end, claims, file);
    this.#hasBlock = this.#walk.next();
  }

  /** `bytes` are those from `at` on. */
  add(bytes: Uint8Array, at: number): void {
    const { index } = this.#walk;
    while (this.#hasBlock) {
      const { offset, length } = index;
      const end = offset + length + BLOCK_TRAILER_BYTES;
      const isWhole = end <= at + bytes.length;
      if (offset >= at && isWhole) this.#walk.block(bytes, offset - at);
      else {
        this.#keep(bytes, at, offset, end);
        if (!isWhole) break;
        this.#walk.block(this.#carry, 0);
      }
      this.#hasBlock = this.#walk.next();
    }
    this.#compareEnd(bytes, at);
  }

  /** All bytes were given. */
  finish(): void {
    if (this.#hasBlock) this.#changed(this.#walk.index.offset);
  }

  /** Keeps what is here of the stored bytes from `start` to `end`. */
  #keep(bytes: Uint8Array, at: number, start: number, end: number): void {
    if (this.#carry.length < end - start) {
      const larger = new Uint8Array(end - start);
      larger.set(this.#carry);
      this.#carry = larger;
    }
    const from = Math.max(start, at);
    const to = Math.min(end, at + bytes.length);
    if (from < to) this.#carry.set(bytes.subarray(from - at, to - at), from - start);
  }

  /** V1 */
  #compareEnd(bytes: Uint8Array, at: number): void {
    const { dataEnd } = this.#end;
    const from = Math.max(dataEnd, at);
    const to = at + bytes.length;
    if (from >= to) return;
    const expected = this.#end.bytes.subarray(from - dataEnd, to - dataEnd);
    if (Buffer.compare(bytes.subarray(from - at), expected) !== 0) this.#changed(from);
  }

  #changed(at: number): never {
    throw new CorruptionError("the file changed while it was read", this.#file, at);
  }
}
