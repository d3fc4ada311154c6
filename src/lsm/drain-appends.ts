// Blind list appends: records that only say what to add. The drain reads what is below and merges.
// Value of such a record: u32 previous reference, u32 its generation (memory/'s own), then elements.
import { mergeAppends } from "../format/list-row.ts";
import type { ListAppend, ListRows } from "../format/list-row.ts";
import { RecordFlag } from "../format/row-record.ts";
import type { RowReader } from "./row-reader.ts";

const APPEND_HEADER_BYTES = 8;
/** Where a row key says which part of a collection it is: docs/formats/row-key.md. */
const PART_OFFSET = 6;
const CHUNK_PART = 1;

/** What the records of one key come to. */
export interface MergedAppends {
  /** Undefined: nothing is to be added to `whole`. */
  readonly rows: ListRows | undefined;
  /** The newest whole row or tombstone of the group, if there is one: it hides what is below. */
  readonly whole: number | undefined;
}

/**
 * Merges the records of one key, oldest first, at least one of them an append. A whole row or a
 * tombstone hides everything before it; without one, `getRoot` reads the root row below.
 */
export function mergeAppendGroup(
  references: Int32Array,
  words: Int32Array,
  changeNumberOf: (reference: number) => number,
  reader: RowReader,
  getRoot: () => Uint8Array | undefined,
): MergedAppends {
  let appends: ListAppend[] = [];
  let whole: number | undefined;
  for (const reference of references) {
    if ((words[reference * 2 + 1]! & RecordFlag.append) === 0) {
      whole = reference;
      appends = [];
      continue;
    }
    appends.push({
      changeNumber: changeNumberOf(reference),
      elements: reader.payload(reference).slice(APPEND_HEADER_BYTES),
    });
  }
  if (appends.length === 0) return { rows: undefined, whole };
  if (whole === undefined) return { rows: mergeAppends(getRoot(), appends), whole };
  const isRemoved = (words[whole * 2 + 1]! & RecordFlag.tombstone) !== 0;
  const root = isRemoved ? undefined : reader.row(whole).slice();
  return { rows: mergeAppends(root, appends), whole };
}

/** Key of a chunk row of the list whose root row has this key. */
export function listChunkKey(rootKey: Uint8Array, index: number): Uint8Array {
  const key = new Uint8Array(rootKey.length + 4);
  key.set(rootKey);
  key[PART_OFFSET] = CHUNK_PART;
  new DataView(key.buffer).setUint32(rootKey.length, index, false);
  return key;
}
