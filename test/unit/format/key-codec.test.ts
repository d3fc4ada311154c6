import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "vitest";
import { keyGroupOf } from "../../../src/common/key-group.ts";
import type { Key } from "../../../src/api/state.ts";
import {
  decodeKey,
  encodeKeyPayload,
  hashKeyPayload,
  keyTagOf,
  skipKey,
  stateIdOf,
} from "../../../src/format/key-codec.ts";

/** As in the page's table: key, payload, signed hash, group of 128. Frozen: rows are stored by it. */
const vectors: readonly (readonly [string, Key, string, number, number])[] = [
  ["0", 0, "8000000000000000", -1949522391, 41],
  ["1", 1, "bff0000000000000", 1565767806, 126],
  ["-1.5", -1.5, "4007ffffffffffff", -817514956, 52],
  ["0n", 0n, "80", -143806912, 64],
  ["1n", 1n, "8101", 434275396, 68],
  ["-256n", -256n, "7dfeff", 1954929029, 5],
  ['""', "", "0001", 729793808, 16],
  ['"a"', "a", "610001", 831305367, 23],
  ['"1"', "1", "310001", -570081461, 75],
  ['"a\\0b"', "a\0b", "6100ff620001", 2070628364, 12],
  ['"ü"', "ü", "c3bc0001", 273246199, 119],
  ["no bytes", new Uint8Array(0), "0001", -2106633376, 96],
  ["bytes 00 FF", Uint8Array.of(0, 255), "00ffff0001", -256147731, 109],
];

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Tag and payload. */
function encoded(key: Key): Uint8Array {
  return Uint8Array.of(keyTagOf(key), ...encodeKeyPayload(key));
}

