// Files of rows: dumps, changelog segments, and what LevelDB writes.
import { ChangeCheck } from "../../../src/format/changelog-check.ts";
import { readChanges } from "../../../src/format/changelog-rows.ts";
import { readBatchFrame, readSegmentBatches } from "../../../src/format/changelog-walk.ts";
import {
  encodeDumpFooter,
  encodeDumpHeader,
  readDump,
  writeDumpRow,
} from "../../../src/format/dump.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { concatenate } from "../../../src/format/frame-sequence.ts";
import { encodeFrame } from "../../../src/format/frame.ts";
import { stateIdOf } from "../../../src/format/key-codec.ts";
import { crc32c, maskCrc } from "../../../src/format/leveldb-crc32c.ts";
import { readLog, writeLog } from "../../../src/format/leveldb-log.ts";
import { buildManifest, replayManifest } from "../../../src/format/leveldb-manifest.ts";
import {
  type VersionEdit,
  decodeVersionEdit,
  encodeVersionEdit,
} from "../../../src/format/leveldb-version-edit.ts";
import { decodeSnappy } from "../../../src/format/snappy.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import {
  append,
  encodeBatch,
  encodeSegment,
  put,
  remove,
  rowKeyOf,
} from "../../support/changelog-segments.ts";
import { type Target, textBytes } from "./target.ts";
import { tableTargets } from "./targets-table.ts";

const checksum = await loadFrameChecksum();
const tools = { checksum, codec: loadCodec() };
const GROUPS = 8;

const changes = [
  put(rowKeyOf("value", 1, GROUPS), Uint8Array.of(1, 2, 3, 4)),
  remove(rowKeyOf("value", "gone", GROUPS)),
  append(rowKeyOf("list", 2n, GROUPS), Uint8Array.of(9), Uint8Array.of(8, 8)),
  put(rowKeyOf("map", "m", GROUPS, { node: 3 }), new Uint8Array(300).fill(7)),
];
const keyGroups = { max: GROUPS, first: 0, last: GROUPS - 1 };
const batch = { keyGroups, afterChange: 3, upToChange: 5, changes, frameRows: 2 };
const segments = [
  encodeSegment([batch], tools),
  encodeSegment([batch, { ...batch, afterChange: 5, upToChange: 6, frameRows: 1 }], tools),
  encodeSegment([], tools),
];

/** Makes header, frames and index of the batches agree with their checksums, as far as they are there. */
function sealSegment(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body);
  const view = new DataView(bytes.buffer);
  for (let at = 16; at + 56 <= bytes.length;) {
    view.setBigUint64(at + 48, checksum.xxh64(bytes.subarray(at, at + 48)), true);
    const frameCount = view.getUint32(at + 12, true);
    const indexAt = at + 56 + Number(view.getBigUint64(at + 32, true));
    for (let frame = at + 56; frame + 20 <= Math.min(indexAt, bytes.length);) {
      const end = frame + 20 + view.getUint32(frame + 8, true);
      if (end > bytes.length) break;
      view.setBigUint64(frame + 12, checksum.xxh64(bytes.subarray(frame + 20, end)), true);
      frame = end;
    }
    const sumAt = indexAt + frameCount * 8;
    if (!(sumAt + 8 <= bytes.length)) break;
    view.setBigUint64(sumAt, checksum.xxh64(bytes.subarray(indexAt, sumAt)), true);
    at = sumAt + 8;
  }
  return bytes;
}

const stateIds = ["value", "list", "map"].map(stateIdOf);
const check = new ChangeCheck({ keyGroupCount: GROUPS, stateIds, listStateIds: [stateIds[1]!] });
const all = { first: 0, last: GROUPS - 1 };

function readSegment(bytes: Uint8Array): unknown {
  const batches = readSegmentBatches(bytes, checksum, "segment");
  let rows = 0;
  for (const { frames } of batches) {
    for (const frame of frames) {
      const raw = readBatchFrame(bytes, frame, tools, "segment");
      const span = { first: frame.firstKeyGroup, last: frame.lastKeyGroup };
      rows += check.check(raw, span, all, "segment", frame.offset).rowCount;
      readChanges(raw, "segment", frame.offset, () => undefined);
    }
  }
  return rows;
}

/** The raw rows of a frame, without its header, checked as those of a segment are. */
const changeRows = (() => {
  const bytes = encodeBatch({ ...batch, frameRows: 4 }, { checksum });
  return bytes.slice(56 + 20, bytes.length - 16);
})();

function dumpRows(): Uint8Array {
  const rows = new Uint8Array(2000);
  let at = 0;
  for (let index = 0; index < 9; index++) {
    const key = rowKeyOf("value", `key-${index}`, GROUPS, { group: index >> 1 });
    at = writeDumpRow(rows, at, key, 1, new Uint8Array(1 + index * 20).fill(index));
  }
  return rows.slice(0, at);
}

