import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { decodeFileList, encodeFileList } from "../../../src/format/file-list.ts";
import type { FileList, SstListEntry } from "../../../src/format/file-list.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { concatenate, encodeFrameSequence } from "../../../src/format/frame-sequence.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import { refuseEveryFlippedBit, refuseEveryOtherLength } from "../../support/damage.ts";
import { exampleDumpList, exampleSstSet, fixture } from "../../support/format-examples.ts";

const tools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
const rawTools = { checksum: tools.checksum };
const decode = (bytes: Uint8Array): FileList => decodeFileList(bytes, tools, "files/x");

/** Key views become plain arrays, so that lists compare by content. */
function plain(list: FileList): unknown {
  return JSON.parse(
    JSON.stringify(list, (_name, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
    ).replaceAll(/\{"type":"Buffer","data":\[[\d,]*\]\}/g, (text) =>
      JSON.stringify(Buffer.from((JSON.parse(text) as { data: number[] }).data).toString("hex")),
    ),
  );
}

describe("a file list", () => {
  test("has the bytes of the fixtures, forever", () => {
    assert.deepEqual(encodeFileList(exampleSstSet, rawTools), fixture("file-list-sst-v1.bin"));
    assert.deepEqual(encodeFileList(exampleDumpList, rawTools), fixture("file-list-dump-v1.bin"));
    assert.deepEqual(plain(decode(fixture("file-list-sst-v1.bin"))), plain(exampleSstSet));
    assert.deepEqual(decode(fixture("file-list-dump-v1.bin")), exampleDumpList);
  });

  test("brings back thousands of files", () => {
    const files = Array.from({ length: 5000 }, (_, index): SstListEntry => {
      const id = index.toString(16).padStart(32, "0");
      const key = Buffer.from(`key-${index.toString().padStart(9, "0")}`);
      return {
        id,
        lengthBytes: index * 1e8,
        sha256: id + id,
        level: index % 7,
        number: index,
        smallest: key,
        largest: key,
      };
    });
    const list: FileList = { kind: "sst-set", lastSequence: 2 ** 52, nextFile: 5000, files };
    const bytes = encodeFileList(list, tools);
    assert.ok(bytes.length < 300_000);
    assert.deepEqual(plain(decode(bytes)), plain(list));
  });

  test("may be empty", () => {
    const list: FileList = { kind: "dump", files: [] };
    assert.deepEqual(decode(encodeFileList(list, tools)), list);
  });

  test("refuses every flipped bit and every other length", () => {
    for (const list of [exampleSstSet, exampleDumpList]) {
      for (const variant of [rawTools, tools]) {
        const clean = encodeFileList(list, variant);
        refuseEveryFlippedBit(clean, decode);
        refuseEveryOtherLength(clean, decode);
      }
    }
  });

  test("refuses unknown versions and kinds by name", () => {
    const version = Buffer.from(encodeFileList(exampleSstSet, tools));
    version.writeUInt32LE(2, 8);
    assert.throws(() => decode(version), {
      code: "VARVE_UNSUPPORTED_FORMAT",
      found: "version 2",
    });
    assert.throws(() => decode(hostile("0400")), {
      code: "VARVE_UNSUPPORTED_FORMAT",
      found: "kind 4",
    });
  });

  test.for([
    ["a count without files", "02ffff03"],
    ["a count beyond the limit", "02ffffffffffff7f"],
    ["a count in more bytes than needed", "028000"],
    ["a file twice", `0202${`${"11".repeat(16)}05${"aa".repeat(32)}01`.repeat(2)}`],
    ["bytes after the last file", "020000"],
    ["an absurd file length", `0201${"11".repeat(16)}ffffffffffffff7f${"aa".repeat(32)}01`],
    [
      "a level above six",
      `0101010a${"11".repeat(16)}05${"aa".repeat(32)}070108${"00".repeat(8)}08`,
    ],
    ["a number not below the next", `0101010a${"11".repeat(16)}05${"aa".repeat(32)}000a08`],
    ["a key that is too short", `0101010a${"11".repeat(16)}05${"aa".repeat(32)}000107`],
    ["a key that is too long", `0101010a${"11".repeat(16)}05${"aa".repeat(32)}0001ffff7f`],
    ["nothing", ""],
  ])("refuses %s", ([, body]) => {
    assert.throws(() => decode(hostile(body!)), { code: "VARVE_CORRUPTION", file: "files/x" });
  });
});

/** A list with valid frames around a hostile body. */
function hostile(body: string): Uint8Array {
  const header = encodeFileList({ kind: "dump", files: [] }, tools).subarray(0, 16);
  return concatenate([header, encodeFrameSequence(Buffer.from(body, "hex"), tools)]);
}
