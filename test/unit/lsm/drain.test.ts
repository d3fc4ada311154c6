import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "vitest";
import { writeVarint } from "../../../src/common/varint.ts";
import { decodeListDirectory, listRows } from "../../../src/format/list-row.ts";
import { RecordFlag } from "../../../src/format/row-record.ts";
import { RowKind } from "../../../src/format/row-value.ts";
import { listChunkKey } from "../../../src/lsm/drain-appends.ts";
import type { LsmStore } from "../../../src/lsm/lsm-store.ts";
import { TestStore, assertHolds, randomNumbers, rowKey, valueRow, withFolder } from "./fixture.ts";

const allKeys = (count: number): Buffer[] => Array.from({ length: count }, (_, i) => rowKey(i));

describe("a drain", () => {
  test("holds what a map holds after random writes over many generations", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      const random = randomNumbers(4711);
      for (let round = 0; round < 30; round++) {
        for (let seal = random(3); seal >= 0; seal--) {
          for (let step = random(400); step >= 0; step--) {
            const key = rowKey(random(1000));
            if (random(4) === 0) t.remove(key);
            else t.put(key, valueRow(random(1e6), 1 + random(random(50) === 0 ? 9000 : 60)));
          }
          if (seal > 0) t.writer.seal();
        }
        await t.sealAndDrain();
        assertHolds(t.store, t.model, allKeys(1000));
      }
      await t.store.close();
    });
  });

  test("takes nothing of generations after its boundary", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      for (const key of allKeys(300)) t.put(key, valueRow(1, 20));
      const boundary = t.writer.seal();
      const before = new Map(t.model);
      for (const key of allKeys(300).slice(0, 200)) t.put(key, valueRow(2, 30));
      for (const key of allKeys(300).slice(200)) t.remove(key);
      await t.drain(boundary);
      assertHolds(t.store, before, allKeys(300));
      assert.equal(t.store.drainedBoundary, boundary);
      const result = await t.sealAndDrain();
      assertHolds(t.store, t.model, allKeys(300));
      assert.equal(result.deletes, 100);
      assert.equal(result.rows, 300);
      await t.store.close();
    });
  });

  test("skips clean rows", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      t.writer.put(rowKey(1), valueRow(1, 10), RecordFlag.clean);
      t.put(rowKey(2), valueRow(2, 10));
      const result = await t.sealAndDrain();
      assert.equal(result.rows, 1);
      assertHolds(t.store, t.model, allKeys(3));
      await t.store.close();
    });
  });

  test("sorts keys of every length and prefix", async () => {
    // Method: keys that agree in long prefixes, more of them than an insertion sort takes.
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      const keys: Buffer[] = [];
      for (let length = 8; length < 80; length++) {
        const bytes = Array.from({ length }, (_, at) => (at > 60 ? (length * 7) & 255 : 9));
        keys.push(Buffer.from(bytes));
      }
      for (let at = 0; at < 400; at++) keys.push(Buffer.from(`long common prefix ${at}`));
      for (const key of keys) t.put(key, valueRow(key.length, 5));
      await t.sealAndDrain();
      assertHolds(t.store, t.model, keys);
      await t.store.close();
    });
  });
});

describe("blind appends", () => {
  test("give the list a model gives, over absent, packed, chunked and removed lists", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"), 200);
      const random = randomNumbers(99);
      const lists = new Map<number, Buffer[]>();
      for (let round = 0; round < 25; round++) {
        for (let step = 0; step < 30; step++) {
          const index = random(20);
          const key = rowKey(index);
          const list = lists.get(index) ?? [];
          if (random(12) === 0) {
            // Replaces the list; its former chunks stay as garbage that no directory names.
            const elements = [element(random, 40)];
            t.writer.put(key, listRows(t.writer.generation - 1, Buffer.concat(elements)).root);
            lists.set(index, elements);
          } else if (random(20) === 0) {
            t.writer.remove(key);
            lists.set(index, []);
          } else {
            const added = Array.from({ length: 1 + random(4) }, () => element(random, 700));
            t.writer.append(key, Buffer.concat(added));
            lists.set(index, [...list, ...added]);
          }
          if (random(9) === 0) t.writer.seal();
        }
        await t.sealAndDrain();
        for (const [index, list] of lists) {
          assert.deepEqual(readList(t.store, rowKey(index)), Buffer.concat(list), `list ${index}`);
        }
      }
      await t.store.close();
    });
  });

  test("are applied once, although their generation is drained twice", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      t.writer.append(rowKey(1), Buffer.from([1, 65]));
      const boundary = t.writer.seal();
      await t.drain(boundary);
      const chunks = t.writer.chunks(0, boundary);
      await t.store.drain({ boundary, changeNumberBase: 0, chunks });
      assert.deepEqual(readList(t.store, rowKey(1)), Buffer.from([1, 65]));
      await t.store.close();
    });
  });
});

function element(random: (below: number) => number, bytesMax: number): Buffer {
  const bytes = Buffer.alloc(random(bytesMax), random(256));
  const length = new Uint8Array(8);
  return Buffer.concat([length.subarray(0, writeVarint(length, 0, bytes.length)), bytes]);
}

function readList(store: LsmStore, key: Uint8Array): Buffer {
  const root = store.getSync(key);
  if (root === undefined) return Buffer.alloc(0);
  if (root[0] === RowKind.listPacked) return Buffer.from(root.subarray(9));
  const parts: Uint8Array[] = [];
  for (let index = 0; index < decodeListDirectory(root).chunkCount; index++) {
    const chunk = store.getSync(listChunkKey(key, index));
    assert.ok(chunk !== undefined);
    parts.push(chunk.subarray(1));
  }
  return Buffer.concat(parts);
}
