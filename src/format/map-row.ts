// Rows of a map. Page: docs/formats/row.md#maps.
//
//   mapPacked, mapLeaf   u8 header | entries
//   mapRoot              u8 header | u32 nextNode | u8 height | children
//   mapInner             u8 header | children
//   entries              (varint keyBytes | varint valueBytes | key | value)*, ascending keys
//   children             (u32 node | varint keyBytes | key)*, ascending keys
//
// A small map is one packed row; a large one is a B+tree: a child covers the keys from its own on,
// up to the next child's. Height 1: the children are leaves; above, inner nodes. Node numbers are
// the suffix of the row key, are handed out by nextNode and never used again while the map lives.
//   M1. A map without entries has no rows; no leaf and no inner node is empty.
//   M2. The first child's key is empty, so that every key has a child.
// Hot: works on ranges of any byte array, without copies. Guarded by bench/state.
import { readVarint, varintBytes, writeVarint } from "../common/varint.ts";
import { CorruptionError } from "../errors.ts";

/** Payload above which a packed map becomes a tree. */
export const MAP_PACKED_BYTES_MAX = 2048;
/** Payload above which a leaf is split, unless it holds one entry. */
export const MAP_LEAF_BYTES_MAX = 2048;
/** A leaf below this is merged with a neighbour if both fit half a leaf. */
export const MAP_LEAF_BYTES_MIN = 512;
/** A tree whose only leaf is below this becomes packed again. */
export const MAP_UNPACK_BYTES = 1024;
/** Payload above which a root or inner node is split. */
export const MAP_DIRECTORY_BYTES_MAX = 4096;
export const MAP_ROOT_HEADER_BYTES = 5;

/** Where a search ended. Reused: no allocation. Offsets are those of the array searched. */
export class EntryPosition {
  isFound = false;
  /** Start of the entry, or where it would be inserted. */
  offset = 0;
  keyOffset = 0;
  keyBytes = 0;
  valueOffset = 0;
  valueBytes = 0;
  /** Just past the entry. */
  end = 0;
}

/** Parses the entry at `offset`, which must lie below `limit`. */
export function readEntry(
  data: Uint8Array,
  offset: number,
  limit: number,
  into: EntryPosition,
): void {
  let keyBytes = data[offset]!;
  let valueBytes = data[offset + 1]!;
  let at = offset + 2;
  if ((keyBytes | valueBytes) >= 128) {
    const cursor = { offset };
    keyBytes = readVarint(data, cursor, limit);
    valueBytes = readVarint(data, cursor, limit);
    at = cursor.offset;
  }
  into.offset = offset;
  into.keyOffset = at;
  into.keyBytes = keyBytes;
  into.valueOffset = at + keyBytes;
  into.valueBytes = valueBytes;
  into.end = at + keyBytes + valueBytes;
  if (into.end > limit) throw new CorruptionError("a map entry is cut", "row", offset);
}

/** Order of the key at `offset` relative to `key`: negative, zero or positive. */
export function compareKeyAt(
  data: Uint8Array,
  offset: number,
  bytes: number,
  key: Uint8Array,
  keyBytes: number,
): number {
  return compareKeys(data, offset, bytes, key, 0, keyBytes);
}

/** Order of two keys, each somewhere in an array: negative, zero or positive. */
export function compareKeys(
  data: Uint8Array,
  offset: number,
  bytes: number,
  other: Uint8Array,
  otherOffset: number,
  otherBytes: number,
): number {
  const common = bytes < otherBytes ? bytes : otherBytes;
  for (let index = 0; index < common; index++) {
    const difference = data[offset + index]! - other[otherOffset + index]!;
    if (difference !== 0) return difference;
  }
  return bytes - otherBytes;
}

/**
 * Finds a key among the entries in [start, end). `view` is of the same bytes as `data`: entries are
 * passed by comparing four bytes at a time, and only the last one looked at is written to `into`.
 */
