import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "vitest";
import type { JsonValue } from "../../../src/api/keyed-state-backend.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { encodeFrame } from "../../../src/format/frame.ts";
import { decodeHint, encodeHint } from "../../../src/format/metadata-hint.ts";
import { decodeMetadata, encodeMetadata } from "../../../src/format/metadata.ts";
import type { CheckpointMetadata } from "../../../src/format/metadata.ts";
import { refuseEveryFlippedBit, refuseEveryOtherLength } from "../../support/damage.ts";
import { exampleMetadata, fixture } from "../../support/format-examples.ts";

const checksum = await loadFrameChecksum();
const decode = (bytes: Uint8Array): CheckpointMetadata => decodeMetadata(bytes, checksum, "m");
const exampleJson = jsonOf(encodeMetadata(exampleMetadata, checksum));

function jsonOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(36, bytes.length - 32)).toString();
}

/** Metadata around any text, with valid checksums: what somebody malicious would write. */
function forged(text: string | Uint8Array): Uint8Array {
  const header = Buffer.alloc(16);
  header.write("VARVECHK");
  header.writeUInt32LE(1, 8);
  const frame = encodeFrame(typeof text === "string" ? Buffer.from(text) : text, { checksum });
  const hashed = Buffer.concat([header, frame]);
  return Buffer.concat([hashed, createHash("sha256").update(hashed).digest()]);
}

