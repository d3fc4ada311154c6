import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CorruptionError } from "../../../src/errors.ts";
import { decodeSnappy } from "../../../src/format/snappy.ts";

const decode = (...bytes: number[]) => decodeSnappy(Uint8Array.from(bytes), 1000, "f");
const text = (value: string) => [...Buffer.from(value)];

describe("decodeSnappy", () => {
  test("reads literals and copies of each kind", () => {
    assert.equal(decode(0).length, 0);
    assert.equal(Buffer.from(decode(3, 2 << 2, ...text("abc"))).toString(), "abc");
    // A literal of 61 bytes has its length in a byte of its own.
    const long = "x".repeat(61);
    assert.equal(Buffer.from(decode(61, 60 << 2, 60, ...text(long))).toString(), long);
    // Copies with 1, 2 and 4 bytes of offset; one that overlaps its own output.
    const one = decode(8, 3 << 2, ...text("abcd"), 1, 4);
    assert.equal(Buffer.from(one).toString(), "abcdabcd");
    const two = decode(9, 3 << 2, ...text("abcd"), (4 << 2) | 2, 2, 0);
    assert.equal(Buffer.from(two).toString(), "abcdcdcdc");
    const four = decode(6, 3 << 2, ...text("abcd"), (1 << 2) | 3, 4, 0, 0, 0);
    assert.equal(Buffer.from(four).toString(), "abcdab");
    // An offset above 255 takes its high bits from the tag.
    const far = decode(0xac, 2, 61 << 2, 39, 1, ...text("q".repeat(296)), (1 << 5) | 1, 40);
    assert.equal(far.length, 300);
  });

  test("refuses what is cut, refers to nothing, or is too long", () => {
    const refused: [string, number[]][] = [
      ["no length", []],
      ["a length without end", [255, 255, 255, 255, 255, 1]],
      ["more than allowed", [0xe9, 7, 0]],
      ["a cut literal", [3, 2 << 2, 97]],
      ["a literal beyond the length", [1, 1 << 2, 97, 97]],
      ["a cut length of a literal", [70, 60 << 2]],
      ["a copy of nothing", [4, 1, 1]],
      ["a copy with offset 0", [8, 3 << 2, 1, 2, 3, 4, 1, 0]],
      ["a copy from before the start", [8, 3 << 2, 1, 2, 3, 4, 1, 5]],
      ["a cut copy", [8, 3 << 2, 1, 2, 3, 4, 2]],
      ["too few bytes", [9, 3 << 2, 1, 2, 3, 4]],
    ];
    for (const [what, bytes] of refused) {
      assert.throws(() => decode(...bytes), CorruptionError, what);
    }
  });

  test("allocates nothing for a length that the input cannot give", () => {
    const bomb = Uint8Array.of(0x80, 0x80, 0x80, 0x20, 0, 97); // 64 MiB in six bytes.
    assert.throws(() => decodeSnappy(bomb, 67_108_864, "f"), CorruptionError);
    // What it can give: a copy of 64 bytes takes three.
    const copies = Array.from({ length: 100 }, () => [(63 << 2) | 2, 1, 0]).flat();
    assert.equal(decodeSnappy(Uint8Array.of(0x81, 50, 0, 97, ...copies), 10_000, "f").length, 6401);
  });
});
