// Table files whose hash and checksums are right, and whose blocks LevelDB 1.20 would trust.
import { concatenate } from "../../src/format/frame-sequence.ts";
import type { HostileCase } from "./case-files.ts";
import type { Bases } from "./case-spec.ts";
import { varint } from "./craft.ts";
import { type Row, SEQUENCE, f64Row, rowKey } from "./craft-rows.ts";
import { type CraftedTable, contentOf, internalKey } from "./craft-table.ts";
import {
  type Shape,
  type ShapeList,
  changed,
  entries,
  first,
  intact,
  one,
  rows,
  shaped,
} from "./table-shapes.ts";

/** `first` as it is, `key` of this user key after it, and what the list then says. */
function endingWith(
  row: Row,
  sequence: number = SEQUENCE,
  type: number = 1,
): readonly [CraftedTable, NonNullable<Shape[3]>] {
  const key = internalKey(row.key, sequence, type);
  return [one({ entries: [...entries, { key, value: row.row }] }), { largest: key }];
}

export function blockShapes(): ShapeList {
  const second = contentOf({ entries: entries.slice(0, 1) }).length - 8;
  return {
    shapes: [
      [
        "restarts-many",
        "more restarts than a block has bytes",
        one({ ...intact, restartCount: 0x4000_0000 }),
      ],
      [
        "restarts-overflow",
        "restarts whose bytes overflow 32 bits",
        one({ ...intact, restartCount: 0x4000_0001 }),
      ],
      ["restarts-none", "no restart: LevelDB sees no row", one({ ...intact, restarts: [] })],
      [
        "restart-beyond",
        "a restart beyond its block",
        one({ ...intact, restarts: [0, 0x7fff_ffff] }),
      ],
      ["restart-in-entry", "a restart within an entry", one({ ...intact, restarts: [0, 5] })],
      [
        "restart-late",
        "a first restart after the first entry",
        one({ ...intact, restarts: [second] }),
      ],
      ["restart-twice", "a restart twice", one({ ...intact, restarts: [0, 0] })],
      [
        "restart-backwards",
        "restarts that go backwards",
        one({ ...intact, restarts: [0, second, 0] }),
      ],
      [
        "restart-shares",
        "a restart at an entry that shares",
        one({ ...changed(1, { shared: 1 }), restarts: [0, second] }),
      ],
      [
        "block-empty",
        "a block without entries",
        { blocks: [{ entries: [], separator: first.key }, intact] },
      ],
      ["block-tiny", "a block of three bytes", one({ ...intact, stored: new Uint8Array(3) })],
      ["block-type", "an unknown type of block", one({ ...intact, type: 7 })],
      [
        "entry-shares-more",
        "an entry that shares more than there is",
        one(changed(1, { shared: 200, own: 20 })),
      ],
      ["entry-first-shares", "a first entry that shares", one(changed(0, { shared: 3 }))],
      ["entry-beyond", "a value beyond its block", one(changed(4, { valueBytes: 1000 }))],
      ["entry-beyond-4-gib", "a value of 4 GiB", one(changed(4, { valueBytes: 0xffff_ffff }))],
      ["entry-key-beyond", "a key beyond its block", one(changed(4, { own: 0x7fff_ffff }))],
      ["entry-varint", "a length of ten bytes", one(changed(1, { overflows: true }))],
      [
        "key-short",
        "a key of seven bytes: LevelDB reads before it",
        one(changed(1, { key: entries[1]!.key.subarray(0, 7) })),
      ],
      ["key-empty", "a key of no byte", one(changed(1, { key: new Uint8Array(0) }))],
      [
        "key-trailer-only",
        "a key without a user key",
        one(changed(1, { key: internalKey(new Uint8Array(0), SEQUENCE) })),
      ],
      [
        "key-group-only",
        "a user key of one byte",
        one(changed(0, { key: internalKey(Uint8Array.of(0), SEQUENCE) })),
        { smallest: internalKey(Uint8Array.of(0, 0), SEQUENCE) },
      ],
      ["keys-equal", "a key twice", one({ entries: [first, first, ...entries.slice(1)] })],
      [
        "keys-descend",
        "keys that descend",
        one({ entries: [first, entries[2]!, entries[1]!, ...entries.slice(3)] }),
      ],
      [
        "versions-ascend",
        "an older version before a newer one",
        one({ entries: [{ ...first, key: internalKey(rows[0]!.key, 3) }, ...entries] }),
        { smallest: internalKey(rows[0]!.key, 3) },
      ],
    ],
    unseen: ["restarts-none", "key-trailer-only", "key-group-only"],
  };
}

