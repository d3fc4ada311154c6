// Net changes in a frame of a changelog segment. Page: docs/formats/changelog-segment.md.
//   L1. Rows fill the raw bytes of a frame exactly.
import { readVarint } from "../common/varint.ts";
import type { Cursor } from "../common/varint.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";
import { ROW_KEY_PREFIX_BYTES } from "./key-codec.ts";

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
/** Shortest change: kind, length of the key, the prefix of a row key and one byte of a key. */
export const CHANGE_BYTES_MIN: number = ROW_KEY_PREFIX_BYTES + 3;

/** One net change. The arrays are views: copy what is kept. */
export type VisitChange = (
  kind: ChangeKind,
  key: Uint8Array,
  value: Uint8Array,
  offset: number,
) => void;

/** One net change as offsets in the frame's raw bytes; without a value both are `keyEnd`. */
export type VisitChangeAt = (
  kind: ChangeKind,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
  offset: number,
) => void;

/** Calls `visit` for each change in a frame's raw bytes; `offset` is that of the change in `rows`. */
export function readChanges(
  rows: Uint8Array,
  file: string,
  fileOffset: number,
  visit: VisitChange,
): void {
  readChangesAt(rows, file, fileOffset, (kind, keyStart, keyEnd, valueStart, valueEnd, offset) => {
    visit(kind, rows.subarray(keyStart, keyEnd), rows.subarray(valueStart, valueEnd), offset);
  });
}

/** As `readChanges`, for those who read millions: nothing is allocated for a change. */
export function readChangesAt(
  rows: Uint8Array,
  file: string,
  fileOffset: number,
  visit: VisitChangeAt,
): void {
  const cursor: Cursor = { offset: 0 };
  while (cursor.offset < rows.length) {
    const start = cursor.offset;
    const kind = kindOf(rows[cursor.offset++]!, file);
    const keyStart = startOfPiece(rows, cursor, CHANGE_KEY_BYTES_MAX, file, fileOffset);
    const keyEnd = cursor.offset;
    if (keyEnd - keyStart <= ROW_KEY_PREFIX_BYTES) {
      throw new CorruptionError("a change has a key that is too short", file, fileOffset);
    }
    const hasValue = kind !== ChangeKind.delete;
    const valueStart = hasValue
      ? startOfPiece(rows, cursor, CHANGE_VALUE_BYTES_MAX, file, fileOffset)
      : keyEnd;
    if (hasValue && cursor.offset === valueStart) {
      throw new CorruptionError("a change has no value", file, fileOffset);
    }
    visit(kind, keyStart, keyEnd, valueStart, cursor.offset, start);
  }
}

function kindOf(byte: number, file: string): ChangeKind {
  if (byte === ChangeKind.put || byte === ChangeKind.delete || byte === ChangeKind.append) {
    return byte;
  }
  throw new UnsupportedFormatError(`changelog segment ${file}`, `change ${byte}`, "changes 1 to 3");
}

/** Reads a length, passes over so many bytes, and returns where they begin. */
function startOfPiece(
  rows: Uint8Array,
  cursor: Cursor,
  lengthMax: number,
  file: string,
  fileOffset: number,
): number {
  const length = readLength(rows, cursor, file, fileOffset);
  const start = cursor.offset;
  if (length > lengthMax || start + length > rows.length) {
    throw new CorruptionError("a change reaches beyond its frame", file, fileOffset); // L1
  }
  cursor.offset = start + length;
  return start;
}

function readLength(rows: Uint8Array, cursor: Cursor, file: string, fileOffset: number): number {
  try {
    return readVarint(rows, cursor, rows.length);
  } catch (cause) {
    // It knows neither file nor offset.
    throw new CorruptionError("a length in a change is cut or too long", file, fileOffset, {
      cause,
    });
  }
}
