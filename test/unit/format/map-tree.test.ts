import assert from "node:assert/strict";
import { describe, test } from "vitest";
import {
  EntryPosition,
  MAP_LEAF_BYTES_MAX,
  type MapChild,
  decodeChildren,
  decodeMapRoot,
  entryBytes,
  readEntry,
  writeEntry,
} from "../../../src/format/map-row.ts";
import { mapRows } from "../../../src/format/map-tree.ts";
import { RowKind } from "../../../src/format/row-value.ts";

function entriesOf(keys: readonly string[], valueBytes: number): Uint8Array {
  return Buffer.concat(
    keys.map((text) => {
      const [key, value] = [Buffer.from(text), Buffer.alloc(valueBytes, 1)];
      const entry = new Uint8Array(entryBytes(key.length, value.length));
      writeEntry(entry, 0, key, key.length, value, value.length);
      return entry;
    }),
  );
}

/** Keys of a tree in order; checks that each is where a search would look for it. */
function keysOf(root: Uint8Array, nodes: readonly Uint8Array[]): string[] {
  const keys: string[] = [];
  const used = new Set<number>();
  const visit = (children: readonly MapChild[], height: number, below: string): void => {
    assert.equal(children[0]!.key.length, 0);
    for (const [index, { node, key }] of children.entries()) {
      used.add(node);
      const from = index === 0 ? below : Buffer.from(key).toString();
      const row = nodes[node]!;
      assert.equal(row[0], height === 1 ? RowKind.mapLeaf : RowKind.mapInner);
      if (height > 1) {
        visit(decodeChildren(row.subarray(1)), height - 1, from);
        continue;
      }
      const entry = new EntryPosition();
      let count = 0;
      for (let at = 1; at < row.length; at = entry.end, count++) {
        readEntry(row, at, row.length, entry);
        const { keyOffset, keyBytes } = entry;
        keys.push(Buffer.from(row.subarray(keyOffset, keyOffset + keyBytes)).toString());
        assert.ok(keys.at(-1)! >= from);
      }
      assert.ok(count === 1 || row.length - 1 <= MAP_LEAF_BYTES_MAX);
    }
  };
  const { height, children, nextNode } = decodeMapRoot(root.subarray(1));
  visit(children, height, "");
  assert.equal(nextNode, nodes.length);
  assert.equal(used.size, nodes.length);
  return keys;
}

describe("a map that is written whole", () => {
  const cases: [string, number, number, number][] = [
    ["of many leaves", 5000, 0, 30],
    ["of several levels", 20_000, 200, 10],
    ["of the longest keys", 300, 4000, 3],
    ["of large values", 20, 0, 100_000],
  ];
  for (const [name, count, padding, valueBytes] of cases) {
    test(`has every entry where it is looked for, ${name}`, () => {
      const keys = Array.from({ length: count }, (_none, index) => {
        return `${String(index).padStart(8, "0")}${"x".repeat(padding)}`;
      });
      const { root, nodes } = mapRows(entriesOf(keys, valueBytes));
      assert.equal(root[0], RowKind.mapRoot);
      assert.deepEqual(keysOf(root, nodes), keys);
    });
  }

  test("is one row while it is small", () => {
    const entries = entriesOf(["a", "b"], 5);
    const { root, nodes } = mapRows(entries);
    assert.equal(root[0], RowKind.mapPacked);
    assert.deepEqual(Buffer.from(root.subarray(1)), Buffer.from(entries));
    assert.equal(nodes.length, 0);
  });
});
