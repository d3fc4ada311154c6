// Goal: the checksum is CRC-32C of any piece of an array, whatever its start and length.
// Method: the vectors of RFC 3720, B.4, and random pieces beside bit by bit.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import { crc32c } from "../../../src/format/leveldb-crc32c.ts";

function bitByBit(bytes: Uint8Array): number {
  let state = -1;
  for (const byte of bytes) {
    state ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      state = (state & 1) !== 0 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1;
    }
  }
  return ~state >>> 0;
}

describe("CRC-32C", () => {
  test("is what RFC 3720 says", () => {
    const ascending = Uint8Array.from({ length: 32 }, (_, index) => index);
    const vectors: readonly (readonly [Uint8Array, number])[] = [
      [new Uint8Array(32), 0x8a9136aa],
      [new Uint8Array(32).fill(0xff), 0x62a8ab43],
      [ascending, 0x46dd794e],
      [ascending.slice().reverse(), 0x113fdb5c],
    ];
    for (const [bytes, expected] of vectors) assert.equal(crc32c(bytes, 0, 32), expected);
  });

  test("is that of the piece alone, of any start and length", () => {
    const random = seededRandom(7);
    const all = Uint8Array.from({ length: 300 }, () => Math.floor(random() * 256));
    const bytes = all.subarray(3); // Not at its buffer's start.
    for (let length = 0; length <= 70; length++) {
      const start = Math.floor(random() * (bytes.length - length));
      const piece = bytes.slice(start, start + length);
      assert.equal(crc32c(bytes, start, start + length), bitByBit(piece), `${start} ${length}`);
    }
  });
});
