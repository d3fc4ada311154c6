// Stored rows: what LevelDB, dumps and prefetch results hold for one row key.
// Page: docs/formats/row.md.
//
//   byte 0   bits 0-3 RowKind | bits 4-6 zero | bit 7 expiry follows (reserved: no writer sets it)
//   then     the payload of the kind
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";

/** On disk: never renumber, only add. */
export const RowKind = {
  /** Serializer bytes of a value, reducing or aggregating state. */
  value: 1,
  /** A whole list: list-row.ts. */
  listPacked: 2,
  /** Where the chunks of a long list are. */
  listDirectory: 3,
  /** Some consecutive elements of a long list. */
  listChunk: 4,
  /** A whole map: map-row.ts. */
  mapPacked: 5,
  /** Root of a large map: separators and children. */
  mapRoot: 6,
  /** Some consecutive entries of a large map. */
  mapLeaf: 7,
  /** Between root and leaves of a very large map. */
  mapInner: 8,
} as const;
export type RowKind = (typeof RowKind)[keyof typeof RowKind];

/** Refuses header bytes this version does not know. `row` includes the header byte. */
export function checkRowHeader(row: Uint8Array): RowKind {
  const header = row[0];
  if (header === undefined) throw new CorruptionError("a stored row is empty", "row", 0);
  return checkRowHeaderByte(header);
}

export function checkRowHeaderByte(header: number): RowKind {
  if ((header & 0x80) !== 0) {
    throw new UnsupportedFormatError("a stored row expires", "row expiry", "rows without expiry");
  }
  if (header < RowKind.value || header > RowKind.mapInner) {
    throw new UnsupportedFormatError(
      "a stored row is of an unknown kind",
      String(header),
      "1 to 8",
    );
  }
  return header as RowKind;
}
