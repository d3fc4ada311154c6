import assert from "node:assert/strict";
import { describe, test } from "vitest";
import {
  LIST_CHUNK_BYTES,
  LIST_PACKED_BYTES_MAX,
  type ListRows,
  decodeListDirectory,
  encodeListChunk,
  encodeListDirectory,
  encodePackedList,
  listChunkElements,
  listRows,
  mergeAppends,
  newChunksMax,
  readAppliedChange,
  splitIntoChunks,
} from "../../../src/format/list-row.ts";

const elements = Uint8Array.of(1, 97, 2, 98, 99);

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Elements of one byte length each, `count` of them. */
function run(count: number, bytes: number, fill: number): Uint8Array {
  const element = new Uint8Array(2 + bytes).fill(fill);
  element[0] = (bytes & 127) | 128;
  element[1] = bytes >> 7;
  return Uint8Array.from(
    { length: count * element.length },
    (_, at) => element[at % element.length]!,
  );
}

/** All elements of a list as the rows have them. */
function contentOf(rows: ListRows, before: readonly Uint8Array[] = []): Uint8Array {
  if (rows.root[0] === 2) return rows.root.subarray(9);
  const chunks = new Map(before.map((chunk, index) => [index, chunk] as const));
  for (const { index, row } of rows.chunks) chunks.set(index, listChunkElements(row));
  const { chunkCount } = decodeListDirectory(rows.root);
  const parts = Array.from({ length: chunkCount }, (_, index) => chunks.get(index)!);
  return new Uint8Array(Buffer.concat(parts));
}

describe("list rows", () => {
  // The same examples stand in docs/formats/row.md.
  test("encode to the examples of the page", () => {
    assert.equal(hex(encodePackedList(5, elements)), "0205000000000000000161026263");
    const directory = { appliedChange: 5, chunkCount: 3 };
    assert.equal(hex(encodeListDirectory(directory)), "03050000000000000003000000");
    assert.deepEqual(decodeListDirectory(encodeListDirectory(directory)), directory);
    assert.equal(hex(encodeListChunk(elements)), "040161026263");
  });

  test("keep change numbers beyond 32 bits", () => {
    assert.equal(readAppliedChange(encodePackedList(2 ** 40 + 7, elements)), 2 ** 40 + 7);
  });

  test("are packed up to the limit and chunked beyond it", () => {
    const small = run(40, 100, 1).subarray(
      0,
      LIST_PACKED_BYTES_MAX - (LIST_PACKED_BYTES_MAX % 102),
    );
    assert.equal(listRows(1, small).chunks.length, 0);
    const large = run(41, 100, 1);
    const rows = listRows(1, large);
    assert.equal(rows.chunks.length, 2);
    assert.deepEqual(contentOf(rows), large);
  });

  test("have chunks of whole elements, none above the limit unless it is one element", () => {
    const mixed = new Uint8Array(Buffer.concat([run(90, 120, 1), run(1, 9000, 2), run(50, 10, 3)]));
    const parts = splitIntoChunks(mixed);
    assert.deepEqual(new Uint8Array(Buffer.concat(parts)), mixed);
    assert.ok(parts.every((part) => part.length <= LIST_CHUNK_BYTES || part.length === 9002));
    assert.ok(parts.length <= newChunksMax(mixed.length));
  });

  test("that are cut, or of another kind, are refused", () => {
    const rows = [
      encodePackedList(5, elements),
      encodeListDirectory({ appliedChange: 5, chunkCount: 3 }),
    ];
    const append = [{ changeNumber: 9, elements }];
    for (const row of rows) {
      for (const length of [0, 1, 8]) {
        const merge = (): unknown => mergeAppends(row.subarray(0, length), append);
        assert.throws(merge, { code: "VARVE_CORRUPTION" });
      }
    }
    const none = encodeListDirectory({ appliedChange: 1, chunkCount: 0 });
    assert.throws(() => decodeListDirectory(none), { code: "VARVE_CORRUPTION" });
    assert.throws(() => listChunkElements(rows[0]!), { code: "VARVE_CORRUPTION" });
    const value = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    assert.throws(() => mergeAppends(value, append), { code: "VARVE_CORRUPTION" });
  });
});

describe("merging appends", () => {
  test("refuses a stored list that is empty, or of a change that no number counts", () => {
    const elements = run(1, 10, 1);
    const stale = [{ changeNumber: 3, elements }];
    const empty = encodePackedList(7, new Uint8Array(0));
    assert.throws(() => mergeAppends(empty, stale), { code: "VARVE_CORRUPTION" });
    const impossible = encodePackedList(0, elements);
    impossible[8] = 0xff;
    assert.throws(() => mergeAppends(impossible, stale), { code: "VARVE_CORRUPTION" });
  });

  test("applies each once, whatever was applied before", () => {
    const [a, b, c] = [run(3, 10, 1), run(3, 10, 2), run(3, 10, 3)];
    const appends = [
      { changeNumber: 4, elements: a },
      { changeNumber: 6, elements: b },
      { changeNumber: 9, elements: c },
    ];
    const whole = mergeAppends(undefined, appends);
    assert.equal(readAppliedChange(whole.root), 9);
    assert.deepEqual(contentOf(whole), new Uint8Array(Buffer.concat([a, b, c])));
    const partly = mergeAppends(undefined, appends.slice(0, 2));
    assert.deepEqual(mergeAppends(partly.root, appends).root, whole.root);
    assert.deepEqual(mergeAppends(whole.root, appends).root, whole.root);
  });

  test("only adds chunks to a list that has them", () => {
    const before = run(100, 100, 1);
    const stored = listRows(3, before);
    const added = run(80, 100, 2);
    const merged = mergeAppends(stored.root, [{ changeNumber: 5, elements: added }]);
    const { chunkCount } = decodeListDirectory(stored.root);
    assert.ok(merged.chunks.every(({ index }) => index >= chunkCount));
    const chunks = stored.chunks.map(({ row }) => listChunkElements(row));
    assert.deepEqual(contentOf(merged, chunks), new Uint8Array(Buffer.concat([before, added])));
  });
});