describe("checkpoint metadata", () => {
  test("has the bytes of the fixture, forever", () => {
    const golden = fixture("checkpoint-metadata-v1.bin");
    assert.deepEqual(encodeMetadata(exampleMetadata, checksum), golden);
    assert.deepEqual(decode(golden), exampleMetadata);
  });

  test("brings back user metadata of every shape", () => {
    const values: JsonValue[] = [
      null,
      true,
      0,
      -1.5e-300,
      "",
      "é\u{1f600}\u0000\u2028",
      [],
      {},
      [1, [2, [3]]],
      { a: { b: [null] }, constructor: 1, toString: "x", hasOwnProperty: null, "1": 2 },
    ];
    for (const userMetadata of values) {
      const back = decode(encodeMetadata({ ...exampleMetadata, userMetadata }, checksum));
      assert.deepEqual(back.userMetadata, userMetadata);
    }
    const absent = { ...exampleMetadata, userMetadata: undefined };
    assert.equal(decode(encodeMetadata(absent, checksum)).userMetadata, undefined);
    const extended = { ...exampleMetadata, extensions: { later: [1] } };
    assert.deepEqual(decode(encodeMetadata(extended, checksum)), extended);
  });

  test.for<[string, unknown]>([
    ["NaN", Number.NaN],
    ["infinity", { a: [Infinity] }],
    ["-0", -0],
    ["undefined in an object", { a: undefined }],
    ["a hole", [, 1]], // oxlint-disable-line no-sparse-arrays
    ["a bigint", 1n],
    ["a function", { a: () => 1 }],
    ["a date", new Date(0)],
    ["a map", new Map()],
    ["a typed array", new Uint8Array(1)],
    ["an object with toJSON", { toJSON: () => 1 }],
    ["a symbol as a name", { [Symbol("x")]: 1 }],
    ["a lone surrogate", ["\ud800"]],
    ["a lone surrogate in a name", { "\udc00": 1 }],
    ["__proto__ as a name", JSON.parse('{"__proto__":{"x":1}}')],
    ["a class instance", new (class Foo {})()],
    ["a cycle", cycle()],
    ["deep nesting", nested(40)],
    ["more than a MiB", "x".repeat(1_048_575)],
  ])("refuses user metadata that is %s", ([, userMetadata]) => {
    assert.throws(
      () =>
        encodeMetadata({ ...exampleMetadata, userMetadata: userMetadata as JsonValue }, checksum),
      { code: "VARVE_INVALID_ARGUMENT" },
    );
  });

  test("refuses every flipped bit and every other length", () => {
    const clean = encodeMetadata(exampleMetadata, checksum);
    refuseEveryFlippedBit(clean, decode);
    refuseEveryOtherLength(clean, decode);
  });

  test("refuses unknown versions, fields, kinds, policies and segments by name", () => {
    const version = Buffer.from(encodeMetadata(exampleMetadata, checksum));
    version.writeUInt32LE(7, 8);
    assert.throws(() => decode(version), {
      code: "VARVE_UNSUPPORTED_FORMAT",
      found: "version 7",
    });
    const replacements = [
      ['"policy":"incremental"', '"policy":"journal"', '"journal"'],
      ['"backendKind":"lsm"', '"backendKind":"rocks"', '"rocks"'],
      ['"kind":"sst-set"', '"kind":"btree"', '"btree"'],
      ['"type":"value"', '"type":"heap"', '"heap"'],
      ['"segments":[]', '"segments":[1]', "changelog segments"],
      ['"policy":', '"zone":1,"policy":', 'the field "zone"'],
      ['"number":2}', '"number":2,"x":1}', 'the field "x"'],
    ] as const;
    for (const [from, to, found] of replacements) {
      assert.ok(exampleJson.includes(from), from);
      const bytes = forged(exampleJson.replace(from, to));
      assert.throws(() => decode(bytes), { code: "VARVE_UNSUPPORTED_FORMAT", found }, to);
    }
  });

  const id = `"id":"${"33".repeat(16)}"`;
  test.for([
    ["an absolute path as an id", id, '"id":"/etc/passwd"'],
    ["a climbing path as an id", id, `"id":"../../../${"3".repeat(23)}"`],
    ["an upper-case id", id, `"id":"${"AA".repeat(16)}"`],
    ["an id with a NUL", id, `"id":"${"33".repeat(15)}3\\u0000"`],
    ["a look-alike digit", id, `"id":"${"33".repeat(15)}3\u0663"`],
    ["an absurd length", '"lengthBytes":150', '"lengthBytes":9007199254740993'],
    ["a negative length", '"lengthBytes":150', '"lengthBytes":-1'],
    ["a fractional length", '"lengthBytes":150', '"lengthBytes":1.5'],
    ["an overflowing number", '"lengthBytes":150', '"lengthBytes":1e400'],
    ["a number spelt otherwise", '"lengthBytes":150', '"lengthBytes":1.5e2'],
    ["white space", '"lengthBytes":150', '"lengthBytes": 150'],
    ["a duplicate name", '"checkpointId":5', '"checkpointId":5,"checkpointId":5'],
    ["fields in another order", '"max":128,"first":0', '"first":0,"max":128'],
    ["a missing field", '"createdAtMs":1700000000000,', ""],
    ["too many files", '"fileCount":1', '"fileCount":1000001'],
    ["reversed key groups", '"first":0,"last":127', '"first":9,"last":3'],
    ["key groups beyond the maximum", '"last":127', '"last":128'],
    ["no handles", /"handles":\[.*\],"segments"/, '"handles":[],"segments"'],
    ["overlapping handles", /"handles":\[(.*)\],"segments"/, '"handles":[$1,$1],"segments"'],
    ["a state twice", /"states":\[(.*?\})\]/, '"states":[$1,$1]'],
    ["an endless name", '"name":"total"', `"name":"${"x".repeat(257)}"`],
    ["a lone surrogate", '"name":"total"', '"name":"\\ud800"'],
    ["an oldest above itself", '"oldestRetained":2', '"oldestRetained":4'],
    ["number zero", '"completionNumber":3', '"completionNumber":0'],
    ["__proto__ in user metadata", '"flights-0":"184467"', '"__proto__":{"x":1}'],
    ["a number as an object", '"writerEpoch":{', '"writerEpoch":5,"y":{'],
    ["extensions that are a list", "}}}", '}},"extensions":[]}'],
  ] as const)("refuses %s", ([, from, to]) => {
    const text = exampleJson.replace(from, to);
    assert.notEqual(text, exampleJson);
    let thrown: unknown;
    try {
      decode(forged(text));
    } catch (error) {
      thrown = error;
    }
    const { code } = thrown as { code?: string };
    assert.match(String(code), /^VARVE_(CORRUPTION|UNSUPPORTED_FORMAT)$/);
  });

  test("pollutes no prototype", () => {
    for (const name of ["__proto__", "constructor", "prototype"]) {
      const text = exampleJson.replace('"policy":', `"${name}":{"polluted":1},"policy":`);
      assert.throws(() => decode(forged(text)), { code: "VARVE_UNSUPPORTED_FORMAT" });
    }
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });

  test.for([
    ["text that is no JSON", "{"],
    ["an array", "[]"],
    ["null", "null"],
    ["nesting beyond any stack", `${"[".repeat(1_000_000)}`],
    ["a byte order mark", "\ufeff{}"],
    ["nothing", ""],
  ])("refuses %s", ([, text]) => {
    assert.throws(() => decode(forged(text!)), { code: "VARVE_CORRUPTION", file: "m" });
  });

  test("refuses bytes that are not UTF-8", () => {
    assert.throws(() => decode(forged(Uint8Array.of(0x22, 0xff, 0x22))), {
      code: "VARVE_CORRUPTION",
    });
  });
});

describe("the hint", () => {
  test("has the bytes of the page", () => {
    assert.equal(
      Buffer.from(encodeHint(42)).toString(),
      Buffer.from(fixture("latest-v1.txt")).toString(),
    );
    assert.equal(decodeHint(fixture("latest-v1.txt")), 42);
  });

  test("is ignored when any bit of it or its length differs", () => {
    const clean = encodeHint(42);
    for (let bit = 0; bit < clean.length * 8; bit++) {
      const dirty = Uint8Array.from(clean);
      dirty[Math.floor(bit / 8)]! ^= 1 << (bit % 8);
      assert.equal(decodeHint(dirty), undefined, `bit ${bit}`);
    }
    for (let length = 0; length < clean.length; length++) {
      assert.equal(decodeHint(clean.subarray(0, length)), undefined);
    }
    assert.equal(decodeHint(Buffer.concat([clean, Buffer.from("\n")])), undefined);
  });
});

function cycle(): unknown {
  const value: { self?: unknown } = {};
  value.self = value;
  return value;
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}
