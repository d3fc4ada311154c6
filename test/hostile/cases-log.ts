// Changelog segments whose hashes are right, and metadata that names them.
import type { ErrorCode } from "../../src/errors.ts";
import { ChangeKind } from "../../src/format/changelog-rows.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import type { HostileCase, Objects, Trick } from "./case-files.ts";
import { type Bases, CORRUPTION, STORAGE, UNSUPPORTED, caseOf, crafted } from "./case-spec.ts";
import { type Base, METADATA, OVERFLOWING_VARINT, frame, header, metadataOf } from "./craft.ts";
import {
  type CraftedBatch,
  type CraftedChange,
  SEGMENT,
  SEGMENT_ID,
  TORN_TAIL,
  batch,
  change,
  changeNumberOf,
  rowsFrame,
  segmentOf,
  textWithLog,
  withLog,
} from "./craft-log.ts";
import { f64Row, hex, rowKey } from "./craft-rows.ts";

type Shape = readonly [string, string, Objects, ErrorCode?, Partial<HostileCase>?];

function named(base: Base, shapes: readonly Shape[]): HostileCase[] {
  return shapes.map(([name, reason, objects, code, more]) =>
    crafted(base.name, `log-${name}`, reason, objects, code, more),
  );
}

const key = rowKey({ state: "total", key: "a" });
const row = f64Row(7);
const intact = change({ key, value: row });

/** One batch of one frame of these rows. */
function rowsOf(base: Base, ...rows: readonly Uint8Array[]): Objects {
  const one = { frames: [rowsFrame(...rows)], rowCount: rows.length };
  return withLog(base, segmentOf(batch(one, changeNumberOf(base))));
}

function metadataCases(base: Base): HostileCase[] {
  const number = changeNumberOf(base);
  const segment = segmentOf(batch({ frames: [rowsFrame(intact)] }, number));
  const fields = (more: Parameters<typeof withLog>[2]): Objects => withLog(base, segment, more);
  const entry = (id: string): string =>
    `{"id":"${id}","lengthBytes":${segment.length},"sha256":"${"0".repeat(64)}"}`;
  const many = Array.from({ length: 4097 }, (_none, at) => entry(String(at).padStart(32, "0")));
  const text = (from: string, to: string): Objects =>
    new Map([[METADATA, metadataOf(textWithLog(base, segment).replace(from, to))]]);
  return named(base, [
    ["id-escapes", "an id that leads outside", fields({ id: "../../../outside/bystander000000" })],
    ["id-upper", "an id in capital letters", fields({ id: SEGMENT_ID.toUpperCase() })],
    ["length-zero", "a segment of no byte", fields({ lengthBytes: 0 })],
    ["length-huge", "a segment of more than 1 GiB", fields({ lengthBytes: 2 ** 30 + 1 })],
    ["length-overflow", "a length of 1e400", fields({ lengthBytes: "1e400" })],
    ["length-negative", "a negative length", fields({ lengthBytes: -1 })],
    ["length-fraction", "half a byte more", fields({ lengthBytes: `${segment.length}.5` })],
    ["length-longer", "a length beyond the file", fields({ lengthBytes: segment.length + 1 })],
    ["length-shorter", "a length within the batch", fields({ lengthBytes: segment.length - 1 })],
    ["hash-other", "another hash than the bytes'", fields({ sha256: "0".repeat(64) })],
    ["hash-short", "a hash of 63 digits", fields({ sha256: "0".repeat(63) })],
    ["segments-none", "a log of no segment", fields({ segments: "[]" })],
    [
      "segments-twice",
      "one segment twice",
      fields({ segments: `[${entry(SEGMENT_ID)},${entry(SEGMENT_ID)}]` }),
    ],
    ["segments-many", "4,097 segments", fields({ segments: `[${many.join(",")}]` })],
    ["segments-text", "a text for the list", fields({ segments: `"${SEGMENT_ID}"` })],
    ["base-above", "a base newer than the handle", fields({ baseChange: number + 2 })],
    ["base-negative", "a base before all changes", fields({ baseChange: -1 })],
    [
      "base-text",
      "a base that is no number",
      text(`"baseChangeNumber":`, `"baseChangeNumber":"" `),
    ],
    ["field-unknown", "an unknown field", text(`"baseChange`, `"more":1,"baseChange`), UNSUPPORTED],
    [
      "is-table",
      "a segment that is the base's own table",
      new Map([[METADATA, metadataOf(textWithLog(base, base.data, { id: base.dataId }))]]),
    ],
    [
      "is-list",
      "a segment that is the base's file list",
      new Map([[METADATA, metadataOf(textWithLog(base, base.listBytes, { id: base.listId }))]]),
    ],
  ]);
}

