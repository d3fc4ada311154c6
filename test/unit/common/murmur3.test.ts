import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { murmurBytes, murmurWords } from "../../../src/common/murmur3.ts";

describe("MurmurHash3_x86_32", () => {
  // Published vectors: SMHasher and the Wikipedia article.
  const vectors = [
    ["", 0, 0],
    ["", 1, 0x514e28b7],
    ["", 0xffffffff, 0x81f16f39],
    ["test", 0, 0xba6bd213],
    ["test", 0x9747b28c, 0x704b81dc],
    ["aaaa", 0x9747b28c, 0x5a97808a],
  ] as const;
  for (const [text, seed, expected] of vectors) {
    test(`of ${JSON.stringify(text)}, seed ${seed}, is the published value`, () => {
      assert.equal(murmurBytes(seed, Buffer.from(text)) >>> 0, expected);
    });
  }

  test("over words is that over their bytes", () => {
    const words = Int32Array.of(1, -2, 0x7fffffff, 0);
    const bytes = new Uint8Array(words.buffer);
    assert.equal(murmurWords(7, words, 0, 4), murmurBytes(7, bytes));
    assert.equal(murmurWords(7, words, 1, 2), murmurBytes(7, bytes.subarray(4, 12)));
  });
});
