import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CorruptionError } from "../../../src/errors.ts";
import { EntryType, encodeInternalKey } from "../../../src/format/leveldb-internal-key.ts";
import {
  BLOCK_TRAILER_BYTES,
  TABLE_FOOTER_BYTES,
  decodeBlock,
  encodeDataBlock,
  encodeTableEnd,
  readEntries,
  readFooter,
  readIndex,
} from "../../../src/format/leveldb-table.ts";
import { refuseEveryFlippedBit } from "../../support/damage.ts";

function entriesOf(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    key: encodeInternalKey(
      Buffer.from(`key-${String(index).padStart(6, "0")}`),
      1000 - index,
      index % 5 === 0 ? EntryType.deletion : EntryType.value,
    ),
    value: Buffer.from("v".repeat(index % 7)),
  }));
}

const plain = (entries: readonly { key: Uint8Array; value: Uint8Array }[]) =>
  entries.map(({ key, value }) => [
    Buffer.from(key).toString("hex"),
    Buffer.from(value).toString("hex"),
  ]);

describe("a block", () => {
  test("gives back the entries it was made of", () => {
    for (const count of [0, 1, 15, 16, 17, 100]) {
      const stored = encodeDataBlock(entriesOf(count));
      const handle = { offset: 0, length: stored.length - BLOCK_TRAILER_BYTES };
      const entries = readEntries(decodeBlock(stored, handle, "f"), 0, "f");
      assert.deepEqual(plain(entries), plain(entriesOf(count)));
    }
  });

  test("T1: every flipped bit is refused", () => {
    const stored = encodeDataBlock(entriesOf(20));
    const handle = { offset: 0, length: stored.length - BLOCK_TRAILER_BYTES };
    refuseEveryFlippedBit(stored, (bytes) => decodeBlock(bytes, handle, "f"));
  });

  test("T2: keys that do not ascend, and entries that are cut, are refused", () => {
    const [a, b] = entriesOf(2);
    for (const entries of [
      [b!, a!],
      [a!, a!],
      [{ key: Buffer.from("short"), value: Buffer.alloc(0) }],
    ]) {
      const content = encodeDataBlock(entries).subarray(0, -BLOCK_TRAILER_BYTES);
      assert.throws(() => readEntries(content, 0, "f"), CorruptionError);
    }
    const whole = encodeDataBlock(entriesOf(3)).subarray(0, -BLOCK_TRAILER_BYTES);
    const restarts = whole.subarray(-8);
    for (let cut = 1; cut < whole.length - 8; cut++) {
      const content = Buffer.concat([whole.subarray(0, cut), restarts]);
      let read: number | undefined;
      try {
        read = readEntries(content, 0, "f").length;
      } catch (error) {
        assert.ok(error instanceof CorruptionError);
      }
      assert.ok(read === undefined || read < 3, `cut at ${cut}`);
    }
    assert.throws(() => readEntries(Buffer.alloc(3), 0, "f"), CorruptionError);
    assert.throws(() => readEntries(Buffer.alloc(4, 0xff), 0, "f"), CorruptionError);
  });
});

describe("a forged block", () => {
  test("T3: cannot make keys of many times its size", () => {
    const long = 4000;
    const parts = [Buffer.from([0, 0xa0, 0x1f, 0]), Buffer.alloc(long, "k")];
    // Each further entry shares all but the last byte of a long key.
    for (let entry = 1; entry < 200; entry++) parts.push(Buffer.from([0x9f, 0x1f, 1, 0, entry]));
    const restarts = Buffer.alloc(8);
    restarts.writeUInt32LE(1, 4);
    const content = Buffer.concat([...parts, restarts]);
    assert.throws(() => readEntries(content, 0, "f"), /share too much/);
  });

  test("long keys with the restarts of a writer are read", () => {
    const entries = Array.from({ length: 64 }, (_, index) => ({
      key: encodeInternalKey(
        Buffer.from(`${"k".repeat(4000)}${String(index).padStart(3, "0")}`),
        1,
        EntryType.value,
      ),
      value: Buffer.alloc(0),
    }));
    const content = encodeDataBlock(entries).subarray(0, -BLOCK_TRAILER_BYTES);
    assert.deepEqual(plain(readEntries(content, 0, "f")), plain(entries));
  });
});

describe("the end of a table", () => {
  test("leads to its data blocks", () => {
    const block = encodeDataBlock(entriesOf(3));
    const length = block.length - BLOCK_TRAILER_BYTES;
    const key = entriesOf(3)[2]!.key;
    const end = encodeTableEnd([{ key, handle: { offset: 0, length } }], block.length);
    const file = Buffer.concat([block, end]);
    const footer = file.subarray(-TABLE_FOOTER_BYTES);
    const { index: handle } = readFooter(footer, file.length, "f");
    const stored = file.subarray(handle.offset, handle.offset + handle.length + 5);
    const index = readIndex(decodeBlock(stored, handle, "f"), handle, "f");
    assert.deepEqual(
      index.map((one) => one.handle),
      [{ offset: 0, length }],
    );
  });

  test("is refused without magic number, or with handles beyond the file", () => {
    const end = Buffer.from(encodeTableEnd([], 0));
    const footer = end.subarray(-TABLE_FOOTER_BYTES);
    assert.throws(() => readFooter(footer, 20, "f"), CorruptionError);
    assert.throws(() => readFooter(footer.subarray(1), end.length, "f"), CorruptionError);
    const other = Buffer.from(footer);
    other[47]! ^= 1;
    assert.throws(() => readFooter(other, end.length, "f"), CorruptionError);
    const wide = Buffer.from(footer).fill(0xff, 0, 40);
    assert.throws(() => readFooter(wide, end.length, "f"), CorruptionError);
  });
});
