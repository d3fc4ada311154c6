// Goal: what a restore reads of a table before LevelDB does keeps K1 to K4, E1 to E4 and W1 to W5: each
// crafted table is refused, by the walk itself, and intact ones of every shape pass.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { stateIdOf } from "../../../src/format/key-codec.ts";
import { BlockCursor, compareCursorKeys } from "../../../src/format/leveldb-block-cursor.ts";
import { compareInternalKeys } from "../../../src/format/leveldb-internal-key.ts";
import {
  checkStoredIndex,
  locateTableEnd,
  readTableEnd,
} from "../../../src/format/leveldb-table-end.ts";
import { type TableClaims, TableWalk } from "../../../src/format/leveldb-table-walk.ts";
import {
  TABLE_FOOTER_BYTES,
  decodeBlock,
  decodeHashedBlock,
  readFooter,
} from "../../../src/format/leveldb-table.ts";
import { blockShapes, rowShapes } from "../../hostile/cases-table.ts";
import { endShapes, indexShapes, snappyShapes } from "../../hostile/cases-table-end.ts";
import { KEY_GROUPS, SEQUENCE, f64Row } from "../../hostile/craft-rows.ts";
import {
  type CraftedTable,
  contentOf,
  filterOf,
  internalKey,
  tableOf,
} from "../../hostile/craft-table.ts";
import {
  type Shape,
  changed,
  entries,
  first,
  intact,
  last,
  one,
  unsupported,
} from "../../hostile/table-shapes.ts";

const claims: TableClaims = {
  smallest: first.key,
  largest: last.key,
  lastSequence: SEQUENCE,
  keyGroups: { first: 0, last: KEY_GROUPS - 1 },
  stateIds: ["total", "tags", "by", "window"].map(stateIdOf),
};

/** Number of entries of a table that is read as a restore reads it. */
function walk(
  bytes: Uint8Array,
  said: Partial<TableClaims> = {},
  decode: typeof decodeBlock = decodeBlock,
): number {
  const tail = bytes.subarray(Math.max(0, bytes.length - TABLE_FOOTER_BYTES));
  const handles = readFooter(tail, bytes.length, "table");
  const dataEnd = locateTableEnd(bytes, bytes.length, handles, decode, "table");
  const end = readTableEnd(bytes, bytes.length, dataEnd, handles.index, decode, "table");
  const table = new TableWalk(end, { ...claims, ...said }, "table");
  while (table.next()) table.block(bytes, table.index.offset);
  return table.entryCount;
}

const bytesOf = (table: CraftedTable | Uint8Array): Uint8Array =>
  table instanceof Uint8Array ? table : tableOf(table);

const lists = { blockShapes, rowShapes, snappyShapes, indexShapes, endShapes };

describe("a crafted table is refused", () => {
  for (const [name, list] of Object.entries(lists)) {
    const { shapes } = list();
    test.each(shapes.map((shape) => [`${name}: ${shape[0]}`, shape] as const))(
      "%s",
      (_name, [shape, reason, table, said]: Shape) => {
        const code = unsupported.includes(shape) ? "VARVE_UNSUPPORTED_FORMAT" : "VARVE_CORRUPTION";
        for (const decode of [decodeBlock, decodeHashedBlock]) {
          assert.throws(() => walk(bytesOf(table), said, decode), { code }, reason);
        }
      },
    );
  }

  test.each([
    ["a row of a key group before the first", { keyGroups: { first: 120, last: 127 } }],
    ["a row of a key group after the last", { keyGroups: { first: 0, last: 30 } }],
    ["a state that nobody names", { stateIds: [] }],
    ["an entry newer than the set", { lastSequence: SEQUENCE - 1 }],
  ])("that has %s", (_name, said: Partial<TableClaims>) => {
    assert.throws(() => walk(bytesOf(one(intact)), said), { code: "VARVE_CORRUPTION" });
  });
});

describe("an intact table passes", () => {
  const deletion = { key: internalKey(entries[2]!.key.subarray(0, -8), SEQUENCE, 0) };
  const second = contentOf({ entries: entries.slice(0, 1) }).length - 8;
  const older = internalKey(entries[1]!.key.subarray(0, -8), SEQUENCE - 1);
  const distant = internalKey(entries[1]!.key.subarray(0, -8), 2 ** 24 + 3);
  const blocks = entries.map((entry) => ({ entries: [entry] }));
  test.each<[string, CraftedTable, number, Partial<TableClaims>]>([
    ["of one block", one(intact), 5, {}],
    ["of a block an entry", { blocks }, 5, {}],
    ["with a filter", { ...one(intact), filter: filterOf() }, 5, {}],
    ["with restarts at two entries", one({ ...intact, restarts: [0, second] }), 5, {}],
    ["with a deletion", one(changed(2, { ...deletion, value: new Uint8Array(0) })), 5, {}],
    [
      "with two versions of a row",
      one({
        entries: [...entries.slice(0, 2), { key: older, value: f64Row(1) }, ...entries.slice(2)],
      }),
      6,
      {},
    ],
    [
      "with versions whose sequences differ above 24 bits",
      one({ entries: [first, { key: distant, value: f64Row(1) }, ...entries.slice(1)] }),
      6,
      { lastSequence: 2 ** 25 },
    ],
    ["with entries that share", one(changed(1, { shared: 2 })), 5, {}],
    [
      "of a compressed block",
      one({ ...intact, type: 1, stored: literalOf(contentOf(intact)) }),
      5,
      {},
    ],
    [
      "whose row has as many bytes as rows can have",
      one(changed(1, { value: new Uint8Array(491_521).fill(1) })),
      5,
      {},
    ],
  ])("%s", (_name, table, count, said) => {
    for (const decode of [decodeBlock, decodeHashedBlock]) {
      assert.equal(walk(tableOf(table), said, decode), count);
    }
  });

  test("of a compressed block that is longer than the room kept for one", () => {
    const rows = [
      first,
      { ...entries[1]!, value: new Uint8Array(40_000).fill(1) },
      ...entries.slice(2),
    ];
    const stored = literalOf(contentOf({ entries: rows }));
    assert.equal(walk(tableOf(one({ entries: rows, type: 1, stored }))), 5);
  });
});

