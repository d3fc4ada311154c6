// LevelDB's table files: what clipping needs to read and write of them, nothing of their use.
// Page: docs/formats/leveldb-table.md.
//   T1. A block's checksum is verified before its content is looked at.
//   T2. Keys of a block ascend strictly; so do those of the index.
//   T3. Keys take no more than restarts every 16 entries allow: a forged block cannot fill memory.
//   T4. Restarts are where entries are that share nothing: LevelDB seeks from them without looking.
import { assert } from "../common/assert.ts";
import { type Cursor, readVarint, varintBytes, writeVarint } from "../common/varint.ts";
import { CorruptionError } from "../errors.ts";
import { crc32c, maskCrc } from "./leveldb-crc32c.ts";
import { INTERNAL_KEY_TRAILER_BYTES, compareInternalKeys } from "./leveldb-internal-key.ts";
import { decodeSnappy } from "./snappy.ts";

export const TABLE_FOOTER_BYTES = 48;
const HANDLES_BYTES = 40;
const MAGIC: Uint8Array = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb);
const FILTER_NAME = "filter.leveldb.BuiltinBloomFilter2";
/** Type and checksum, after each block. */
export const BLOCK_TRAILER_BYTES = 5;
export const BlockType = { raw: 0, snappy: 1 } as const;
/** Far above what a block size of 4 MiB and the largest row give. */
export const BLOCK_BYTES_MAX = 67_108_864;
const DATA_RESTART_INTERVAL = 16;

export interface BlockHandle {
  readonly offset: number;
  /** Without the trailer. */
  readonly length: number;
}

export interface BlockEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface TableFooter {
  readonly metaindex: BlockHandle;
  readonly index: BlockHandle;
}

/** `footer` is the last 48 bytes of a file of `fileBytes`. */
export function readFooter(footer: Uint8Array, fileBytes: number, file: string): TableFooter {
  const at = fileBytes - TABLE_FOOTER_BYTES;
  if (footer.length !== TABLE_FOOTER_BYTES || Buffer.compare(footer.subarray(40), MAGIC) !== 0) {
    throw new CorruptionError("not a LevelDB table", file, Math.max(0, at));
  }
  const cursor = { offset: 0 };
  const metaindex = readHandle(footer, cursor, HANDLES_BYTES, at, file);
  const index = readHandle(footer, cursor, HANDLES_BYTES, at, file);
  const numbers = [metaindex.offset, metaindex.length, index.offset, index.length];
  const bytes = numbers.reduce((sum, number) => sum + varintBytes(number), 0);
  const isShortest = cursor.offset === bytes; // Not so if a flipped bit lets padding go on a number.
  if (!isShortest || footer.subarray(bytes, HANDLES_BYTES).some((byte) => byte !== 0)) {
    throw new CorruptionError("the padding of a footer is not zero", file, at + cursor.offset);
  }
  return { metaindex, index };
}

/** The handle of what the metaindex names: the filter block, if there is one, and nothing else. */
export function readMetaindex(
  content: Uint8Array,
  metaindex: BlockHandle,
  file: string,
): BlockHandle | undefined {
  const entries = readPlainEntries(content, metaindex.offset, file);
  const [entry] = entries;
  if (entry === undefined) return undefined;
  if (entries.length > 1 || Buffer.from(entry.key).toString("latin1") !== FILTER_NAME) {
    throw new CorruptionError("a metaindex names more than a filter", file, metaindex.offset);
  }
  const cursor = { offset: 0 };
  const { length } = entry.value;
  return readHandle(entry.value, cursor, length, metaindex.offset, file);
}

function readHandle(
  bytes: Uint8Array,
  cursor: Cursor,
  end: number,
  limit: number,
  file: string,
): BlockHandle {
  const offset = readVarint(bytes, cursor, end);
  const length = readVarint(bytes, cursor, end);
  if (length > BLOCK_BYTES_MAX || offset + length + BLOCK_TRAILER_BYTES > limit) {
    throw new CorruptionError("a block reaches beyond its file", file, Math.min(offset, limit));
  }
  return { offset, length };
}

