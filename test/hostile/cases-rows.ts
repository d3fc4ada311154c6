// Dump and canonical files whose hashes are right, and rows that lie in files of every kind.
import type { ErrorCode } from "../../src/errors.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import type { BaseName, HostileCase } from "./case-files.ts";
import { type Bases, CORRUPTION, UNSUPPORTED, caseOf, crafted } from "./case-spec.ts";
import { type Base, OVERFLOWING_VARINT, header, varint } from "./craft.ts";
import {
  type Row,
  dumpOf,
  dumpOfRows,
  dumpRow,
  f64Row,
  hex,
  intactRows,
  rowKey,
  rowsWith,
  withDump,
  withRows,
} from "./craft-rows.ts";

const rows = intactRows();
const raw = concatenate(rows.map(dumpRow));
const count = rows.length;

type Shape = readonly [string, string, Uint8Array, ErrorCode?, number?];

function dumpCases(base: Base): HostileCase[] {
  const whole = (frames: readonly Uint8Array[], footer?: Parameters<typeof dumpOf>[0]["footer"]) =>
    dumpOf({ frames, rowCount: count, ...(footer === undefined ? {} : { footer }) });
  const cutRow = concatenate([varint(5), Uint8Array.of(0, 126)]);
  const shapes: Shape[] = [
    [
      "magic",
      "another magic",
      dumpOf({ frames: [raw], rowCount: count, header: header("VARVEDMX") }),
    ],
    [
      "version",
      "a later version",
      dumpOf({ frames: [raw], rowCount: count, header: header("VARVEDMP", 2) }),
      UNSUPPORTED,
    ],
    [
      "reserved",
      "reserved bytes in use",
      dumpOf({ frames: [raw], rowCount: count, header: header("VARVEDMP", 1, 1) }),
    ],
    ["footer-magic", "another magic of the footer", whole([raw], { magic: "VARVEENX" })],
    ["footer-frames", "a footer of more frames", whole([raw], { frames: 2 })],
    ["footer-rows", "a footer of fewer rows", whole([raw], { rows: count - 1 })],
    ["footer-bytes", "a footer of fewer bytes", whole([raw], { rawBytes: 3 })],
    ["footer-bytes-huge", "a footer of 2^63 bytes", whole([raw], { rawBytes: 1n << 63n })],
    ["tiny", "a file shorter than header and footer", new Uint8Array(30)],
    [
      "frame-twice",
      "rows that come twice",
      dumpOf({ frames: [raw, raw], rowCount: 2 * count }),
      CORRUPTION,
      2 * count,
    ],
    ["descends", "rows that descend", dumpOfRows([...rows].reverse())],
    [
      "key-length-overflow",
      "a key length of ten bytes",
      whole([concatenate([raw, OVERFLOWING_VARINT])]),
    ],
    ["key-length-huge", "a key of 4 GiB", whole([concatenate([raw, varint(0xffff_ffff)])])],
    ["key-empty", "a key of no byte", whole([concatenate([Uint8Array.of(0, 1, 1), raw])])],
    [
      "key-long",
      "a key longer than keys can be",
      dumpOfRows([...rows, { key: new Uint8Array(12_289).fill(255), row: f64Row(1) }]),
      CORRUPTION,
      count + 1,
    ],
    [
      "row-empty",
      "a row of no byte",
      whole([concatenate([raw, varint(1), Uint8Array.of(255), varint(0)])]),
    ],
    ["row-cut", "a frame that ends within a row", whole([concatenate([raw, cutRow])])],
  ];
  // What is found by counting, a search for rows does not find.
  const unseen = ["footer-rows", "frame-twice"];
  return shapes.map(([name, reason, dump, code, rowCount = count]) =>
    crafted(base.name, `dump-${name}`, reason, withDump(base, dump, rowCount), code, {
      scanMayPass: unseen.includes(name),
    }),
  );
}

/** Keys that rows cannot have, in files that restore row by row. */
function keyCases(base: Base): HostileCase[] {
  const row = f64Row(1);
  const z = (more: object = {}): Uint8Array =>
    rowKey({ state: "total", key: "z", group: 127, ...more });
  const tagged = z();
  tagged[7] = 99;
  const shapes: readonly (readonly [string, string, Uint8Array, ErrorCode?])[] = [
    [
      "state-unknown",
      "a row of a state that the metadata does not name",
      rowKey({ state: "nobody", key: 2 }),
    ],
    ["group-foreign", "a row of a key group outside the handle's", z({ group: 128 })],
    ["tag-unknown", "a row key of an unknown type", tagged, UNSUPPORTED],
    ["key-short", "a row key that is shorter than its prefix", Uint8Array.of(0, 127, 1)],
    ["key-cut", "a row key without the end of its text", z().subarray(0, 9)],
    ["namespace-foreign", "a namespace in a state without", z({ namespace: 1 })],
  ];
  const own: readonly (readonly [string, string, Uint8Array])[] = [
    ["group-other", "a row of another key group than its key's", z({ group: 3 })],
  ];
  const isCanonical = base.name === "canonical";
  return [...shapes, ...(isCanonical ? own : [])].map(([name, reason, key, code]) => {
    const dump = dumpOfRows(rowsWith({ key, row }));
    const objects = withDump(base, dump, count + 1, isCanonical ? [0, 127] : undefined);
    // Rows of a canonical file are of one state and key group after the other: cut keys sort anywhere.
    return crafted(base.name, `row-${name}`, reason, objects, code, { scanMayPass: true });
  });
}