describe("a key", () => {
  test("encodes and hashes to the vectors of the page", () => {
    const page = readFileSync("docs/formats/row-key.md", "utf8").replaceAll(/ +/g, " ");
    for (const [name, key, payload, hash, group] of vectors) {
      assert.equal(hex(encodeKeyPayload(key)), payload, name);
      assert.equal(hashKeyPayload(keyTagOf(key), encodeKeyPayload(key)), hash, name);
      assert.equal(keyGroupOf(hash, 128), group, name);
      const row = `| \`${name}\` | \`${payload}\` | ${hash} | ${group} |`;
      assert.ok(page.includes(row), `the page lacks ${row}`);
    }
  });

  test("has the state id of the page's vectors", () => {
    assert.deepEqual(["total", "a", "ü"].map(stateIdOf), [2001322039, 1455541201, 1843317595]);
  });

  test("that is cut anywhere, or malformed, is refused with a typed error", () => {
    for (const [name, key] of vectors) {
      const bytes = encoded(key);
      for (let length = 0; length < bytes.length; length++) {
        const decode = (): Key => decodeKey(bytes.subarray(0, length), { offset: 0 });
        assert.throws(decode, { code: "VARVE_CORRUPTION" }, `${name}, ${length} bytes`);
      }
    }
    const malformed = ["30 61 00 02", "30 ff 00 01", "20 7f", "20 00 00", "20 ff 00"];
    for (const text of malformed) {
      const bytes = Buffer.from(text.replaceAll(" ", ""), "hex");
      assert.throws(() => decodeKey(bytes, { offset: 0 }), { code: "VARVE_CORRUPTION" }, text);
    }
    const unknown = (): Key => decodeKey(Uint8Array.of(17, 0), { offset: 0 });
    assert.throws(unknown, { code: "VARVE_UNSUPPORTED_FORMAT" });
  });

  test("spelt as no writer spells one is refused: nobody would find its row", () => {
    const negativeZero = "10 7f ff ff ff ff ff ff ff";
    const notNumbers = ["10 ff f8 00 00 00 00 00 00", "10 00 00 00 00 00 00 00 00"];
    const longBigints = ["20 81 00", "20 82 00 05", "20 7e ff", "20 7d ff 05"];
    for (const text of [negativeZero, ...notNumbers, ...longBigints]) {
      const bytes = Buffer.from(text.replaceAll(" ", ""), "hex");
      assert.throws(() => decodeKey(bytes, { offset: 0 }), { code: "VARVE_CORRUPTION" }, text);
    }
  });

  test("of bytes is a copy, also of a Buffer, whose slice would be a view", () => {
    const key = Uint8Array.of(1, 2, 3);
    const stored = Buffer.from([keyTagOf(key), ...encodeKeyPayload(key)]);
    const decoded = decodeKey(stored, { offset: 0 });
    stored.fill(0);
    assert.deepEqual(decoded, key);
  });

  test("has limits: 4,096 bytes encoded, 120 bytes of magnitude", () => {
    assert.equal(encodeKeyPayload("x".repeat(4094)).length, 4096);
    assert.equal(encodeKeyPayload("\0".repeat(2047)).length, 4096);
    assert.equal(encodeKeyPayload(2n ** 960n - 1n).length, 121);
    const tooLarge: Key[] = [
      "x".repeat(4095),
      "\0".repeat(2048),
      new Uint8Array(4095),
      2n ** 960n,
      -(2n ** 960n),
    ];
    for (const key of tooLarge) {
      assert.throws(() => encodeKeyPayload(key), { code: "VARVE_INVALID_ARGUMENT" });
    }
  });

  test("is passed over without being decoded, where it decodes", () => {
    for (const [name, key] of vectors) {
      const bytes = Buffer.concat([Buffer.alloc(3, 0xff), encoded(key), Buffer.alloc(2, 0xff)]);
      assert.equal(skipKey(bytes, 3), bytes.length - 2, name);
      for (let length = 3; length < bytes.length - 2; length++) {
        const skip = (): number => skipKey(bytes.subarray(0, length), 3);
        assert.throws(skip, { code: "VARVE_CORRUPTION" }, `${name}, ${length - 3} bytes`);
      }
    }
    const malformed = ["30 61 00 02", "30 00 ff 61", "40 00 ff 00", "20 82 01"];
    for (const text of malformed) {
      const bytes = Buffer.from(text.replaceAll(" ", ""), "hex");
      assert.throws(() => skipKey(bytes, 0), { code: "VARVE_CORRUPTION" }, text);
    }
    for (const tag of [0, 15, 17, 33, 49, 65, 255]) {
      const bytes = Uint8Array.of(tag, 0, 1, 0, 0, 0, 0, 0, 0, 0);
      const unknown = { code: "VARVE_UNSUPPORTED_FORMAT" };
      assert.throws(() => skipKey(bytes, 0), unknown, `tag ${tag}`);
      assert.throws(() => decodeKey(bytes, { offset: 0 }), unknown, `tag ${tag}`);
    }
  });

  test("of a string that is not UTF-8 is refused", () => {
    for (const text of ["30 ff 00 01", "30 c3 00 01", "30 ed a0 80 00 01", "30 c0 80 00 01"]) {
      const bytes = Buffer.from(text.replaceAll(" ", ""), "hex");
      const expected = { code: "VARVE_CORRUPTION", message: /not UTF-8/ };
      assert.throws(() => decodeKey(bytes, { offset: 0 }), expected, text);
    }
  });

  test("decodes to what it was made of, at the place of the cursor", () => {
    const { MAX_VALUE, MIN_VALUE, NEGATIVE_INFINITY, POSITIVE_INFINITY } = Number;
    const numbers = [0, 1, -1, 0.1, -0.1, MAX_VALUE, -MAX_VALUE, MIN_VALUE, -MIN_VALUE];
    const bigints = [0n, 1n, -1n, 255n, -255n, 256n, -256n, 2n ** 64n, -(2n ** 64n)];
    const limits = [2n ** 960n - 1n, 1n - 2n ** 960n, NEGATIVE_INFINITY, POSITIVE_INFINITY];
    const texts = ["", "a", "\0", "a\0\0b", "\uFEFFü", "😀", "x".repeat(4094)];
    const bytes = [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0, 255, 1, 0)];
    for (const key of [...numbers, ...bigints, ...limits, ...texts, ...bytes]) {
      const stored = Buffer.concat([Buffer.alloc(5, 1), encoded(key), Buffer.alloc(5, 1)]);
      const cursor = { offset: 5 };
      assert.deepEqual(decodeKey(stored, cursor), key);
      assert.equal(cursor.offset, stored.length - 5);
    }
    assert.ok(Object.is(decodeKey(encoded(-0), { offset: 0 }), 0));
  });

  test("is ordered as what it was made of", () => {
    const ascending: readonly (readonly Key[])[] = [
      [
        Number.NEGATIVE_INFINITY,
        -1e300,
        -1.5,
        -1,
        -Number.MIN_VALUE,
        0,
        Number.MIN_VALUE,
        1,
        1e300,
      ],
      [
        -(2n ** 960n) + 1n,
        -65_536n,
        -256n,
        -255n,
        -2n,
        -1n,
        0n,
        1n,
        255n,
        256n,
        65_536n,
        2n ** 100n,
      ],
      ["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "aa", "b", "ü"],
      [[], [0], [0, 0], [0, 1], [0, 255], [1], [1, 0], [255], [255, 0]].map((key) =>
        Uint8Array.from(key),
      ),
    ];
    for (const keys of ascending) {
      const payloads = keys.map(encodeKeyPayload);
      for (let at = 1; at < payloads.length; at++) {
        assert.ok(Buffer.compare(payloads[at - 1]!, payloads[at]!) < 0, String(keys[at]));
      }
    }
  });

  test("of anything else is refused, and the message says what it was", () => {
    const others: readonly (readonly [unknown, RegExp])[] = [
      [null, /got null$/],
      [undefined, /got undefined$/],
      [true, /got boolean$/],
      [{}, /got object$/],
      [[1], /got object$/],
      [Symbol("s"), /got symbol$/],
      [new Uint16Array(1), /got object$/],
      [Number.NaN, /NaN/],
      ["a\ud800", /lone surrogate/],
    ];
    for (const [key, message] of others) {
      const expected = { code: "VARVE_INVALID_ARGUMENT", message };
      assert.throws(() => encodeKeyPayload(key as Key), expected);
    }
  });
});