/** CorruptionError unless these are a block's stored bytes, trailer included, as they were written. */
export function checkBlock(stored: Uint8Array, handle: BlockHandle, file: string): void {
  const { length, offset } = handle;
  if (stored.length !== length + BLOCK_TRAILER_BYTES) {
    throw new CorruptionError("a block is cut", file, offset);
  }
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  if (view.getUint32(length + 1, true) === maskCrc(crc32c(stored, 0, length + 1))) return;
  throw new CorruptionError("the checksum of a block does not match", file, offset); // T1
}

/** Raw content of a block from its stored bytes, trailer included. */
export function decodeBlock(stored: Uint8Array, handle: BlockHandle, file: string): Uint8Array {
  checkBlock(stored, handle, file);
  return decodeHashedBlock(stored, handle, file);
}

/** As `decodeBlock`, of a file whose SHA-256 is compared as a whole: its checksums say nothing more. */
export function decodeHashedBlock(
  stored: Uint8Array,
  handle: BlockHandle,
  file: string,
): Uint8Array {
  const { length, offset } = handle;
  if (stored.length !== length + BLOCK_TRAILER_BYTES) {
    throw new CorruptionError("a block is cut", file, offset);
  }
  const content = stored.subarray(0, length);
  const type = stored[length]!;
  if (type === BlockType.raw) return content;
  if (type === BlockType.snappy) return decodeSnappy(content, BLOCK_BYTES_MAX, file);
  throw new CorruptionError(`block type ${type} is not known`, file, offset);
}

/** All entries of a block of internal keys. Keys are copies, values are views of the content. */
export function readEntries(content: Uint8Array, offset: number, file: string): BlockEntry[] {
  const entries = readPlainEntries(content, offset, file);
  for (const [index, { key }] of entries.entries()) {
    if (key.length < INTERNAL_KEY_TRAILER_BYTES) {
      throw new CorruptionError("a key is shorter than its trailer", file, offset);
    }
    if (index === 0 || compareInternalKeys(entries[index - 1]!.key, key) < 0) continue;
    throw new CorruptionError("keys do not ascend", file, offset); // T2
  }
  return entries;
}

/** Entries whatever their keys are. */
function readPlainEntries(content: Uint8Array, offset: number, file: string): BlockEntry[] {
  const refuse = (message: string): never => {
    throw new CorruptionError(message, file, offset);
  };
  if (content.length < 4) refuse("a block has no restarts");
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const restarts = view.getUint32(content.length - 4, true);
  const end = content.length - 4 - restarts * 4;
  if (end < 0) refuse("the restarts of a block are cut");
  const entries: BlockEntry[] = [];
  const cursor = { offset: 0 };
  let before = new Uint8Array(0);
  let keyBytes = 0;
  let passed = 0;
  while (cursor.offset < end) {
    const isRestart = passed < restarts && view.getUint32(end + passed * 4, true) === cursor.offset;
    if (isRestart) passed++;
    const shared = readVarint(content, cursor, end);
    const own = readVarint(content, cursor, end);
    const valueBytes = readVarint(content, cursor, end);
    const valueAt = cursor.offset + own;
    if (shared > before.length || valueAt + valueBytes > end) refuse("an entry is cut");
    const isMisplaced = isRestart ? shared > 0 : entries.length === 0;
    if (isMisplaced) refuse("a restart is not at an entry"); // T4
    keyBytes += shared + own;
    if (keyBytes > DATA_RESTART_INTERVAL * content.length) refuse("keys share too much"); // T3
    const key = new Uint8Array(shared + own);
    key.set(before.subarray(0, shared));
    key.set(content.subarray(cursor.offset, valueAt), shared);
    entries.push({ key, value: content.subarray(valueAt, valueAt + valueBytes) });
    cursor.offset = valueAt + valueBytes;
    before = key;
  }
  const isEmpty = entries.length === 0 && restarts === 1 && view.getUint32(end, true) === 0;
  if (restarts < 1 || (passed < restarts && !isEmpty)) refuse("a restart is not at an entry"); // T4
  return entries;
}