export function findEntry(
  data: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  key: Uint8Array,
  keyOffset: number,
  keyBytes: number,
  into: EntryPosition,
): boolean {
  const firstWord = keyBytes >= 4 ? bigEndianAt(key, keyOffset) : -1;
  const secondWord = keyBytes >= 8 ? bigEndianAt(key, keyOffset + 4) : -1;
  let offset = secondWord >= 0 ? passEqualLengths(view, start, end, firstWord, secondWord) : start;
  while (offset < end) {
    const bytes = data[offset]!;
    const valueBytes = data[offset + 1]!;
    const next = offset + 2 + bytes + valueBytes;
    if (firstWord >= 0 && bytes >= 4 && (bytes | valueBytes) < 128 && next <= end) {
      const word = view.getUint32(offset + 2);
      let order = word - firstWord;
      if (order === 0 && secondWord >= 0 && bytes >= 8) {
        order = view.getUint32(offset + 6) - secondWord;
      }
      if (order < 0) {
        offset = next;
        continue;
      }
    }
    readEntry(data, offset, end, into);
    const isOfWords = keyBytes === 8 && into.keyBytes === 8;
    const order = isOfWords
      ? view.getUint32(into.keyOffset) - firstWord ||
        view.getUint32(into.keyOffset + 4) - secondWord
      : compareKeys(data, into.keyOffset, into.keyBytes, key, keyOffset, keyBytes);
    if (order >= 0) {
      into.isFound = order === 0;
      return into.isFound;
    }
    offset = into.end;
  }
  into.isFound = false;
  into.offset = end;
  into.end = end;
  return false;
}

/**
 * Passes entries below a key of eight bytes or more while they are as long as the first one. Where
 * the next one is then does not depend on what is read, so that cache misses overlap.
 */
function passEqualLengths(
  view: DataView,
  start: number,
  end: number,
  firstWord: number,
  secondWord: number,
): number {
  if (start + 2 > end) return start;
  const lengths = view.getUint16(start, true);
  const bytes = lengths & 0xff;
  if (bytes < 8 || (lengths & 0x8080) !== 0) return start;
  const stride = 2 + bytes + (lengths >>> 8);
  let offset = start;
  for (; offset + stride <= end; offset += stride) {
    if (view.getUint16(offset, true) !== lengths) break;
    const word = view.getUint32(offset + 2);
    if (word > firstWord) break;
    if (word === firstWord && view.getUint32(offset + 6) >= secondWord) break;
  }
  return offset;
}