function segmentCases(base: Base): HostileCase[] {
  const number = changeNumberOf(base);
  const good = rowsFrame(intact);
  const own = (one: Partial<CraftedBatch>): Objects =>
    withLog(base, segmentOf(batch({ frames: [good], ...one }, number)));
  const raw = (...parts: readonly Uint8Array[]): Objects => withLog(base, concatenate(parts));
  const whole = batch({ frames: [good] }, number);
  const tokens = Buffer.alloc(64, 0xff);
  const two = [rowsFrame(intact), rowsFrame(intact)];
  return named(base, [
    ["magic", "another magic", raw(header("VARVESEX"), whole)],
    ["version", "a later version", raw(header("VARVESEG", 2), whole), UNSUPPORTED],
    ["reserved", "reserved bytes in use", raw(header("VARVESEG", 1, 1), whole)],
    ["header-cut", "half a header", raw(header("VARVESEG").subarray(0, 8))],
    ["batch-magic", "another magic of a batch", own({ magic: "VBAX" })],
    ["batch-reserved", "reserved bytes of a batch in use", own({ reserved: 1 })],
    ["batch-sum", "another checksum of a batch", own({ damagedSum: "header" })],
    ["batch-cut", "half a batch", raw(header("VARVESEG"), whole.subarray(0, 40))],
    ["batch-beyond", "a batch beyond the segment", own({ frameBytes: 1000 })],
    ["frame-bytes-huge", "2^63 bytes of frames", own({ frameBytes: 1n << 63n })],
    ["frame-bytes-fewer", "fewer bytes of frames", own({ frameBytes: good.length - 8 })],
    ["frame-count-huge", "2^32-1 frames", own({ frameCount: 0xffff_ffff })],
    ["frame-count-more", "a frame more than there is", own({ frameCount: 2 })],
    ["frame-count-none", "no frame, and bytes of one", own({ frameCount: 0 })],
    ["rows-fewer", "no row, and a frame", own({ rowCount: 0 })],
    ["rows-more", "two rows where one is", own({ rowCount: 2 })],
    ["rows-huge", "2^64-1 rows", own({ rowCount: (1n << 64n) - 1n })],
    ["groups-none", "no key groups", own({ keyGroups: [0, 0, 0] })],
    ["groups-reversed", "key groups that are reversed", own({ keyGroups: [128, 9, 3] })],
    ["groups-beyond", "key groups beyond all", own({ keyGroups: [128, 0, 128] })],
    ["index-sum", "another checksum of the index", own({ damagedSum: "index" })],
    ["index-length", "another length in the index", own({ lengths: [good.length + 1] })],
    ["index-groups", "key groups outside the batch's", own({ groups: [[0, 200]] })],
    ["index-reversed", "key groups that are reversed", own({ groups: [[9, 3]] })],
    [
      "index-descends",
      "frames that descend",
      own({ frames: two, groups: [[100, 127], [0, 50]] }), // prettier-ignore
    ],
    [
      "frame-bomb",
      "16 bytes that say to be 1 MiB",
      own({ frames: [frame(tokens.subarray(0, 16), { codec: 1, rawLength: 1_048_576 })] }),
    ],
    [
      "frame-over-maximum",
      "a frame of more than 1 MiB",
      own({ frames: [frame(tokens, { codec: 1, rawLength: 1_048_577 })] }),
    ],
    [
      "frame-stored-huge",
      "a frame of 4 GiB",
      own({ frames: [frame(tokens, { storedLength: 0xffff_ffff, rawLength: 0xffff_ffff })] }),
    ],
    ["frame-garbage", "no LZ4", own({ frames: [frame(tokens, { codec: 1, rawLength: 1000 })] })],
    [
      "frame-codec",
      "an unknown codec",
      own({ frames: [frame(intact, { codec: 9 })] }),
      UNSUPPORTED,
    ],
    [
      "frame-encrypted",
      "encryption",
      own({ frames: [frame(intact, { encryption: 1 })] }),
      UNSUPPORTED,
    ],
    ["frame-empty", "a frame of no row", own({ frames: [frame(new Uint8Array(0))] })],
    [
      "frame-tail",
      "bytes after a row",
      own({ frames: [rowsFrame(intact, Uint8Array.of(1, 200))] }),
    ],
  ]);
}