/** Compressed: half a megabyte of one byte takes a few kilobytes. */
function longRow(): CraftedTable {
  const value = new Uint8Array(491_522).fill(1);
  const content = contentOf({ entries: [first, { ...entries[1]!, value }] });
  const start = content.length - 8 - value.length + 1;
  const literal = (bytes: Uint8Array): Uint8Array =>
    concatenate([Uint8Array.of(61 << 2, (bytes.length - 1) & 255, (bytes.length - 1) >> 8), bytes]);
  const copies = Math.floor(value.length / 64) - 2;
  const copy = Uint8Array.of((63 << 2) | 2, 1, 0);
  const stored = concatenate([
    varint(content.length),
    literal(content.subarray(0, start)),
    ...Array<Uint8Array>(copies).fill(copy),
    literal(content.subarray(start + copies * 64)),
  ]);
  return one({ ...intact, type: 1, stored });
}

export function rowShapes(): ShapeList {
  const row = f64Row(1);
  const foreign = rowKey({ state: "total", key: 5, group: 127 });
  const long = { key: rowKey({ state: "total", key: "x".repeat(4000), group: 127 }), row };
  const longest = concatenate([long.key, new Uint8Array(8400), Uint8Array.of(0, 1)]);
  const z = (state: string, more: object = {}): Uint8Array =>
    rowKey({ state, key: "z", group: 127, ...more });
  const tagged = z("total");
  tagged[7] = 99;
  const narrow = internalKey(rows.at(-1)!.key, SEQUENCE);
  const shapes: Shape[] = [
    ["type", "an entry of an unknown type", ...endingWith({ key: foreign, row }, 8, 2)],
    ["type-seek", "an entry of type 255", ...endingWith({ key: foreign, row }, 8, 255)],
    [
      "sequence",
      "an entry newer than the list says",
      one(changed(1, { key: internalKey(rows[1]!.key, SEQUENCE + 1) })),
    ],
    [
      "deletion-value",
      "a deletion with a value",
      one(changed(1, { key: internalKey(rows[1]!.key, SEQUENCE, 0) })),
    ],
    ["row-empty", "a row of no byte", one(changed(1, { value: new Uint8Array(0) }))],
    ["row-long", "a row longer than rows can be", longRow()],
    ["key-long", "a row key longer than keys can be", ...endingWith({ key: longest, row })],
    [
      "state-unknown",
      "a row of a state that the metadata does not name",
      ...endingWith({ key: z("nobody"), row }),
    ],
    ["tag-unknown", "a row key of an unknown type", ...endingWith({ key: tagged, row })],
    [
      "part-unknown",
      "a row key of an unknown part",
      ...endingWith({ key: z("total", { part: 2 }), row }),
    ],
    [
      "key-nothing",
      "a row key that ends before its key",
      ...endingWith({ key: z("total").subarray(0, 8), row }),
    ],
    [
      "begins-earlier",
      "an entry before the smallest key of the list",
      one({
        entries: [
          { key: internalKey(rowKey({ state: "total", key: 1, group: 3 }), SEQUENCE), value: row },
          ...entries,
        ],
      }),
    ],
    [
      "begins-later",
      "no entry of the smallest key of the list",
      one({ entries: entries.slice(1) }),
    ],
    [
      "ends-later",
      "entries after the largest key of the list, in foreign key groups",
      one({
        entries: [
          ...entries,
          { key: internalKey(z("total", { group: 200 }), SEQUENCE), value: row },
        ],
      }),
      { largest: narrow },
    ],
    [
      "ends-earlier",
      "no entry of the largest key of the list",
      one({ entries: entries.slice(0, -1) }),
    ],
  ];
  const unseen = [
    "begins-later",
    "ends-earlier",
    "ends-later",
    "deletion-value",
    "state-unknown",
    "part-unknown",
    "tag-unknown",
    "key-nothing",
    "key-long",
    "row-long",
    "row-empty",
    "begins-earlier",
  ];
  return { shapes, unseen };
}

export function blockAndRowCases({ lsm }: Bases): HostileCase[] {
  return [blockShapes(), rowShapes()].flatMap((list) => shaped(lsm, list));
}