function bigEndianAt(data: Uint8Array, at: number): number {
  return ((data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!) >>> 0;
}

export function entryBytes(keyBytes: number, valueBytes: number): number {
  return varintBytes(keyBytes) + varintBytes(valueBytes) + keyBytes + valueBytes;
}

/** Writes an entry; the caller has made room. */
export function writeEntry(
  data: Uint8Array,
  offset: number,
  key: Uint8Array,
  keyBytes: number,
  value: Uint8Array,
  valueBytes: number,
): void {
  let at = writeVarint(data, offset, keyBytes);
  at = writeVarint(data, at, valueBytes);
  for (let index = 0; index < keyBytes; index++) data[at + index] = key[index]!;
  at += keyBytes;
  if (valueBytes > 128) data.set(value.subarray(0, valueBytes), at);
  else for (let index = 0; index < valueBytes; index++) data[at + index] = value[index]!;
}

/**
 * Splits entries into parts of at most about half of `limitBytes`, each with at least one entry.
 * Copies. At least two parts if there are two entries.
 */
export function splitEntries(entries: Uint8Array, limitBytes: number): Uint8Array[] {
  const target = Math.min(limitBytes / 2, entries.length / 2);
  const parts: Uint8Array[] = [];
  const entry = new EntryPosition();
  let start = 0;
  for (let offset = 0; offset < entries.length; offset = entry.end) {
    readEntry(entries, offset, entries.length, entry);
    const isLast = entry.end === entries.length;
    const isOver = entry.end - start > target;
    // Cut before an entry that would overshoot by more than the part falls short.
    if (isOver && offset > start && entry.end - start - target > target - (offset - start)) {
      parts.push(entries.slice(start, offset));
      start = offset;
    } else if (isOver && !isLast) {
      parts.push(entries.slice(start, entry.end));
      start = entry.end;
    }
  }
  if (start < entries.length) parts.push(entries.slice(start));
  return parts;
}

/** First key of a run of entries, copied. */
export function firstKey(entries: Uint8Array): Uint8Array {
  const entry = new EntryPosition();
  readEntry(entries, 0, entries.length, entry);
  return new Uint8Array(entries.subarray(entry.keyOffset, entry.keyOffset + entry.keyBytes));
}

export interface MapChild {
  readonly node: number;
  readonly key: Uint8Array;
}

export interface MapRoot {
  readonly nextNode: number;
  readonly height: number;
  readonly children: readonly MapChild[];
}

export function encodeChildren(children: readonly MapChild[]): Uint8Array {
  let length = 0;
  for (const { key } of children) length += 4 + varintBytes(key.length) + key.length;
  const data = new Uint8Array(length);
  const view = new DataView(data.buffer);
  let at = 0;
  for (const { node, key } of children) {
    view.setUint32(at, node, true);
    at = writeVarint(data, at + 4, key.length);
    data.set(key, at);
    at += key.length;
  }
  return data;
}

export function decodeChildren(data: Uint8Array): MapChild[] {
  const children: MapChild[] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const cursor = { offset: 0 };
  while (cursor.offset < data.length) {
    if (cursor.offset + 5 > data.length) throw cut(cursor.offset);
    const node = view.getUint32(cursor.offset, true);
    cursor.offset += 4;
    const length = readVarint(data, cursor, data.length);
    if (cursor.offset + length > data.length) throw cut(cursor.offset);
    // Not slice: a Buffer's is a view.
    const key = new Uint8Array(data.subarray(cursor.offset, cursor.offset + length));
    children.push({ node, key });
    cursor.offset += length;
  }
  if (children.length === 0) throw cut(0); // M1
  return children;
}

/** Root payload, header byte excluded. */
export function encodeMapRoot(root: MapRoot): Uint8Array {
  const children = encodeChildren(root.children);
  const data = new Uint8Array(MAP_ROOT_HEADER_BYTES + children.length);
  new DataView(data.buffer).setUint32(0, root.nextNode, true);
  data[4] = root.height;
  data.set(children, MAP_ROOT_HEADER_BYTES);
  return data;
}

export function decodeMapRoot(data: Uint8Array): MapRoot {
  if (data.length < MAP_ROOT_HEADER_BYTES) throw cut(0);
  const height = data[4]!;
  if (height < 1 || height > 8) throw new CorruptionError("a map tree has no height", "row", 4);
  return {
    nextNode: new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(0, true),
    height,
    children: decodeChildren(data.subarray(MAP_ROOT_HEADER_BYTES)),
  };
}

/**
 * Node of the child that covers `key` among the children in [start, end). Hot for large maps.
 */
export function childFor(
  data: Uint8Array,
  start: number,
  end: number,
  key: Uint8Array,
  keyBytes: number,
): number {
  let at = start;
  let found = start;
  while (at < end) {
    let length = data[at + 4]!;
    let keyAt = at + 5;
    if (length >= 128) {
      const cursor = { offset: at + 4 };
      length = readVarint(data, cursor, end);
      keyAt = cursor.offset;
    }
    if (at > start && compareKeyAt(data, keyAt, length, key, keyBytes) > 0) break;
    found = at;
    at = keyAt + length;
  }
  if (at > end || found + 5 > end) throw cut(found);
  return (
    (data[found]! |
      (data[found + 1]! << 8) |
      (data[found + 2]! << 16) |
      (data[found + 3]! << 24)) >>>
    0
  );
}

function cut(offset: number): CorruptionError {
  return new CorruptionError("a map node is cut", "row", offset);
}