function chainCases(base: Base): HostileCase[] {
  const number = changeNumberOf(base);
  const good = { frames: [rowsFrame(intact)] };
  const chain = (changeNumber: number, ...batches: readonly Partial<CraftedBatch>[]): Objects => {
    const all = batches.map((one) => batch({ ...good, ...one }, number));
    return withLog(base, segmentOf(...all), { changeNumber });
  };
  return named(base, [
    ["chain-none", "no batch", chain(number + 1)],
    ["chain-gap", "a gap", chain(number + 3, {}, { after: number + 2, upTo: number + 3 })],
    [
      "chain-start",
      "a first batch that begins later",
      chain(number + 2, { after: number + 1, upTo: number + 2 }),
    ],
    [
      "chain-overlap",
      "a batch that begins in the base",
      chain(number + 1, { after: 0, upTo: number + 1 }),
    ],
    ["chain-twice", "a batch twice", chain(number + 1, {}, {})],
    ["chain-short", "the last batch is missing", chain(number + 2, {})],
    [
      "chain-long",
      "a batch after the handle's changes",
      chain(number + 1, {}, { after: number + 1, upTo: number + 2 }),
    ],
    ["chain-huge", "change number 2^53", chain(number + 1, { upTo: 1n << 53n })],
    [
      "chain-backwards",
      "a batch that ends before it begins",
      chain(number + 1, { after: number + 1, upTo: number }),
    ],
    [
      "chain-foreign-count",
      "a batch of another number of key groups",
      chain(number + 1, { keyGroups: [64, 0, 63] }),
    ],
  ]);
}

function rowCases(base: Base): HostileCase[] {
  const rows = (...changes: readonly CraftedChange[]): Objects =>
    rowsOf(base, ...changes.map(change));
  const put = (more: Parameters<typeof rowKey>[0]): Objects =>
    rows({ key: rowKey(more), value: row });
  const tags = rowKey({ state: "tags", key: "a" });
  const append = ChangeKind.append;
  const tagged = Uint8Array.from(key);
  tagged[7] = 99;
  const parted = Uint8Array.from(key);
  parted[6] = 2;
  const z = { state: "total", key: "z" } as const;
  const reading = { refusedAt: "reading" } as const;
  const bytes = (...parts: readonly Uint8Array[]): Objects => rowsOf(base, concatenate(parts));
  return named(base, [
    ["row-kind", "an unknown change", rows({ kind: 4, key, value: row }), UNSUPPORTED],
    ["row-kind-none", "change 0", rows({ kind: 0, key, value: row }), UNSUPPORTED],
    ["row-key-short", "a key of eight bytes", rows({ key: key.subarray(0, 8), value: row })],
    ["row-key-cut", "a key without its end", rows({ key: key.subarray(0, 9), value: row })],
    ["row-key-huge", "a key of 4 GiB", bytes(Uint8Array.of(1, 255, 255, 255, 255, 15), key)],
    ["row-key-overflow", "a length of ten bytes", bytes(Uint8Array.of(1), OVERFLOWING_VARINT, key)],
    ["row-key-longer", "bytes behind a key", rows({ key: concatenate([key, key]), value: row })],
    ["row-value-none", "a put of nothing", rows({ key, value: new Uint8Array(0) })],
    [
      "row-value-huge",
      "a row longer than rows are",
      rows({ key, value: Buffer.alloc(491_522, 1) }),
    ],
    ["row-group-other", "a row of another key group than its key's", put({ ...z, group: 3 })],
    ["row-group-foreign", "a row of a key group outside the handle's", put({ ...z, group: 128 })],
    [
      "row-groups-descend",
      "rows that descend in their key groups",
      rows({ key: rowKey({ state: "total", key: 1 }), value: row }, { key, value: row }),
    ],
    ["row-state-unknown", "a row of an unknown state", put({ state: "nobody", key: "a" })],
    ["row-tag-unknown", "a key of an unknown type", rows({ key: tagged, value: row }), UNSUPPORTED],
    ["row-part-unknown", "an unknown part", rows({ key: parted, value: row }), UNSUPPORTED],
    [
      "row-namespace",
      "a namespace in a state without",
      put({ state: "total", key: "a", namespace: 1 }),
    ],
    ["row-no-namespace", "none in a state with", put({ state: "window", key: "a" })],
    ["row-unknown", "a row of an unknown kind", rows({ key, value: hex("09") }), UNSUPPORTED],
    ["row-expires", "a row that expires", rows({ key, value: hex("81 0000") }), UNSUPPORTED],
    ["row-number", "a number of four bytes", rows({ key, value: hex("01 00000000") })],
    ["append-value", "elements for a number", rows({ kind: append, key, value: hex("0178") })],
    [
      "append-node",
      "elements for a chunk",
      rows({ kind: append, key: rowKey({ state: "tags", key: "a", node: 0 }), value: hex("0178") }),
    ],
    ["append-none", "no elements", rows({ kind: append, key: tags, value: new Uint8Array(0) })],
    ["append-cut", "half an element", rows({ kind: append, key: tags, value: hex("0978") })],
    [
      "list-cut",
      "a list that is cut",
      rows({ key: tags, value: hex("02 00") }),
      CORRUPTION,
      reading,
    ],
    [
      "list-chunks",
      "a list whose chunks are not there",
      rows({ key: tags, value: hex("03 0000000000000000 02000000") }),
      CORRUPTION,
      reading,
    ],
    [
      "append-to-map",
      "elements behind a row that is no list",
      rows({ key: tags, value: hex("05 00") }, { kind: append, key: tags, value: hex("0178") }),
      CORRUPTION,
      reading,
    ],
  ]);
}

