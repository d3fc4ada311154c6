// Rows of a list. Page: docs/formats/row.md#lists.
//
//   listPacked     u8 header | u64 appliedChange | elements
//   listDirectory  u8 header | u64 appliedChange | u32 chunkCount
//   listChunk      u8 header | elements
//   elements       (varint length | bytes)*
//
// Chunks are numbered from 0; the number is the suffix of the row key. appliedChange is the change
// number of the newest blind append that is contained: applying an append twice changes nothing.
//   L1. A list without elements has no rows.
//   L2. A drain that applies appends only adds chunks: a chunk that is cached in the write buffer
//       never goes stale. Only the main thread, which has directory and chunk in hand, lets the
//       last chunk grow.
import { assert } from "../common/assert.ts";
import { readVarint } from "../common/varint.ts";
import { CorruptionError } from "../errors.ts";
import { RowKind, checkRowHeader } from "./row-value.ts";

/** Payload above which a packed list is split into chunks. */
export const LIST_PACKED_BYTES_MAX = 4096;
/** A chunk takes elements while it stays within this, and at least one. */
export const LIST_CHUNK_BYTES = 4096;
/** Header byte and appliedChange. */
export const LIST_PACKED_HEADER_BYTES = 9;
export const LIST_DIRECTORY_BYTES = 13;
export const LIST_CHUNK_HEADER_BYTES = 1;

export interface ListDirectory {
  readonly appliedChange: number;
  readonly chunkCount: number;
}

/** Elements to add, with the change number that marks them as applied. */
export interface ListAppend {
  readonly changeNumber: number;
  readonly elements: Uint8Array;
}

export interface ListRows {
  /** The root row: packed or directory. */
  readonly root: Uint8Array;
  /** Chunk rows that are new or changed. */
  readonly chunks: readonly { readonly index: number; readonly row: Uint8Array }[];
}

export function readAppliedChange(row: Uint8Array): number {
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  if (row.length < LIST_PACKED_HEADER_BYTES) throw cut();
  const change = view.getUint32(1, true) + view.getUint32(5, true) * 4_294_967_296;
  if (change > Number.MAX_SAFE_INTEGER) {
    throw new CorruptionError("a list is of an impossible change", "row", 1);
  }
  return change;
}

export function writeAppliedChange(row: Uint8Array, change: number): void {
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  view.setUint32(1, change >>> 0, true);
  view.setUint32(5, Math.floor(change / 4_294_967_296), true);
}

export function encodePackedList(appliedChange: number, elements: Uint8Array): Uint8Array {
  const row = new Uint8Array(LIST_PACKED_HEADER_BYTES + elements.length);
  row[0] = RowKind.listPacked;
  writeAppliedChange(row, appliedChange);
  row.set(elements, LIST_PACKED_HEADER_BYTES);
  return row;
}

export function encodeListDirectory(directory: ListDirectory): Uint8Array {
  const row = new Uint8Array(LIST_DIRECTORY_BYTES);
  const view = new DataView(row.buffer);
  row[0] = RowKind.listDirectory;
  writeAppliedChange(row, directory.appliedChange);
  view.setUint32(9, directory.chunkCount, true);
  return row;
}

export function decodeListDirectory(row: Uint8Array): ListDirectory {
  if (checkRowHeader(row) !== RowKind.listDirectory) {
    throw new CorruptionError("a list has the root row of another state", "row", 0);
  }
  if (row.length !== LIST_DIRECTORY_BYTES) throw cut();
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  const chunkCount = view.getUint32(9, true);
  if (chunkCount === 0) throw new CorruptionError("a list directory has no chunks", "row", 9);
  return { appliedChange: readAppliedChange(row), chunkCount };
}

export function encodeListChunk(elements: Uint8Array): Uint8Array {
  const row = new Uint8Array(LIST_CHUNK_HEADER_BYTES + elements.length);
  row[0] = RowKind.listChunk;
  row.set(elements, LIST_CHUNK_HEADER_BYTES);
  return row;
}

/** Elements of a chunk row. */
export function listChunkElements(row: Uint8Array): Uint8Array {
  if (checkRowHeader(row) !== RowKind.listChunk) {
    throw new CorruptionError("a list chunk has the kind of another row", "row", 0);
  }
  return row.subarray(LIST_CHUNK_HEADER_BYTES);
}

/** Offset just past the element at `offset`. */
export function listElementEnd(elements: Uint8Array, offset: number): number {
  const cursor = { offset };
  const length = readVarint(elements, cursor, elements.length);
  if (cursor.offset + length > elements.length) throw cut();
  return cursor.offset + length;
}

/** Cuts elements into chunks of at most LIST_CHUNK_BYTES, or one element. */
export function splitIntoChunks(elements: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let start = 0;
  for (let at = 0; at < elements.length;) {
    const end = listElementEnd(elements, at);
    if (at > start && end - start > LIST_CHUNK_BYTES) {
      parts.push(elements.subarray(start, at));
      start = at;
    }
    at = end;
  }
  parts.push(elements.subarray(start));
  return parts;
}

/** Most chunks that appending this many bytes can begin: any two neighbours exceed a chunk. */
export function newChunksMax(bytes: number): number {
  return 2 * Math.ceil(bytes / LIST_CHUNK_BYTES) + 2;
}

/**
 * The rows of a list after blind appends. `root` is the stored root row, if there is one. Appends
 * come in order; those that the root already contains are skipped. Reads no chunk (L2).
 */
export function mergeAppends(
  root: Uint8Array | undefined,
  appends: readonly ListAppend[],
): ListRows {
  const kind = root === undefined ? undefined : checkRowHeader(root);
  const applied = root === undefined ? 0 : readAppliedChange(root);
  const fresh = appends.filter((append) => append.changeNumber > applied);
  const change = fresh.at(-1)?.changeNumber ?? applied;
  const added = concatenate(fresh.map((append) => append.elements));
  if (root === undefined || kind === RowKind.listPacked) {
    const before = root?.subarray(LIST_PACKED_HEADER_BYTES) ?? new Uint8Array(0);
    if (root !== undefined && before.length === 0) throw cut(); // L1
    return listRows(change, concatenate([before, added]));
  }
  if (kind !== RowKind.listDirectory) {
    throw new CorruptionError("a list has the root row of another state", "row", 0);
  }
  if (added.length === 0) return { root, chunks: [] };
  return chunkRows(change, added, decodeListDirectory(root).chunkCount);
}

/** The rows of a list of these elements, which are not none (L1). */
export function listRows(appliedChange: number, elements: Uint8Array): ListRows {
  assert(elements.length > 0, "L1: a list without elements has no rows");
  if (elements.length <= LIST_PACKED_BYTES_MAX) {
    return { root: encodePackedList(appliedChange, elements), chunks: [] };
  }
  return chunkRows(appliedChange, elements, 0);
}

function chunkRows(appliedChange: number, elements: Uint8Array, firstIndex: number): ListRows {
  const parts = splitIntoChunks(elements);
  return {
    root: encodeListDirectory({ appliedChange, chunkCount: firstIndex + parts.length }),
    chunks: parts.map((part, index) => ({ index: firstIndex + index, row: encodeListChunk(part) })),
  };
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function cut(): CorruptionError {
  return new CorruptionError("a list row is cut", "row", 0);
}
