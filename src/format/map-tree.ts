// The rows of a map that is written whole, from its entries. Page: docs/formats/row.md#maps. What
// changes a map entry by entry is in state/map-rows.ts; both keep to the limits of that page.
//   W1. Nodes are numbered from 0 without gaps, and come in the order of their numbers.
import { assert } from "../common/assert.ts";
import {
  EntryPosition,
  MAP_DIRECTORY_BYTES_MAX,
  MAP_LEAF_BYTES_MAX,
  MAP_PACKED_BYTES_MAX,
  type MapChild,
  encodeChildren,
  encodeMapRoot,
  firstKey,
  readEntry,
} from "./map-row.ts";
import { RowKind } from "./row-value.ts";

/** Room that is left in nodes, so that the first changes do not split all of them. */
const LEAF_BYTES: number = (MAP_LEAF_BYTES_MAX * 3) / 4;
const DIRECTORY_BYTES: number = (MAP_DIRECTORY_BYTES_MAX * 3) / 4;
/** However long keys are, a level has at most a fourth of the nodes of the level below. */
const CHILDREN_MIN = 4;
/** Node number, and the length of a key. */
const CHILD_OVERHEAD_BYTES = 6;

export interface MapRows {
  /** The root row: packed, or the root of a tree. */
  readonly root: Uint8Array;
  /** Rows of the nodes, by their numbers (W1). */
  readonly nodes: readonly Uint8Array[];
}

/** The rows of a map of these entries, which ascend by their keys and are not none. */
export function mapRows(entries: Uint8Array): MapRows {
  assert(entries.length > 0, "M1: a map without entries has no rows");
  if (entries.length <= MAP_PACKED_BYTES_MAX)
    return { root: row(RowKind.mapPacked, entries), nodes: [] };
  const nodes: Uint8Array[] = [];
  const add = (kind: RowKind, payload: Uint8Array): number => nodes.push(row(kind, payload)) - 1;
  let children: MapChild[] = leavesOf(entries).map((leaf) => {
    return { key: firstKey(leaf), node: add(RowKind.mapLeaf, leaf) };
  });
  let height = 1;
  for (; !fitsOneNode(children); height++) {
    children = groupsOf(children).map((group) => {
      const key = group[0]!.key;
      return { key, node: add(RowKind.mapInner, encodeChildren(headless(group))) };
    });
  }
  const root = { nextNode: nodes.length, height, children: headless(children) };
  return { root: row(RowKind.mapRoot, encodeMapRoot(root)), nodes };
}

function row(kind: RowKind, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + payload.length);
  bytes[0] = kind;
  bytes.set(payload, 1);
  return bytes;
}

/** Runs of entries, each as long as a leaf should be, or one entry. */
function leavesOf(entries: Uint8Array): Uint8Array[] {
  const leaves: Uint8Array[] = [];
  const entry = new EntryPosition();
  let start = 0;
  for (let offset = 0; offset < entries.length; offset = entry.end) {
    readEntry(entries, offset, entries.length, entry);
    if (offset === start || entry.end - start <= LEAF_BYTES) continue;
    leaves.push(entries.subarray(start, offset));
    start = offset;
  }
  leaves.push(entries.subarray(start));
  return leaves;
}

function fitsOneNode(children: readonly MapChild[]): boolean {
  return children.length <= CHILDREN_MIN || bytesOf(children) <= DIRECTORY_BYTES;
}

function groupsOf(children: readonly MapChild[]): MapChild[][] {
  const groups: MapChild[][] = [];
  let group: MapChild[] = [];
  let bytes = 0;
  for (const child of children) {
    const more = bytesOf([child]);
    if (group.length >= CHILDREN_MIN && bytes + more > DIRECTORY_BYTES) {
      groups.push(group);
      group = [];
      bytes = 0;
    }
    group.push(child);
    bytes += more;
  }
  groups.push(group);
  return groups;
}

function bytesOf(children: readonly MapChild[]): number {
  return children.reduce((sum, { key }) => sum + key.length + CHILD_OVERHEAD_BYTES, 0);
}

/** M2: the first child has every key below the second one's. */
function headless([first, ...others]: readonly MapChild[]): MapChild[] {
  return [{ node: first!.node, key: new Uint8Array(0) }, ...others];
}
