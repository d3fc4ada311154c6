import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import {
  EntryPosition,
  childFor,
  decodeChildren,
  decodeMapRoot,
  encodeChildren,
  encodeMapRoot,
  entryBytes,
  findEntry,
  firstKey,
  readEntry,
  splitEntries,
  writeEntry,
} from "../../../src/format/map-row.ts";

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Entries of these keys, each with a value of `valueBytes`. */
function entriesOf(keys: readonly string[], valueBytes: (index: number) => number): Uint8Array {
  const parts = keys.map((key, index) => {
    const value = new Uint8Array(valueBytes(index)).fill(index);
    const entry = new Uint8Array(entryBytes(key.length, value.length));
    writeEntry(entry, 0, Buffer.from(key, "latin1"), key.length, value, value.length);
    return entry;
  });
  return new Uint8Array(Buffer.concat(parts));
}

const children = [
  { node: 0, key: new Uint8Array(0) },
  { node: 3, key: Uint8Array.of(109) },
];

describe("map rows", () => {
  // The same examples stand in docs/formats/row.md.
  test("encode to the examples of the page", () => {
    const entry = new Uint8Array(5);
    writeEntry(entry, 0, Uint8Array.of(97), 1, Uint8Array.of(1, 2), 2);
    assert.equal(hex(entry), "0102610102");
    const root = encodeMapRoot({ nextNode: 4, height: 1, children });
    assert.equal(hex(root), "0400000001000000000003000000016d");
    assert.deepEqual(decodeMapRoot(root), { nextNode: 4, height: 1, children });
    assert.deepEqual(decodeChildren(encodeChildren(children)), children);
  });

  test("find the entry of a key, or where it belongs", () => {
    const keys = ["b", "bb", "d", "x".repeat(200)];
    const data = entriesOf(keys, (index) => index * 100);
    const entry = new EntryPosition();
    for (const [key, isFound, next] of [
      ["a", false, "b"],
      ["b", true, "b"],
      ["ba", false, "bb"],
      ["bb", true, "bb"],
      ["c", false, "d"],
      ["x".repeat(200), true, "x".repeat(200)],
    ] as const) {
      assert.equal(
        findEntry(
          data,
          new DataView(data.buffer, data.byteOffset),
          0,
          data.length,
          Buffer.from(key),
          0,
          key.length,
          entry,
        ),
        isFound,
        key,
      );
      readEntry(data, entry.offset, data.length, entry);
      const found = data.subarray(entry.keyOffset, entry.keyOffset + entry.keyBytes);
      assert.equal(Buffer.from(found).toString(), next);
    }
    assert.equal(
      findEntry(
        data,
        new DataView(data.buffer, data.byteOffset),
        0,
        data.length,
        Buffer.from("z"),
        0,
        1,
        entry,
      ),
      false,
    );
    assert.equal(entry.offset, data.length);
  });

  test("find what looking at every entry finds, whatever their lengths", () => {
    const alphabet = fc.constantFrom("\0", "\x01", "a", "\xff");
    const keysOf = (lengths: readonly number[]): fc.Arbitrary<string> =>
      fc
        .constantFrom(...lengths)
        .chain((length) => fc.string({ unit: alphabet, minLength: length, maxLength: length }));
    const property = (lengths: readonly number[], widths: readonly number[]): void => {
      fc.assert(
        fc.property(
          fc.uniqueArray(keysOf(lengths), { maxLength: 30 }),
          keysOf([...lengths, 3, 9]),
          fc.array(fc.constantFrom(...widths), { minLength: 30, maxLength: 30 }),
          (given, wanted, values) => {
            const keys = given.toSorted((a, b) =>
              Buffer.compare(Buffer.from(a, "latin1"), Buffer.from(b, "latin1")),
            );
            const data = entriesOf(keys, (index) => values[index]!);
            const entry = new EntryPosition();
            const key = Buffer.from(`?${wanted}`, "latin1");
            const view = new DataView(data.buffer);
            const isFound = findEntry(data, view, 0, data.length, key, 1, wanted.length, entry);
            const index = keys.findIndex((one) => one >= wanted);
            const sizes = keys.map((one, at) => entryBytes(one.length, values[at]!));
            const before = sizes.slice(0, index === -1 ? keys.length : index);
            assert.equal(isFound, keys.includes(wanted));
            assert.equal(
              entry.offset,
              before.reduce((sum, size) => sum + size, 0),
            );
            if (isFound) assert.equal(entry.end, entry.offset + sizes[index]!);
          },
        ),
      );
    };
    property([8], [8]);
    property([8], [8, 9]);
    property([8, 12], [0, 8]);
    property([4], [4]);
    property([0, 1, 2, 8, 20], [0, 3, 200]);
  });

  test("split into parts of whole entries, at least two of two or more", () => {
    for (const sizes of [
      [10, 10],
      [3000, 10],
      [10, 3000],
      [10, 3000, 10],
      Array.from({ length: 90 }, (_, i) => i),
    ]) {
      const keys = sizes.map((_, index) => String(index).padStart(3, "0"));
      const data = entriesOf(keys, (index) => sizes[index]!);
      const parts = splitEntries(data, 4096);
      assert.deepEqual(new Uint8Array(Buffer.concat(parts)), data);
      assert.ok(parts.length >= 2, sizes.join());
      for (const part of parts) {
        firstKey(part);
        const entry = new EntryPosition();
        readEntry(part, 0, part.length, entry);
        assert.ok(
          part.length <= 4096 || entry.end === part.length,
          "one entry, or within the limit",
        );
      }
    }
  });

  test("lead each key to the child that covers it", () => {
    const data = encodeChildren([...children, { node: 9, key: Buffer.from("m".repeat(150)) }]);
    const at = (key: string): number =>
      childFor(data, 0, data.length, Buffer.from(key), key.length);
    assert.deepEqual(["", "a", "m", "mm", "m".repeat(150), "z"].map(at), [0, 0, 3, 3, 9, 9]);
  });

  test("that are cut are refused with a typed error", () => {
    const root = encodeMapRoot({ nextNode: 4, height: 1, children });
    for (let length = 0; length < root.length; length++) {
      if (length === 10) continue; // Ends after the first child: whole.
      const decode = (): unknown => decodeMapRoot(root.subarray(0, length));
      assert.throws(decode, { code: "VARVE_CORRUPTION" }, `length ${length}`);
    }
    for (const height of [0, 9]) {
      const wrong = root.slice();
      wrong[4] = height;
      assert.throws(() => decodeMapRoot(wrong), { code: "VARVE_CORRUPTION" });
    }
    const data = entriesOf(["abc"], () => 20);
    for (let length = 2; length < data.length; length++) {
      const read = (): void => readEntry(data, 0, length, new EntryPosition());
      assert.throws(read, { code: "VARVE_CORRUPTION" });
    }
  });
});
