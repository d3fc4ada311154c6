// Keys from root rows.
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import { KEY_TAG_OFFSET, PART_OFFSET, RowPart, decodeKey } from "../format/key-codec.ts";

/** First seven bytes of a row key: everything before the key itself. */
export function rowPrefix(keyGroup: number, stateId: number, part: number): Uint8Array {
  const prefix = new Uint8Array(PART_OFFSET + 1);
  const view = new DataView(prefix.buffer);
  view.setUint16(0, keyGroup);
  view.setUint32(2, stateId);
  prefix[PART_OFFSET] = part;
  return prefix;
}

/** The ranges of a state's root rows, one for each key group. */
export function stateRanges(
  keyGroups: KeyGroupRange,
  stateId: number,
): { readonly gte: Uint8Array; readonly lt: Uint8Array }[] {
  const ranges = [];
  for (let group = keyGroups.first; group <= keyGroups.last; group++) {
    ranges.push({
      gte: rowPrefix(group, stateId, RowPart.root),
      lt: rowPrefix(group, stateId, RowPart.node),
    });
  }
  return ranges;
}

/** The key of a root row, or undefined if the row is of another namespace. */
export function keyOfRow(row: Uint8Array, namespace: Uint8Array | undefined): Key | undefined {
  const cursor = { offset: KEY_TAG_OFFSET };
  const key = decodeKey(row, cursor);
  const rest = row.subarray(cursor.offset);
  return Buffer.compare(rest, namespace ?? new Uint8Array(0)) === 0 ? key : undefined;
}
