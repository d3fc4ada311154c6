// Table files whose hash and checksums are right: compressed blocks, the index, and what follows it.
import { concatenate } from "../../src/format/frame-sequence.ts";
import type { HostileCase } from "./case-files.ts";
import type { Bases } from "./case-spec.ts";
import { u32, varint } from "./craft.ts";
import {
  type CraftedBlock,
  type CraftedTable,
  contentOf,
  filterOf,
  internalKey,
  tableOf,
} from "./craft-table.ts";
import {
  type Shape,
  type ShapeList,
  entries,
  first,
  intact,
  last,
  one,
  rows,
  shaped,
} from "./table-shapes.ts";

export function snappyShapes(): ShapeList {
  const snappy = (...parts: readonly Uint8Array[]): CraftedTable =>
    one({ ...intact, type: 1, stored: concatenate(parts) });
  const content = contentOf(intact);
  const literal = (bytes: Uint8Array): Uint8Array =>
    concatenate([Uint8Array.of(61 << 2, (bytes.length - 1) & 255, (bytes.length - 1) >> 8), bytes]);
  return {
    unseen: [],
    shapes: [
      [
        "snappy-4-gib",
        "a snappy block of 4 GiB: LevelDB allocates it",
        snappy(varint(0xffff_ffff), literal(content)),
      ],
      [
        "snappy-bomb",
        "a snappy block of 60 MiB in 100 bytes",
        snappy(varint(62_914_560), literal(content.subarray(0, 100))),
      ],
      [
        "snappy-length-cut",
        "a snappy length without an end",
        snappy(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
      ],
      [
        "snappy-literal",
        "a snappy literal beyond its input",
        snappy(varint(content.length), Uint8Array.of(63 << 2, 0xff, 0xff, 0xff, 0x7f), content),
      ],
      [
        "snappy-copy",
        "a snappy copy from before its output",
        snappy(varint(8), Uint8Array.of(0, 0x61, (6 << 2) | 2, 200, 0)),
      ],
      [
        "snappy-copy-zero",
        "a snappy copy of offset 0",
        snappy(varint(8), Uint8Array.of(0, 0x61, (6 << 2) | 2, 0, 0)),
      ],
      [
        "snappy-short",
        "a snappy block that gives less than it says",
        snappy(varint(content.length + 9), literal(content)),
      ],
      [
        "snappy-long",
        "a snappy block that gives more than it says",
        snappy(varint(content.length - 9), literal(content)),
      ],
    ],
  };
}

export function indexShapes(): ShapeList {
  const two = (a: Partial<CraftedBlock>, b: Partial<CraftedBlock> = {}): CraftedTable => ({
    blocks: [
      { entries: entries.slice(0, 2), ...a },
      { entries: entries.slice(2), ...b },
    ],
  });
  const whole = tableOf(two({}));
  const between = internalKey(rows[1]!.key, 5);
  return {
    shapes: [
      [
        "index-length",
        "an index longer than its file",
        { ...two({}), footer: { indexLength: 2 ** 40 } },
      ],
      [
        "index-short",
        "an index that ends before its place",
        { ...two({}), footer: { indexLength: 8 } },
      ],
      ["handle-beyond", "a block beyond its file", two({ handle: { length: 2 ** 40 } })],
      [
        "handle-offset",
        "a block that begins beyond its file",
        two({ handle: { offset: 2 ** 45 } }),
      ],
      ["handle-overlap", "blocks that overlap", two({}, { handle: { offset: 0 } })],
      [
        "handle-index",
        "a block that is the index",
        two({}, { handle: { offset: whole.length - 140, length: 60 } }),
      ],
      ["handle-tail", "bytes after a handle", { ...two({}), indexTail: Uint8Array.of(1) }],
      ["gap", "bytes between blocks that no block owns", two({ gap: 64 })],
      ["gap-last", "bytes after the last block", two({}, { gap: 64 })],
      [
        "index-descends",
        "index keys that descend",
        two({ separator: last.key }, { separator: first.key }),
      ],
      [
        "index-key-short",
        "an index key shorter than its trailer",
        two({ separator: Uint8Array.of(0, 0, 1) }),
      ],
      [
        "index-restarts",
        "an index without restarts: LevelDB sees no block",
        { ...two({}), index: { restarts: [] } },
      ],
      [
        "index-restart",
        "an index restart within an entry",
        { ...two({}), index: { restarts: [0, 3] } },
      ],
      ["index-early", "an index key before the block's last entry", two({ separator: first.key })],
      [
        "index-late",
        "an index key after the next block's first entry",
        two({ separator: entries[2]!.key }),
      ],
      [
        "index-ends",
        "an index that ends before the last entry",
        two({}, { separator: entries[2]!.key }),
      ],
      [
        "blocks-descend",
        "blocks that descend",
        {
          blocks: [
            { entries: entries.slice(2), separator: between },
            { entries: entries.slice(0, 2), separator: last.key },
          ],
        },
      ],
    ],
    unseen: [
      "handle-tail",
      "gap",
      "gap-last",
      "index-restarts",
      "index-early",
      "index-late",
      "index-ends",
      "blocks-descend",
      "handle-index",
    ],
  };
}

export function endShapes(): ShapeList {
  const filtered = (filter: Uint8Array, more: Partial<CraftedTable> = {}): CraftedTable => ({
    ...one(intact),
    filter,
    ...more,
  });
  const shapes: Shape[] = [
    ["filter-offsets", "filter offsets beyond the filter", filtered(filterOf([0, 0x7fff_ffff], 0))],
    [
      "filter-start",
      "filter offsets that begin beyond the filter",
      filtered(filterOf([0], 0xffff_ff00)),
    ],
    ["filter-base", "a filter for blocks of another size", filtered(filterOf([0], 0, 64))],
    ["filter-cut", "a filter of two bytes", filtered(Uint8Array.of(1, 11))],
    [
      "filter-uneven",
      "filter offsets that are cut",
      filtered(concatenate([Uint8Array.of(9), u32(0), Uint8Array.of(11)])),
    ],
    [
      "metaindex-name",
      "a metaindex that names something else",
      filtered(filterOf(), { filterName: "exec.shell" }),
    ],
    [
      "metaindex-more",
      "a metaindex that names two things",
      filtered(filterOf(), { metaEntries: 2 }),
    ],
    [
      "footer-padding",
      "a footer whose padding is not zero",
      { ...one(intact), footer: { padding: 1 } },
    ],
    [
      "footer-magic",
      "a footer of another magic",
      tableOf(one(intact)).map((byte, at, all) => (at === all.length - 1 ? 0 : byte)),
    ],
    ["tiny", "a file shorter than a footer", new Uint8Array(20)],
    ["nothing", "a file of no byte", new Uint8Array(0)],
    ["cut-front", "a table without its first bytes", tableOf(one(intact)).subarray(7)],
  ];
  const unseen = [
    "filter-offsets",
    "filter-start",
    "filter-base",
    "filter-cut",
    "filter-uneven",
    "metaindex-name",
    "metaindex-more",
  ];
  return { shapes, unseen };
}

export function indexAndEndCases({ lsm }: Bases): HostileCase[] {
  return [snappyShapes(), indexShapes(), endShapes()].flatMap((list) => shaped(lsm, list));
}