const a = (state: string, node?: number): Uint8Array =>
  rowKey({ state, key: "a", ...(node === undefined ? {} : { node }) });
const f64 = "000000000000f03f";

/** Rows that lie: opening succeeds, since rows are decoded when they are read. */
const lies: readonly (readonly [string, string, readonly Row[], ErrorCode?])[] = [
  [
    "list-chunks-missing",
    "a list whose three chunks are nowhere",
    [{ key: a("tags"), row: hex("03 0000000000000000 03000000") }],
  ],
  [
    "list-chunks-4-billion",
    "a list of 2^32-1 chunks",
    [{ key: a("tags"), row: hex("03 0000000000000000 ffffffff") }],
  ],
  [
    "list-directory-cut",
    "a list's directory that is cut",
    [{ key: a("tags"), row: hex("03 0000000000000000 03") }],
  ],
  ["list-packed-cut", "a packed list that is cut", [{ key: a("tags"), row: hex("02 0000") }]],
  [
    "list-element-beyond",
    "an element longer than its row",
    [{ key: a("tags"), row: hex("02 0000000000000000 ff7f 78") }],
  ],
  [
    "list-element-overflow",
    "an element's length of ten bytes",
    [{ key: a("tags"), row: hex("02 0000000000000000 ffffffffffffffffff7f") }],
  ],
  [
    "list-chunk-kind",
    "a chunk that is a map's leaf",
    [
      { key: a("tags"), row: hex("03 0000000000000000 01000000") },
      { key: a("tags", 0), row: hex("07 0178") },
    ],
  ],
  ["list-is-value", "a value where a list is", [{ key: a("tags"), row: f64Row(1) }]],
  [
    "list-text",
    "an element that is not UTF-8",
    [{ key: a("tags"), row: hex("02 0000000000000000 01ff") }],
  ],
  [
    "map-descends",
    "a map whose keys descend",
    [{ key: a("by"), row: hex(`05 0108 6e ${f64} 0108 6d ${f64}`) }],
  ],
  [
    "map-entry-beyond",
    "an entry longer than its row",
    [{ key: a("by"), row: hex(`05 017f 6d ${f64}`) }],
  ],
  ["map-root-cut", "a map's root that is cut", [{ key: a("by"), row: hex("06 0400") }]],
  [
    "map-root-empty",
    "a map's root without children",
    [{ key: a("by"), row: hex("06 04000000 01") }],
  ],
  [
    "map-leaf-missing",
    "a map whose leaf is nowhere",
    [{ key: a("by"), row: hex("06 04000000 01 00000000 00") }],
  ],
  [
    "map-cycle",
    "an inner node that is its own child",
    [
      { key: a("by"), row: hex("06 04000000 ff 00000000 00") },
      { key: a("by", 0), row: hex("08 00000000 00") },
    ],
  ],
  [
    "map-leaf-kind",
    "a list's chunk where a leaf is",
    [
      { key: a("by"), row: hex("06 04000000 01 00000000 00") },
      { key: a("by", 0), row: hex("04 0178") },
    ],
  ],
  [
    "map-is-list",
    "a list where a map is",
    [{ key: a("by"), row: hex("02 0000000000000000 0178") }],
  ],
  ["value-short", "a number of seven bytes", [{ key: a("total"), row: hex("01 00000000000000") }]],
  [
    "value-long",
    "a number of nine bytes",
    [{ key: a("total"), row: hex("01 000000000000000000") }],
  ],
  [
    "value-kind",
    "an unknown kind of row",
    [{ key: a("total"), row: hex("09 0000000000000000") }],
    UNSUPPORTED,
  ],
  [
    "value-expires",
    "a row that expires",
    [{ key: a("total"), row: hex("81 0000000000000000") }],
    UNSUPPORTED,
  ],
  [
    "value-unsafe",
    "an integer that is not exact",
    [{ key: rowKey({ state: "window", key: "a", namespace: 7 }), row: hex("01 ffffffffffffff7f") }],
  ],
];

function lyingCases(base: Base, names?: readonly string[]): HostileCase[] {
  return lies
    .filter(([name]) => names?.includes(name) ?? true)
    .map(([name, reason, changed, code]) =>
      crafted(base.name, `row-${name}`, reason, withRows(base, rowsWith(...changed)), code, {
        refusedAt: "reading",
      }),
    );
}

/** No writer leaves one, and no reader is misled by one. */
function legalCase(base: Base): HostileCase {
  const root = { key: a("by"), row: hex("06 04000000 01 00000000 00") };
  const leaf = { key: a("by", 0), row: hex("07") };
  const reason = "legal: a leaf without entries, which no writer leaves, reads as an empty map";
  const objects = withRows(base, rowsWith(root, leaf));
  return caseOf({
    base: base.name,
    name: "lsm-legal-leaf-empty",
    reason,
    code: undefined,
    objects,
  });
}

export function rowCases({ lsm, memory, canonical }: Bases): HostileCase[] {
  const both: readonly BaseName[] = ["memory", "canonical"];
  const some = ["list-chunks-missing", "map-cycle", "value-kind", "map-descends"];
  return [
    ...dumpCases(memory),
    ...dumpCases(canonical),
    ...both.flatMap((name) => keyCases(name === "memory" ? memory : canonical)),
    ...lyingCases(lsm),
    legalCase(lsm),
    ...lyingCases(memory, some),
    ...lyingCases(canonical, some),
  ];
}
