import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CHUNK_BYTES, CHUNK_UNITS, RecordFlag } from "../../../src/format/row-record.ts";
import { ChunkPool } from "../../../src/memory/chunk-pool.ts";
import { RowKey } from "../../../src/memory/row-key.ts";
import { WriteBuffer } from "../../../src/memory/write-buffer.ts";

const owner = {
  generationSealed: (): void => undefined,
  exhausted: (): never => assert.fail("exhausted"),
};

function bufferOf(cold?: {
  readonly isEmpty: boolean;
  getSync(key: Uint8Array): Uint8Array | undefined;
}) {
  const pool = new ChunkPool(16 * CHUNK_BYTES + 65_536);
  return new WriteBuffer(pool, cold, owner);
}

function rowOf(hexKey: string, hash = 0x1234): RowKey {
  const row = new RowKey();
  const bytes = Buffer.from(hexKey, "hex");
  row.u8.set(bytes);
  row.length = bytes.length;
  row.pad();
  row.hash = hash;
  return row;
}

const key = "007e000000070010bff0000000000000";

describe("a row's record", () => {
  // The same example stands in docs/formats/row-record.md.
  test("is the words of the page", () => {
    const buffer = bufferOf();
    const reference = buffer.reserve(rowOf(key), 1, 8, 8, true);
    buffer.f64[buffer.valueOffset(reference) >> 3] = 1.5;
    const words = [...buffer.i32.subarray(reference * 2, reference * 2 + 10)].map((word) =>
      (word >>> 0).toString(16).padStart(8, "0"),
    );
    const expected = "00001234 04010010 00050000 00000000 00007e00 10000700 0000f0bf 00000000";
    assert.equal(words.join(" "), `${expected} 00000000 3ff80000`);
  });

  for (const [valueBytes, capacityBytes] of [
    [100, 100_000],
    [300_000, 450_000],
    [491_520, 737_280],
    [0, 491_520],
  ] as const) {
    test(`of ${valueBytes} bytes with ${capacityBytes} wanted states size and slack rightly`, () => {
      const buffer = bufferOf();
      const first = buffer.reserve(rowOf(key), 1, valueBytes, capacityBytes, true);
      const units = buffer.i32[first * 2 + 2]! >>> 16;
      assert.ok(units > 0 && units < CHUNK_UNITS);
      assert.equal(buffer.valueBytes(first), valueBytes);
      const second = buffer.reserve(rowOf("00".repeat(16), 7), 1, 8, 8, true);
      if (second >>> 16 === first >>> 16) assert.equal(second, first + units);
      assert.equal(buffer.find(rowOf(key)), first);
    });
  }

  test("shrinks and grows by any amount and keeps what it had", () => {
    const buffer = bufferOf();
    const row = rowOf(key);
    let reference = buffer.reserve(row, 1, 10, 10, true);
    buffer.u8.fill(7, buffer.valueOffset(reference), buffer.valueOffset(reference) + 10);
    for (const bytes of [20, 400_000, 15, 70_000, 65_000, 10]) {
      reference = buffer.resize(row, 1, bytes, bytes + (bytes >> 1));
      assert.equal(buffer.valueBytes(reference), bytes);
      const from = buffer.valueOffset(reference);
      assert.deepEqual(
        [...buffer.u8.subarray(from, from + 10)],
        Array.from({ length: 10 }, () => 7),
      );
    }
  });
});

describe("removing a row", () => {
  const flagsOf = (buffer: WriteBuffer): number =>
    buffer.i32[buffer.find(rowOf(key)) * 2 + 1]! & ~0xffffff;

  test("leaves nothing where nothing is below", () => {
    const buffer = bufferOf({ isEmpty: false, getSync: () => undefined });
    buffer.reserve(rowOf(key), 1, 8, 8, true);
    buffer.remove(rowOf(key), false);
    assert.equal(buffer.find(rowOf(key)), 0);
    assert.equal(buffer.index.count, 0);
  });

  test("leaves a tombstone where something may be below", () => {
    const buffer = bufferOf({ isEmpty: false, getSync: () => undefined });
    buffer.remove(rowOf(key), false);
    assert.equal(flagsOf(buffer), RecordFlag.tombstone);
    buffer.reserve(rowOf(key), 1, 8, 8, false);
    assert.equal(flagsOf(buffer), 0);
  });

  test("leaves a tombstone over what a drain may have taken", () => {
    const buffer = bufferOf({ isEmpty: false, getSync: () => undefined });
    buffer.reserve(rowOf(key), 1, 8, 8, true);
    buffer.seal();
    buffer.remove(rowOf(key), false);
    assert.equal(flagsOf(buffer), RecordFlag.tombstone);
    buffer.reserve(rowOf(key), 1, 8, 8, true);
    assert.equal(flagsOf(buffer), 0, "not known to be absent below");
  });
});