/** One entry of an index: the block's handle, and a key not before its last one. */
export interface IndexEntry {
  readonly key: Uint8Array;
  readonly handle: BlockHandle;
}

/** The data blocks of a table, which lie one after the other from its start. */
export function readIndex(
  content: Uint8Array,
  index: BlockHandle,
  file: string,
): readonly IndexEntry[] {
  let end = 0;
  return readEntries(content, index.offset, file).map(({ key, value }) => {
    const cursor = { offset: 0 };
    const handle = readHandle(value, cursor, value.length, index.offset, file);
    if (handle.offset < end) {
      throw new CorruptionError("data blocks overlap", file, handle.offset);
    }
    end = handle.offset + handle.length + BLOCK_TRAILER_BYTES;
    return { key, handle };
  });
}

/** A raw block of these entries, trailer included. */
export function encodeBlock(entries: readonly BlockEntry[], interval: number): Uint8Array {
  let bytes = 8;
  for (const { key, value } of entries) bytes += 20 + key.length + value.length;
  const block = new Uint8Array(bytes + 4 * Math.ceil(entries.length / interval) + 5);
  const view = new DataView(block.buffer);
  const restarts: number[] = entries.length === 0 ? [0] : [];
  let at = 0;
  entries.forEach(({ key, value }, index) => {
    let shared = 0;
    if (index % interval === 0) restarts.push(at);
    else shared = sharedBytes(entries[index - 1]!.key, key);
    at = writeVarint(block, at, shared);
    at = writeVarint(block, at, key.length - shared);
    at = writeVarint(block, at, value.length);
    block.set(key.subarray(shared), at);
    at += key.length - shared;
    block.set(value, at);
    at += value.length;
  });
  for (const restart of [...restarts, restarts.length]) {
    view.setUint32(at, restart, true);
    at += 4;
  }
  block[at] = BlockType.raw;
  view.setUint32(at + 1, maskCrc(crc32c(block, 0, at + 1)), true);
  return block.subarray(0, at + BLOCK_TRAILER_BYTES);
}

export function encodeDataBlock(entries: readonly BlockEntry[]): Uint8Array {
  return encodeBlock(entries, DATA_RESTART_INTERVAL);
}

/** What follows the data blocks, which end at `offset`: empty metaindex, index, footer. */
export function encodeTableEnd(entries: readonly IndexEntry[], offset: number): Uint8Array {
  const metaindex = encodeBlock([], DATA_RESTART_INTERVAL);
  const index = encodeBlock(
    entries.map(({ key, handle }) => ({ key, value: encodeHandle(handle) })),
    1,
  );
  const footer = new Uint8Array(TABLE_FOOTER_BYTES);
  const metaHandle = encodeHandle({ offset, length: metaindex.length - BLOCK_TRAILER_BYTES });
  const indexHandle = encodeHandle({
    offset: offset + metaindex.length,
    length: index.length - BLOCK_TRAILER_BYTES,
  });
  footer.set(metaHandle);
  footer.set(indexHandle, metaHandle.length);
  assert(metaHandle.length + indexHandle.length <= HANDLES_BYTES, "handles do not fit a footer");
  footer.set(MAGIC, HANDLES_BYTES);
  const end = new Uint8Array(metaindex.length + index.length + footer.length);
  end.set(metaindex);
  end.set(index, metaindex.length);
  end.set(footer, metaindex.length + index.length);
  return end;
}

function encodeHandle({ offset, length }: BlockHandle): Uint8Array {
  const bytes = new Uint8Array(varintBytes(offset) + varintBytes(length));
  writeVarint(bytes, writeVarint(bytes, 0, offset), length);
  return bytes;
}

function sharedBytes(before: Uint8Array, key: Uint8Array): number {
  const limit = Math.min(before.length, key.length);
  let shared = 0;
  while (shared < limit && before[shared] === key[shared]) shared++;
  return shared;
}
