// Goal: collections that are not whole are refused, and rows that no root leads to are passed over.
// Method: rows made by hand, as hostile bytes would be.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { StateSchema } from "../../../src/index.ts";
import { encodeListChunk, encodeListDirectory } from "../../../src/format/list-row.ts";
import { type MapChild, encodeChildren, encodeMapRoot } from "../../../src/format/map-row.ts";
import { encodeTagged } from "../../../src/inspect/key-bytes.ts";
import { type StateRecord, readRecords } from "../../../src/inspect/record-reader.ts";
import {
  ALL_KEYS,
  type Row,
  type RowRange,
  type RowSource,
  rangeOf,
} from "../../../src/inspect/row-source.ts";

const group = 5;
const keys = ALL_KEYS;

function schemaOf(type: StateSchema["type"]): StateSchema {
  return { name: "s", id: 0x1234_5678, type, serializers: ["utf8", "utf8"], namespaces: false };
}

function rootKey(schema: StateSchema, key: string): Uint8Array {
  return Buffer.concat([rangeOf(group, schema, 0, keys).gte, encodeTagged(key)]);
}

function nodeKey(schema: StateSchema, key: string, node: number): Uint8Array {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(node);
  return Buffer.concat([rangeOf(group, schema, 1, keys).gte, encodeTagged(key), number]);
}

/** Batches of one row, so that every boundary is one. */
function sourceOf(rows: readonly Row[]): RowSource {
  const sorted = [...rows].sort((a, b) => Buffer.compare(a.key, b.key));
  return {
    contentOf: () => undefined,
    async *rows({ gte, lt }: RowRange) {
      await Promise.resolve();
      for (const row of sorted) {
        if (Buffer.compare(row.key, gte) < 0) continue;
        if (lt !== undefined && Buffer.compare(row.key, lt) >= 0) return;
        yield [row];
      }
    },
  };
}

async function read(schema: StateSchema, rows: readonly Row[]): Promise<StateRecord[]> {
  const records: StateRecord[] = [];
  for await (const batch of readRecords(sourceOf(rows), schema, group, keys)) {
    records.push(...batch);
  }
  return records;
}

const element = (text: string): Uint8Array => Buffer.from(`\u0001${text}`);
const directory = (chunkCount: number): Uint8Array =>
  encodeListDirectory({ appliedChange: 1, chunkCount });
const refused = { code: "VARVE_CORRUPTION", message: /state "s", key group 5/ };

describe("records", () => {
  test("a list comes from its chunks in order, whatever lies between", async () => {
    const schema = schemaOf("list");
    const chunk = (key: string, node: number, text: string): Row => {
      return { key: nodeKey(schema, key, node), row: encodeListChunk(element(text)) };
    };
    const rows = [
      { key: rootKey(schema, "b"), row: directory(2) },
      { key: rootKey(schema, "c"), row: Buffer.from("02000000000000000001" + "63", "hex") },
      { key: rootKey(schema, "d"), row: directory(1) },
      chunk("a", 0, "x"), // No root leads to it.
      chunk("b", 1, "2"),
      chunk("b", 0, "1"),
      chunk("b", 2, "x"), // Beyond the directory's count.
      chunk("bb", 0, "x"),
      chunk("d", 0, "3"),
    ];
    const records = await read(schema, rows);
    const texts = records.map(({ parts }) => Buffer.concat(parts).toString("latin1"));
    assert.deepEqual(texts, ["\u00011\u00012", "\u0001c", "\u00013"]);
    for (const missing of ["b", "d"]) {
      const less = rows.filter(({ key }) => Buffer.compare(key, nodeKey(schema, missing, 0)) !== 0);
      await assert.rejects(read(schema, less), refused, missing);
    }
  });

  test("a map's tree is whole, of the right kinds, and names no node twice", async () => {
    const schema = schemaOf("map");
    const child = (node: number, key = ""): MapChild => ({ node, key: Buffer.from(key) });
    const root = (height: number, children: readonly MapChild[]): Row => {
      const payload = encodeMapRoot({ nextNode: 9, height, children });
      return { key: rootKey(schema, "a"), row: Buffer.concat([Buffer.from([6]), payload]) };
    };
    const leaf = (node: number, text: string): Row => {
      const row = Buffer.from(`\u0007\u0001\u0001${text}${text}`);
      return { key: nodeKey(schema, "a", node), row };
    };
    const inner = (node: number, children: readonly MapChild[]): Row => {
      const row = Buffer.concat([Buffer.from([8]), encodeChildren(children)]);
      return { key: nodeKey(schema, "a", node), row };
    };
    const whole = [
      root(2, [child(3), child(4, "c")]),
      inner(3, [child(7), child(1, "b")]),
      inner(4, [child(0)]),
    ];
    const leaves = [leaf(7, "a"), leaf(1, "b"), leaf(0, "c")];
    const [record] = await read(schema, [...whole, ...leaves]);
    assert.equal(
      Buffer.concat(record!.parts).toString("latin1"),
      "\u0001\u0001aa\u0001\u0001bb\u0001\u0001cc",
    );
    const broken: readonly (readonly Row[])[] = [
      [...whole, ...leaves.slice(1)],
      [root(1, [child(7), child(7, "b")]), leaf(7, "a")],
      [root(2, [child(3)]), inner(3, [child(3)])],
      [root(2, [child(7)]), leaf(7, "a")],
      [root(1, [child(3)]), inner(3, [child(7)])],
      [{ key: rootKey(schema, "a"), row: Buffer.from([1, 2, 3]) }],
      [{ key: rootKey(schema, "a"), row: Buffer.from([7, 1, 1]) }],
      [{ key: rootKey(schema, "a"), row: Buffer.from([6, 1, 1]) }],
    ];
    for (const [index, rows] of broken.entries()) {
      await assert.rejects(read(schema, rows), refused, String(index));
    }
  });
});
