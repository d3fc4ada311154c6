import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { SharedFile } from "../../../src/api/keyed-state-backend.ts";
import { Field, FileTable } from "../../../src/coordinator/file-table.ts";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import { fileOf } from "../../support/shared-files.ts";

const broken = { code: "VARVE_INVARIANT" };

describe("the table of shared files", () => {
  // Goal: it is a map from id to file, whatever is added and removed in whatever order.
  // Method: compares with a Map, through several doublings of the slots and reuse of rows.
  test("agrees with a map", () => {
    const random = seededRandom(7);
    const table = new FileTable();
    const map = new Map<string, { readonly file: SharedFile; readonly index: number }>();
    const live: string[] = [];
    for (let next = 1; next <= 30_000; next++) {
      const isAdded = live.length === 0 || random() < (next < 15_000 ? 0.8 : 0.3);
      if (isAdded) {
        const file = fileOf(next * 0x1_0001);
        const index = table.insert(file, next);
        assert.equal(table.insert(file, 0), index);
        table.set(index, Field.pins, next);
        map.set(file.id, { file, index });
        live.push(file.id);
        continue;
      }
      const at = Math.floor(random() * live.length);
      const id = live[at]!;
      live[at] = live.at(-1)!;
      live.pop();
      table.remove(map.get(id)!.index);
      map.delete(id);
      assert.equal(table.find(id), -1);
    }
    assert.equal(table.count, map.size);
    for (const [id, { file, index }] of map) {
      assert.equal(table.find(id), index);
      assert.deepEqual(table.fileOf(index), file);
      assert.equal(table.get(index, Field.pins), table.createdBy(index));
      assert.equal(table.get(index, Field.users), 0);
    }
  });

  test("refuses what is not an id or a hash, and one id with two contents", () => {
    const table = new FileTable();
    const file = fileOf(0xabc);
    table.insert(file, 1);
    assert.throws(() => table.insert({ ...file, lengthBytes: 1 }, 1), broken);
    assert.throws(() => table.insert({ ...file, sha256: "0".repeat(64) }, 1), broken);
    for (const id of ["", "abc", file.id.toUpperCase(), `${file.id}0`, "\u0130".repeat(32)]) {
      assert.throws(() => table.find(id), broken);
    }
    assert.throws(() => table.insert({ ...fileOf(2), sha256: "xy" }, 1), broken);
  });

  test("refuses to remove a file twice, and to count below zero", () => {
    const table = new FileTable();
    const index = table.insert(fileOf(1), 1);
    assert.throws(() => table.add(index, Field.users, -1), broken);
    table.remove(index);
    assert.throws(() => table.remove(index), broken);
  });
});
