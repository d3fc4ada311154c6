// Goal: the merged rows of captured table files are what LevelDB serves from them. Method: random
// writes and removals through a real database, captures in between; all rows, ranges and single keys
// are compared with a model.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "vitest";
import type { CheckpointStorage } from "../../../src/api/checkpoint-storage.ts";
import { writeSstSet } from "../../../src/checkpoint/base-writer.ts";
import { readFileList } from "../../../src/checkpoint/base-reader.ts";
import { fileName } from "../../../src/checkpoint/layout.ts";
import { fileSystemStorage } from "../../../src/checkpoint/file-system-storage.ts";
import type { SstSetList } from "../../../src/format/file-list.ts";
import { rangeOfGroups } from "../../../src/inspect/row-source.ts";
import type { RowRange } from "../../../src/inspect/row-source.ts";
import { SstRows } from "../../../src/inspect/sst-rows.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";
import { hex } from "../lsm/arena-writer.ts";
import {
  TestStore,
  environment,
  randomNumbers,
  rowKey,
  smallLsm,
  valueRow,
  withFolder,
} from "../lsm/fixture.ts";

const keyGroups = { max: 16, first: 0, last: 15 };

/** The store's live files as a base in a storage. */
async function store(subject: TestStore, folder: string, storage: CheckpointStorage) {
  const pool = await openWorkerPool({ environment, threads: 1 });
  try {
    const capture = await subject.store.capture(folder, new Set());
    const files = capture.files.map((file) => {
      return { ...file, path: file.path!, lengthBytes: file.sizeBytes };
    });
    const tools = { storage, pool, environment, discard: () => undefined };
    const written = await writeSstSet({ ...capture, files, reuse: new Map() }, tools);
    return (await readFileList(storage, pool, written.base)) as SstSetList;
  } finally {
    await pool.close();
  }
}

async function contents(rows: SstRows, range: RowRange): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let before = "";
  for await (const batch of rows.rows(range)) {
    assert.ok(batch.length > 0);
    for (const { key, row } of batch) {
      assert.ok(hex(key) > before, "keys ascend");
      before = hex(key);
      found.set(before, hex(row));
    }
  }
  return found;
}

function sorted(model: ReadonlyMap<string, string>, range: RowRange): Map<string, string> {
  const [from, to] = [hex(range.gte), range.lt === undefined ? "g" : hex(range.lt)];
  const entries = [...model].filter(([key]) => key >= from && key < to);
  return new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const all: RowRange = { gte: new Uint8Array(0), lt: undefined };

describe("rows of table files", () => {
  test("are those of the database, after any mix of writes, removals and compactions", async () => {
    await withFolder(async (folder) => {
      const storage = fileSystemStorage(join(folder, "storage"));
      await storage.open();
      const subject = await TestStore.open(join(folder, "db"));
      const random = randomNumbers(5);
      try {
        let deletions = 0;
        for (let round = 0; round < 8; round++) {
          for (let count = 0; count < 1500; count++) {
            const key = rowKey(random(3000));
            if (random(4) === 0) subject.remove(key);
            else subject.put(key, valueRow(random(1000), 1 + random(round === 3 ? 4000 : 120)));
          }
          await subject.sealAndDrain();
          const list = await store(subject, join(folder, `capture-${round}`), storage);
          const rows = new SstRows(storage, list, keyGroups, "list");
          assert.deepEqual(await contents(rows, all), sorted(subject.model, all));
          for (let probe = 0; probe < 30; probe++) {
            const first = random(16);
            const groups = rangeOfGroups(first, first + random(16 - first));
            assert.deepEqual(await contents(rows, groups), sorted(subject.model, groups));
            const key = rowKey(random(3200));
            const one = { gte: key, lt: Buffer.concat([key, Buffer.alloc(1)]) };
            assert.deepEqual(await contents(rows, one), sorted(subject.model, one));
          }
          deletions += list.files.filter(({ level }) => level > 0).length;
        }
        assert.ok(deletions > 0, "nothing was ever compacted below level 0");
      } finally {
        await subject.store.close();
      }
    });
  });

  test("of large and uncompressed blocks are the same", async () => {
    await withFolder(async (folder) => {
      const storage = fileSystemStorage(join(folder, "storage"));
      await storage.open();
      const lsm = { ...smallLsm, compression: false, blockSizeBytes: 65_536 };
      const subject = await TestStore.open(join(folder, "db"), 64, lsm);
      try {
        for (let index = 0; index < 400; index++) {
          subject.put(rowKey(index), valueRow(index, 1 + index * 20));
        }
        await subject.sealAndDrain();
        const list = await store(subject, join(folder, "capture"), storage);
        const rows = new SstRows(storage, list, keyGroups, "list");
        assert.deepEqual(await contents(rows, all), sorted(subject.model, all));
      } finally {
        await subject.store.close();
      }
    });
  });

  test("any damaged byte is either not used, or found", async () => {
    await withFolder(async (folder) => {
      const storage = fileSystemStorage(join(folder, "storage"));
      await storage.open();
      const subject = await TestStore.open(join(folder, "db"));
      for (let index = 0; index < 200; index++) subject.put(rowKey(index), valueRow(index, 30));
      await subject.sealAndDrain();
      const list = await store(subject, join(folder, "capture"), storage);
      await subject.store.close();
      const [file] = list.files;
      const path = join(folder, "storage", fileName(file!.id));
      const clean = await readFile(path);
      const expected = sorted(subject.model, all);
      let found = 0;
      for (let at = 0; at < clean.length; at += 7) {
        const dirty = Buffer.from(clean);
        dirty[at]! ^= 1 << (at % 8);
        await writeFile(path, dirty);
        const rows = new SstRows(storage, list, keyGroups, "list");
        try {
          assert.deepEqual(await contents(rows, all), expected, `byte ${at}`);
        } catch (error) {
          assert.equal((error as { code?: string }).code, "VARVE_CORRUPTION", `byte ${at}`);
          assert.equal((error as { file?: string }).file, fileName(file!.id), `byte ${at}`);
          found++;
        }
      }
      assert.ok(found > clean.length / 7 / 2, `only ${found} were found`);
      await writeFile(path, clean.subarray(0, clean.length - 1));
      const cut = new SstRows(storage, list, keyGroups, "list");
      await assert.rejects(contents(cut, all), { code: "VARVE_CORRUPTION" });
    });
  });

  test("a set that breaks the rules is refused before it is read", () => {
    const key = Buffer.from("000561ff00000000000000".padEnd(30, "0"), "hex");
    const shared = { id: "0".repeat(32), lengthBytes: 1, sha256: "0".repeat(64) };
    const file = { ...shared, level: 1, number: 1, smallest: key, largest: key };
    const list: SstSetList = { kind: "sst-set", lastSequence: 9, nextFile: 2, files: [file] };
    const storage = fileSystemStorage("nowhere");
    const refused = { code: "VARVE_CORRUPTION", file: "list" };
    assert.throws(
      () => new SstRows(storage, list, { max: 16, first: 6, last: 7 }, "list"),
      refused,
    );
    assert.throws(() => new SstRows(storage, { ...list, nextFile: 1 }, keyGroups, "list"), refused);
  });
});
