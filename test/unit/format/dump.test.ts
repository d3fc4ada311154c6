import assert from "node:assert/strict";
import { describe, test } from "vitest";
import {
  dumpRowBytes,
  encodeDumpFooter,
  encodeDumpHeader,
  readDump,
  readDumpRows,
  writeDumpRow,
} from "../../../src/format/dump.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { concatenate } from "../../../src/format/frame-sequence.ts";
import { encodeFrame } from "../../../src/format/frame.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import { refuseEveryFlippedBit, refuseEveryOtherLength } from "../../support/damage.ts";
import { fixture } from "../../support/format-examples.ts";

const checksum = await loadFrameChecksum();
const tools = { checksum, codec: loadCodec() };
type Row = readonly [key: string, header: number, payload: string];

function rowsBytes(rows: readonly Row[]): Uint8Array {
  const parts = rows.map(([key, header, payload]) => {
    const [keyBytes, payloadBytes] = [Buffer.from(key), Buffer.from(payload)];
    const row = new Uint8Array(dumpRowBytes(keyBytes.length, payloadBytes.length + 1));
    assert.equal(writeDumpRow(row, 0, keyBytes, header, payloadBytes), row.length);
    return row;
  });
  return concatenate(parts);
}

function dump(
  frames: readonly (readonly Row[])[],
  changed: { rowCount?: number } = {},
): Uint8Array {
  const raw = frames.map(rowsBytes);
  const totals = {
    frameCount: frames.length,
    rowCount: frames.flat().length,
    rawBytes: raw.reduce((sum, bytes) => sum + bytes.length, 0),
    ...changed,
  };
  return concatenate([
    encodeDumpHeader(),
    ...raw.map((bytes) => encodeFrame(bytes, { checksum })),
    encodeDumpFooter(totals, checksum),
  ]);
}

function decode(bytes: Uint8Array): Row[] {
  const rows: Row[] = [];
  readDump(bytes, tools, "d", (frame) => {
    readDumpRows(frame, "d", 0, (key, row) => {
      rows.push([Buffer.from(key).toString(), row[0]!, Buffer.from(row.subarray(1)).toString()]);
    });
  });
  return rows;
}

const example: readonly (readonly Row[])[] = [
  [
    ["a", 1, "one"],
    ["ab", 2, ""],
  ],
  [["b", 1, "three"]],
];

describe("a dump", () => {
  test("has the bytes of the fixture, forever", () => {
    assert.deepEqual(dump(example), fixture("dump-v1.bin"));
    assert.deepEqual(decode(fixture("dump-v1.bin")), example.flat());
  });

  test("may be empty", () => {
    assert.deepEqual(decode(dump([])), []);
  });

  test("refuses every flipped bit and every other length", () => {
    refuseEveryFlippedBit(dump(example), decode);
    refuseEveryOtherLength(dump(example), decode);
  });

  test("refuses keys that do not ascend, within a frame and across frames", () => {
    const [a, b]: [Row, Row] = [
      ["a", 1, ""],
      ["b", 1, ""],
    ];
    for (const frames of [[[b, a]], [[b], [a]], [[a, a]], [[a], [a]]]) {
      assert.throws(() => decode(dump(frames)), { code: "VARVE_CORRUPTION", file: "d" });
    }
  });

  test("refuses a footer that disagrees, and unknown versions by name", () => {
    assert.throws(() => decode(dump(example, { rowCount: 4 })), { code: "VARVE_CORRUPTION" });
    const version = Buffer.from(dump(example));
    version.writeUInt32LE(3, 8);
    assert.throws(() => decode(version), {
      code: "VARVE_UNSUPPORTED_FORMAT",
      found: "version 3",
    });
  });

  test("refuses a file that lacks a whole frame", () => {
    const whole = dump(example);
    const [withoutSecond] = [dump(example.slice(0, 1))];
    const footer = whole.subarray(whole.length - 40);
    const cut = concatenate([withoutSecond.subarray(0, withoutSecond.length - 40), footer]);
    assert.throws(() => decode(cut), { code: "VARVE_CORRUPTION" });
  });

  test.for([
    ["an empty key", "000101"],
    ["an empty row", "016100"],
    ["a row that ends early", "01610501"],
    ["a key that is too long", `8180${"01"}`],
    ["a cut length", "80"],
  ])("refuses %s", ([, hex]) => {
    const bytes = Buffer.from(hex!, "hex");
    assert.throws(() => readDumpRows(bytes, "d", 5, () => undefined), {
      code: "VARVE_CORRUPTION",
      offsetBytes: 5,
    });
  });
});
