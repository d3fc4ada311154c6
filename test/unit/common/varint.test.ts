import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { readVarint, varintBytes, writeVarint } from "../../../src/common/varint.ts";

const values = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER];

describe("a variable-length integer", () => {
  test("reads back as it was written, in as many bytes as said", () => {
    for (const value of values) {
      const bytes = new Uint8Array(10).fill(0xaa);
      const end = writeVarint(bytes, 1, value);
      assert.equal(end - 1, varintBytes(value));
      const cursor = { offset: 1 };
      assert.equal(readVarint(bytes, cursor, end), value);
      assert.equal(cursor.offset, end);
      assert.throws(() => readVarint(bytes, { offset: 1 }, end - 1), { code: "VARVE_CORRUPTION" });
    }
  });

  test("that is too large or too long is corruption", () => {
    const tooLarge = Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127);
    const tooLong = Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 1);
    for (const bytes of [tooLarge, tooLong]) {
      const read = (): number => readVarint(bytes, { offset: 0 }, bytes.length);
      assert.throws(read, { code: "VARVE_CORRUPTION" });
    }
  });
});