function tricks(base: Base): HostileCase[] {
  const objects = rowsOf(base, intact);
  const kinds: readonly Trick["kind"][] = ["symlink", "fifo", "device", "directory"];
  return [
    ...kinds.map((kind) =>
      caseOf({
        base: "lsm",
        name: `lsm-log-is-${kind}`,
        reason: `a segment is a ${kind}`,
        code: STORAGE,
        objects,
        tricks: [{ path: SEGMENT, kind }],
      }),
    ),
    caseOf({
      base: "lsm",
      name: "lsm-log-missing",
      reason: "a segment that is not there",
      code: CORRUPTION,
      objects: new Map([[METADATA, objects.get(METADATA)!]]),
    }),
  ];
}

/** Beside bases that have none. */
function otherBases({ memory, canonical }: Bases): HostileCase[] {
  return [memory, canonical].map((base) =>
    crafted(base.name, "log", "a log beside a base that has none", rowsOf(base, intact)),
  );
}

function legalCases(base: Base): HostileCase[] {
  const number = changeNumberOf(base);
  const good = segmentOf(batch({ frames: [rowsFrame(intact)] }, number));
  const torn = new Map([...withLog(base, good), [SEGMENT, concatenate([good, TORN_TAIL])]]);
  const old = { frames: [rowsFrame(intact)], after: 0, upTo: number };
  const legal = (name: string, reason: string, objects: Objects): HostileCase =>
    caseOf({ base: "lsm", name: `lsm-log-legal-${name}`, reason, code: undefined, objects });
  return [
    legal("tail", "legal: bytes behind the length that the handle names are nobody's", torn),
    legal(
      "empty",
      "legal: all of the log's changes are in the base",
      withLog(base, segmentOf(batch(old, number)), { changeNumber: number }),
    ),
    legal(
      "foreign",
      "legal: batches of the base's time may be of any key group count",
      withLog(
        base,
        segmentOf(
          batch({ ...old, keyGroups: [64, 0, 63], groups: [[0, 63]] }, number),
          good.subarray(16),
        ),
      ),
    ),
  ];
}

export function logCases(bases: Bases): HostileCase[] {
  const { lsm } = bases;
  return [
    ...metadataCases(lsm),
    ...segmentCases(lsm),
    ...chainCases(lsm),
    ...rowCases(lsm),
    ...tricks(lsm),
    ...otherBases(bases),
    ...legalCases(lsm),
  ];
}
