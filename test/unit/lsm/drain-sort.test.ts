// Goal: more rows than the sort has positions for (2,097,152) come out in order, each once, and
// records of one key as they were written.
// Method: a hand-made arena of the smallest records, larger than that limit.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { recordUnits } from "../../../src/format/row-record.ts";
import { SortScratch, isSameKey, sortRows } from "../../../src/lsm/drain-sort.ts";
import { randomNumbers } from "./fixture.ts";

const ROWS = 2_200_000;
const KEY_BYTES = 16;
const UNITS = recordUnits(KEY_BYTES, 0);

/** One record per row, whose key is a fixed prefix and what `suffixOf` gives. */
function recordsOf(suffixOf: (row: number) => readonly [high: number, low: number]): {
  readonly words: Int32Array;
  readonly references: Int32Array;
} {
  const words = new Int32Array((ROWS + 1) * UNITS * 2);
  const bytes = Buffer.from(words.buffer);
  const references = new Int32Array(ROWS);
  for (let row = 0; row < ROWS; row++) {
    const reference = (row + 1) * UNITS;
    references[row] = reference;
    words[reference * 2 + 1] = KEY_BYTES;
    words[reference * 2 + 2] = UNITS << 16;
    const [high, low] = suffixOf(row);
    const key = (reference + 2) * 8;
    bytes.writeUInt32BE(0x0003_0102, key);
    bytes.writeUInt32BE(0x0304_0000, key + 4);
    bytes.writeUInt32BE(high, key + 8);
    bytes.writeUInt32BE(low, key + 12);
  }
  return { words, references };
}

function assertSorted(words: Int32Array, references: Int32Array): void {
  const bytes = Buffer.from(words.buffer);
  const seen = new Uint8Array(ROWS + 1);
  for (let index = 0; index < ROWS; index++) {
    const reference = references[index]!;
    seen[reference / UNITS]! += 1;
    if (index === 0) continue;
    const before = references[index - 1]!;
    const [left, right] = [(before + 2) * 8, (reference + 2) * 8];
    const order = bytes.compare(bytes, right, right + KEY_BYTES, left, left + KEY_BYTES);
    if (order > 0) assert.fail(`row ${index} is before its predecessor`);
    if (order === 0 && before >= reference) assert.fail(`row ${index} lost its turn`);
    if ((order === 0) !== isSameKey(words, before, reference)) assert.fail("keys compare twice");
  }
  assert.equal(
    seen.subarray(1).every((times) => times === 1),
    true,
  );
}

describe("a drain of more rows than the sort has positions for", () => {
  test("is in order, also where keys of both halves agree in their first digits", () => {
    const random = randomNumbers(21);
    const { words, references } = recordsOf((row) => [
      random(5),
      row % 7 === 0 ? 9 : random(2 ** 31),
    ]);
    sortRows(words, references, ROWS, new SortScratch());
    assertSorted(words, references);
  });

  test("keeps the order of records of one key", () => {
    const { words, references } = recordsOf(() => [1, 1]);
    sortRows(words, references, ROWS, new SortScratch());
    assertSorted(words, references);
  });
});
