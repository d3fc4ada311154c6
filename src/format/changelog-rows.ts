// Net changes in a frame of a changelog segment. Page: docs/formats/changelog-segment.md.
//   L1. Rows fill the raw bytes of a frame exactly.
import { readVarint } from "../common/varint.ts";
import type { Cursor } from "../common/varint.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";

/** On disk: never renumber, only add. */
export const ChangeKind = {
  /** Replaces the row. Value: the stored row, header byte included. */
  put: 1,
  /** Removes the row. */
  delete: 2,
  /** Adds elements to a list, whatever is there. Value: the elements. */
  append: 3,
} as const;
export type ChangeKind = (typeof ChangeKind)[keyof typeof ChangeKind];

/** Largest row key, and largest value of a change. */
export const CHANGE_KEY_BYTES_MAX = 12_288;
export const CHANGE_VALUE_BYTES_MAX = 524_288;
/** Shortest encoded row key: key group, state id, part and key tag. */
const KEY_BYTES_MIN = 8;

/** One net change. The arrays are views: copy what is kept. */
export type VisitChange = (
  kind: ChangeKind,
  key: Uint8Array,
  value: Uint8Array,
  offset: number,
) => void;

/** Calls `visit` for each change in a frame's raw bytes; `offset` is that of the change in `rows`. */
export function readChanges(
  rows: Uint8Array,
  file: string,
  fileOffset: number,
  visit: VisitChange,
): void {
  const cursor: Cursor = { offset: 0 };
  while (cursor.offset < rows.length) {
    const start = cursor.offset;
    const kind = kindOf(rows[cursor.offset++]!, file);
    const key = piece(rows, cursor, CHANGE_KEY_BYTES_MAX, file, fileOffset);
    if (key.length < KEY_BYTES_MIN) {
      throw new CorruptionError("a change has a key that is too short", file, fileOffset);
    }
    const value =
      kind === ChangeKind.delete
        ? rows.subarray(cursor.offset, cursor.offset)
        : piece(rows, cursor, CHANGE_VALUE_BYTES_MAX, file, fileOffset);
    if (kind !== ChangeKind.delete && value.length === 0) {
      throw new CorruptionError("a change has no value", file, fileOffset);
    }
    visit(kind, key, value, start);
  }
}

function kindOf(byte: number, file: string): ChangeKind {
  if (byte === ChangeKind.put || byte === ChangeKind.delete || byte === ChangeKind.append) {
    return byte;
  }
  throw new UnsupportedFormatError(`changelog segment ${file}`, `change ${byte}`, "changes 1 to 3");
}

function piece(
  rows: Uint8Array,
  cursor: Cursor,
  lengthMax: number,
  file: string,
  fileOffset: number,
): Uint8Array {
  const length = readVarint(rows, cursor, rows.length);
  const start = cursor.offset;
  if (length > lengthMax || start + length > rows.length) {
    throw new CorruptionError("a change reaches beyond its frame", file, fileOffset); // L1
  }
  cursor.offset = start + length;
  return rows.subarray(start, start + length);
}
