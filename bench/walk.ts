// node dist/bench/walk.js --json
import { createHash } from "node:crypto";
import { stateIdOf } from "../src/format/key-codec.ts";
import { readTableEnd, locateTableEnd } from "../src/format/leveldb-table-end.ts";
import { BUILT_SEQUENCE, TableBuilder } from "../src/format/leveldb-table-builder.ts";
import { type TableClaims, TableWalk } from "../src/format/leveldb-table-walk.ts";
import { decodeHashedBlock, readFooter } from "../src/format/leveldb-table.ts";
import { Report, readArguments } from "./support/command.ts";
import { fillBytes } from "./support/sequences.ts";
import { spreadOf } from "./support/statistics.ts";

const help = `Usage: node dist/bench/walk.js [--json] [--quick] [--help]

Reading every entry of a table before LevelDB does: bytes a second of one thread, rows of 100 bytes,
beside SHA-256 of the same bytes, which a restore pays as well.

  --json   one JSON object a line
  --quick  8 MB instead of 64 MB
`;

const { json, quick } = readArguments(help);
const report = new Report(json);
const tableBytes = (quick ? 8 : 64) * 1_000_000;
const rounds = quick ? 9 : 15;
const rowBytes = 100;
const groups = 128;
const askedBytesPerSecond = 600e6;

interface Table {
  readonly bytes: Uint8Array;
  readonly claims: TableClaims;
}

/** Number keys, as a counter has them: 16 bytes a key. */
function makeTable(): Table {
  const pieces: Uint8Array[] = [];
  const builder = new TableBuilder(4096, (piece) => pieces.push(piece.slice()));
  const row = new Uint8Array(16 + rowBytes);
  const view = new DataView(row.buffer);
  const stateId = stateIdOf("walked");
  fillBytes(row, 1, 1);
  row[16] = 1;
  const count = Math.floor(tableBytes / row.length);
  for (let key = 0; key < count; key++) {
    view.setUint16(0, Math.floor((key / count) * groups));
    view.setUint32(2, stateId);
    view.setUint16(6, 0x10);
    view.setFloat64(8, key + 1e6);
    builder.add(row, 0, 16, 16, row.length);
  }
  const bounds = builder.finish()!;
  const keyGroups = { first: 0, last: groups - 1 };
  const claims = { ...bounds, lastSequence: BUILT_SEQUENCE, keyGroups, stateIds: [stateId] };
  return { bytes: Buffer.concat(pieces), claims };
}

function walk({ bytes, claims }: Table): number {
  const handles = readFooter(bytes.subarray(-48), bytes.length, "walked");
  const dataEnd = locateTableEnd(bytes, bytes.length, handles, decodeHashedBlock, "walked");
  const end = readTableEnd(
    bytes,
    bytes.length,
    dataEnd,
    handles.index,
    decodeHashedBlock,
    "walked",
  );
  const walked = new TableWalk(end, claims, "walked");
  while (walked.next()) walked.block(bytes, walked.index.offset);
  return walked.entryCount;
}

function rateOf(bytes: number, work: () => void): ReturnType<typeof spreadOf> {
  for (let round = 0; round < 3; round++) work();
  const rates = Array.from({ length: rounds }, () => {
    const start = performance.now();
    work();
    return bytes / ((performance.now() - start) / 1000);
  });
  return spreadOf(rates);
}

const table = makeTable();
const { length } = table.bytes;
const entries = walk(table);
const walked = rateOf(length, () => walk(table));
const hashed = rateOf(length, () => createHash("sha256").update(table.bytes).digest());
report.measure({
  id: "walk",
  name: "every entry of a table, bytes a second of one thread",
  value: walked.median,
  asked: `>= ${askedBytesPerSecond}`,
  ok: walked.median >= askedBytesPerSecond,
  unit: "bytes/s",
  floor: hashed.median,
  ratio: walked.median / hashed.median,
  spread: walked,
  details: {
    entries,
    bytes: length,
    rowBytes,
    nsPerEntry: (length / walked.median / entries) * 1e9,
  },
});
