// A version edit: one change of the set of live SSTs, one record of MANIFEST (db/version_edit.cc).
// Page: docs/formats/leveldb-directory.md#version-edit.
import { readVarint, varintBytes, writeVarint } from "../common/varint.ts";
import type { Cursor } from "../common/varint.ts";
import { CorruptionError } from "../errors.ts";

/** The only comparator that classic-level can open. */
export const LEVELDB_COMPARATOR = "leveldb.BytewiseComparator";

/** On disk. LevelDB retired 8. */
const Tag = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  prevLogNumber: 9,
} as const;

/** A live SST. The bounds are internal keys of entries that exist, tombstones included. */
export interface LevelFile {
  readonly number: number;
  readonly level: number;
  readonly sizeBytes: number;
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
}

/** Fields that are undefined keep their value. Deletions apply before additions. */
export interface VersionEdit {
  readonly comparator?: string | undefined;
  readonly logNumber?: number | undefined;
  readonly prevLogNumber?: number | undefined;
  readonly nextFile?: number | undefined;
  readonly lastSequence?: number | undefined;
  readonly compactPointers: readonly { readonly level: number; readonly key: Uint8Array }[];
  readonly deletedFiles: readonly { readonly level: number; readonly number: number }[];
  readonly newFiles: readonly LevelFile[];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** In the order in which LevelDB writes the fields. */
export function encodeVersionEdit(edit: VersionEdit): Uint8Array {
  const parts: Uint8Array[] = [];
  const number = (value: number): void => {
    const bytes = new Uint8Array(varintBytes(value));
    writeVarint(bytes, 0, value);
    parts.push(bytes);
  };
  const field = (tag: number, value: number | undefined): void => {
    if (value === undefined) return;
    number(tag);
    number(value);
  };
  const prefixed = (bytes: Uint8Array): void => {
    number(bytes.length);
    parts.push(bytes);
  };
  if (edit.comparator !== undefined) {
    number(Tag.comparator);
    prefixed(Buffer.from(edit.comparator, "latin1"));
  }
  field(Tag.logNumber, edit.logNumber);
  field(Tag.prevLogNumber, edit.prevLogNumber);
  field(Tag.nextFile, edit.nextFile);
  field(Tag.lastSequence, edit.lastSequence);
  for (const pointer of edit.compactPointers) {
    field(Tag.compactPointer, pointer.level);
    prefixed(pointer.key);
  }
  for (const file of edit.deletedFiles) {
    field(Tag.deletedFile, file.level);
    number(file.number);
  }
  for (const file of edit.newFiles) {
    field(Tag.newFile, file.level);
    number(file.number);
    number(file.sizeBytes);
    prefixed(file.smallest);
    prefixed(file.largest);
  }
  return Buffer.concat(parts);
}

/** Decodes a record that ends at `endOffset` of `file`. Numbers above 2^53-1 are refused. */
export function decodeVersionEdit(
  record: Uint8Array,
  file: string,
  endOffset: number,
): VersionEdit {
  const corrupt = (message: string, cause?: unknown): CorruptionError =>
    new CorruptionError(message, file, endOffset - record.length, { cause });
  const cursor: Cursor = { offset: 0 };
  const number = (): number => readVarint(record, cursor, record.length);
  const prefixed = (): Uint8Array => {
    const start = cursor.offset;
    const length = number();
    const end = cursor.offset + length;
    if (end > record.length) throw new CorruptionError("a field is cut", file, start);
    cursor.offset = end;
    return new Uint8Array(record.subarray(end - length, end)); // Keeps no MANIFEST in memory.
  };
  try {
    return decodeFields(record.length, cursor, number, prefixed);
  } catch (error) {
    if (error instanceof UnknownTag) throw corrupt("a version edit has an unknown tag", error);
    throw corrupt("a version edit is cut or holds a number above 2^53-1", error);
  }
}

class UnknownTag extends Error {}

function decodeFields(
  end: number,
  cursor: Cursor,
  number: () => number,
  prefixed: () => Uint8Array,
): VersionEdit {
  const compactPointers: { level: number; key: Uint8Array }[] = [];
  const deletedFiles: { level: number; number: number }[] = [];
  const newFiles: LevelFile[] = [];
  const edit: Writable<VersionEdit> = { compactPointers, deletedFiles, newFiles };
  while (cursor.offset < end) {
    const tag = number();
    switch (tag) {
      case Tag.comparator:
        edit.comparator = Buffer.from(prefixed()).toString("latin1");
        break;
      case Tag.logNumber:
        edit.logNumber = number();
        break;
      case Tag.prevLogNumber:
        edit.prevLogNumber = number();
        break;
      case Tag.nextFile:
        edit.nextFile = number();
        break;
      case Tag.lastSequence:
        edit.lastSequence = number();
        break;
      case Tag.compactPointer:
        compactPointers.push({ level: number(), key: prefixed() });
        break;
      case Tag.deletedFile:
        deletedFiles.push({ level: number(), number: number() });
        break;
      case Tag.newFile:
        newFiles.push({
          level: number(),
          number: number(),
          sizeBytes: number(),
          smallest: prefixed(),
          largest: prefixed(),
        });
        break;
      default:
        throw new UnknownTag(String(tag));
    }
  }
  return edit;
}