/** Snappy's form of bytes that are not compressed. */
function literalOf(bytes: Uint8Array): Uint8Array {
  const head = [];
  let rest = bytes.length;
  for (; rest >= 128; rest = Math.floor(rest / 128)) head.push((rest % 128) | 128);
  const most = bytes.length - 1;
  return Buffer.from([...head, rest, 62 << 2, most & 255, (most >> 8) & 255, most >> 16, ...bytes]);
}

describe("the end of a table", () => {
  const bytes = tableOf({ ...one(intact), filter: filterOf() });
  const handles = readFooter(bytes.subarray(-TABLE_FOOTER_BYTES), bytes.length, "table");
  const locate = (from: number): number =>
    locateTableEnd(bytes.subarray(from), bytes.length, handles, decodeBlock, "table");

  test("is asked for from where it begins, as far as the bytes at hand tell", () => {
    const dataEnd = locate(0);
    assert.equal(dataEnd, contentOf(intact).length + 5);
    for (let from = 0; from <= handles.index.offset; from++) {
      const asked = locate(from);
      if (from <= dataEnd) assert.equal(asked, dataEnd);
      else if (from <= handles.metaindex.offset) assert.equal(asked, dataEnd, "the filter");
      else assert.equal(asked, handles.metaindex.offset);
    }
  });

  test("without a filter begins at the metaindex", () => {
    const plain = tableOf(one(intact));
    const { metaindex, index } = readFooter(plain.subarray(-TABLE_FOOTER_BYTES), plain.length, "t");
    const parts = { metaindex, index };
    assert.equal(locateTableEnd(plain, plain.length, parts, decodeBlock, "t"), metaindex.offset);
  });

  test("E1: parts that do not follow each other are refused", () => {
    const { metaindex, index } = handles;
    const wrong = [
      { metaindex: { ...metaindex, length: metaindex.length - 1 }, index },
      { metaindex, index: { ...index, length: index.length - 1 } },
      { metaindex, index: { ...index, offset: index.offset + 1 } },
    ];
    for (const parts of wrong) {
      assert.throws(() => locateTableEnd(bytes, bytes.length, parts, decodeBlock, "table"), {
        code: "VARVE_CORRUPTION",
        message: /follow each other/,
      });
    }
  });

  test("has an index whose stored bytes are checked where nobody reads them", () => {
    const from = handles.index.offset - 3;
    const tail = Uint8Array.from(bytes.subarray(from));
    checkStoredIndex(tail, bytes.length, handles.index, "table");
    tail[5]! ^= 1;
    assert.throws(() => checkStoredIndex(tail, bytes.length, handles.index, "table"), {
      code: "VARVE_CORRUPTION",
    });
  });
});

describe("a cursor", () => {
  const cursorAt = (key: Uint8Array): BlockCursor => {
    const content = contentOf({ entries: [{ key, value: f64Row(1) }] });
    const cursor = new BlockCursor("table");
    cursor.open(content, 0, content.length, 0);
    assert.ok(cursor.next());
    return cursor;
  };

  test("orders keys as LevelDB does", () => {
    const users = [Uint8Array.of(1), Uint8Array.of(1, 0), Uint8Array.of(1, 1), Uint8Array.of(2)];
    const sequences = [0, 1, 2 ** 24, 2 ** 24 + 1, 2 ** 50];
    const keys = users.flatMap((user) => sequences.map((sequence) => internalKey(user, sequence)));
    for (const left of keys) {
      for (const right of keys) {
        const expected = Math.sign(compareInternalKeys(left, right));
        const found = compareCursorKeys(cursorAt(left), cursorAt(right));
        assert.equal(Math.sign(found), expected);
        assert.equal(Math.sign(cursorAt(left).compare(right)), expected);
      }
    }
  });

  test("takes over a key, and then goes on from it", () => {
    const from = cursorAt(first.key);
    const to = new BlockCursor("table");
    to.copyKeyOf(from);
    assert.equal(compareCursorKeys(from, to), 0);
    assert.equal(to.compare(first.key), 0);
  });

  test("tells where an entry's value is, and that a block has ended", () => {
    const content = contentOf(intact);
    const cursor = new BlockCursor("table");
    // Bytes around a block are not its own.
    const around = Buffer.concat([Buffer.alloc(7, 255), content, Buffer.alloc(7, 255)]);
    cursor.open(around, 7, 7 + content.length, 0);
    for (const { key, value } of entries) {
      assert.ok(cursor.next());
      assert.deepEqual(Buffer.from(cursor.key.subarray(0, cursor.keyBytes)), Buffer.from(key));
      const found = cursor.content.subarray(cursor.valueStart, cursor.valueEnd);
      assert.deepEqual(Buffer.from(found), Buffer.from(value));
    }
    assert.equal(cursor.next(), false);
  });
});
