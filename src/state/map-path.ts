// The way from the root of a map's tree to a leaf, decoded: for changes of the tree's shape.
import type { MapChild } from "../format/map-row.ts";

/** The root's place among nodes: it is addressed differently. */
export const ROOT = -1;

export interface PathStep {
  /** ROOT or the number of an inner node. */
  readonly node: number;
  readonly children: MapChild[];
  /** The child that was taken. */
  readonly index: number;
}

/** The step at a node: which child covers the key. */
export function pick(
  node: number,
  children: MapChild[],
  key: Uint8Array,
  keyBytes: number,
): PathStep {
  const target = key.subarray(0, keyBytes);
  let index = 0;
  while (index + 1 < children.length && Buffer.compare(children[index + 1]!.key, target) <= 0) {
    index++;
  }
  return { node, children, index };
}

/** Children of a new inner node: M2. */
export function withoutFirstKey(children: readonly MapChild[]): MapChild[] {
  return children.map((child, index) =>
    index === 0 ? { node: child.node, key: new Uint8Array(0) } : child,
  );
}