/** Rows as a dump that says of itself what is true: as far as there are rows. */
function sealDump(rows: Uint8Array): Uint8Array {
  let rowCount = 0;
  for (let at = 0; at < rows.length; rowCount++) {
    const keyEnd = at + 1 + rows[at]!;
    if (rows[at]! >= 128 || keyEnd >= rows.length) break;
    const length = rows[keyEnd]!;
    const wide = length >= 128;
    const bytes = wide ? (length & 127) + (rows[keyEnd + 1] ?? 0) * 128 : length;
    at = keyEnd + (wide ? 2 : 1) + bytes;
  }
  const totals = { frameCount: 1, rowCount, rawBytes: rows.length };
  return concatenate([
    encodeDumpHeader(),
    encodeFrame(rows, tools),
    encodeDumpFooter(totals, checksum),
  ]);
}

const files = [4, 7].map((number) => ({
  number,
  level: number % 3,
  sizeBytes: 300 * number,
  smallest: Buffer.from("6101000000000000ff", "hex"),
  largest: Buffer.from("7a01000000000000ff", "hex"),
}));
const edits: readonly VersionEdit[] = [
  { comparator: "leveldb.BytewiseComparator", compactPointers: [], deletedFiles: [], newFiles: [] },
  {
    logNumber: 9,
    prevLogNumber: 0,
    nextFile: 12,
    lastSequence: 500,
    compactPointers: [{ level: 1, key: textBytes("abcdefghijk") }],
    deletedFiles: [{ level: 2, number: 5 }],
    newFiles: files,
  },
];

/** Records of a log, each after its length: made into a log whose checksums are right. */
function sealLog(body: Uint8Array): Uint8Array {
  const records: Uint8Array[] = [];
  for (let at = 0; at < body.length;) {
    const end = at + 1 + body[at]!;
    records.push(body.slice(at + 1, end));
    at = end;
  }
  return new Uint8Array(writeLog(records));
}

function recordsOf(records: readonly Uint8Array[]): Uint8Array {
  return concatenate(records.flatMap((record) => [Uint8Array.of(record.length), record]));
}

/** A log as it stands, with the checksums of what its physical records then are. */
function sealPhysical(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 7 <= bytes.length;) {
    const end = at + 7 + view.getUint16(at + 4, true);
    if (end > bytes.length) break;
    view.setUint32(at, maskCrc(crc32c(bytes, at + 6, end)), true);
    at = end;
  }
  return bytes;
}

const log = new Uint8Array(
  writeLog([
    textBytes("one"),
    new Uint8Array(40_000).fill(5),
    new Uint8Array(0),
    textBytes("four"),
  ]),
);

export const fileTargets: readonly Target[] = [
  { name: "changelog-segment", corpus: segments, seal: sealSegment, decode: readSegment },
  {
    name: "changelog-rows",
    corpus: [changeRows],
    decode: (rows) => check.check(rows, all, all, "rows", 0),
  },
  {
    name: "dump",
    corpus: [dumpRows(), new Uint8Array(0)],
    seal: sealDump,
    decode: (bytes) => readDump(bytes, tools, "dump", () => undefined),
  },
  {
    name: "leveldb-log",
    corpus: [log, log.slice(0, 17), log.slice(32_700)],
    seal: sealPhysical,
    decode: (bytes) => readLog(bytes, 0, "log").records.map((record) => record.bytes),
    encode: (records: readonly Uint8Array[]) => new Uint8Array(writeLog(records)),
  },
  {
    name: "leveldb-manifest",
    corpus: [recordsOf(edits.map(encodeVersionEdit))],
    seal: sealLog,
    decode: (bytes) => replayManifest(bytes, "MANIFEST"),
    encode: (set: ReturnType<typeof replayManifest>) =>
      new Uint8Array(buildManifest({ ...set, files: [...set.files.values()] })),
  },
  {
    name: "version-edit",
    corpus: edits.map((edit) => new Uint8Array(encodeVersionEdit(edit))),
    decode: (bytes) => decodeVersionEdit(bytes, "MANIFEST", bytes.length),
    encode: (edit: VersionEdit) => new Uint8Array(encodeVersionEdit(edit)),
  },
  {
    name: "snappy",
    corpus: ["14306162630d03", "0500686579", "00", "80025400ff01", "fa010061ea0100ba0100"].map(
      (hex) => new Uint8Array(Buffer.from(hex, "hex")),
    ),
    decode: (bytes) => decodeSnappy(bytes, 65_536, "block"),
  },
  ...tableTargets,
];
