// Goal: the rows that packTables writes are those that LevelDB itself shows of the same tables.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { readDump, readDumpRows } from "../../../src/format/dump.ts";
import type { RestoredFile } from "../../../src/lsm/restore-directory.ts";
import { scanCapture } from "../../../src/lsm/scan.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import { type WorkerPool, openWorkerPool } from "../../../src/workers/worker-pool.ts";
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

interface Captured {
  readonly files: readonly RestoredFile[];
  readonly lastSequence: number;
  readonly nextFile: number;
}

async function captured(folder: string, compression: boolean, rounds = 12): Promise<Captured> {
  const t = await TestStore.open(join(folder, "db"), 400, { ...smallLsm, compression });
  const random = randomNumbers(compression ? 21 : 22);
  for (let round = 0; round < rounds; round++) {
    for (let step = 0; step < 3000; step++) {
      const key = rowKey(random(9000));
      if (random(4) === 0) t.remove(key);
      else t.put(key, valueRow(random(1e6), 20 + random(300)));
    }
    await t.sealAndDrain();
  }
  const set = await t.store.capture(join(folder, "capture"), new Set());
  await t.store.close();
  return { ...set, files: set.files.map((file) => ({ ...file, path: file.path! })) };
}

/** What LevelDB shows, key groups `first` to `last`. */
async function scanned(folder: string, set: Captured, [first, last]: [number, number]) {
  const rows: string[] = [];
  const directory = join(folder, "view");
  const ranges = [{ gte: undefined, lt: undefined }];
  for await (const entries of scanCapture({ environment, directory, ranges, set })) {
    for (const [key, row] of entries) {
      const group = key[0]! * 256 + key[1]!;
      if (group >= first && group <= last) rows.push(`${hex(key)}=${hex(row)}`);
    }
  }
  return rows;
}

const tools = { checksum: await loadFrameChecksum(), codec: loadCodec() };

async function packed(pool: WorkerPool, folder: string, set: Captured, range: [number, number]) {
  const [first, last] = range;
  const { files, rowCount } = await pool.submit("packTables", {
    tables: set.files.map(({ path, level, smallest }) => ({ path, level, smallest })),
    keyGroups: { first, last },
    pathPrefix: join(folder, `packed-${first}-${last}-`),
    fileRawBytes: 300_000,
  });
  const rows: string[] = [];
  for (const { path, lengthBytes, firstKeyGroup, lastKeyGroup, ...file } of files) {
    const bytes = readFileSync(path);
    assert.equal(bytes.length, lengthBytes);
    const groups: number[] = [];
    const totals = readDump(bytes, tools, path, (frame) => {
      readDumpRows(frame, path, 0, (key, row) => {
        rows.push(`${hex(key)}=${hex(row)}`);
        groups.push(key[0]! * 256 + key[1]!);
      });
    });
    assert.equal(totals.rowCount, file.rowCount);
    assert.deepEqual([groups[0], groups.at(-1)], [firstKeyGroup, lastKeyGroup]);
  }
  assert.equal(rows.length, rowCount);
  return { rows, fileCount: files.length };
}

describe("packTables", () => {
  test.each([true, false])(
    "writes what a scan of the same tables shows, sorted (compression %s)",
    async (compression) => {
      await using pool = await openWorkerPool({ environment, threads: 2 });
      await withFolder(async (folder) => {
        const set = await captured(folder, compression);
        const levels = new Set(set.files.map(({ level }) => level));
        assert.ok(levels.size > 1 && set.files.length > 3, "too few tables to test anything");
        const ranges: [number, number][] = [
          [0, 15],
          [0, 0],
          [3, 9],
          [15, 15],
          [200, 300],
        ];
        for (const range of ranges) {
          const { rows, fileCount } = await packed(pool, folder, set, range);
          assert.deepEqual(rows, await scanned(folder, set, range), String(range));
          if (range[1] === 15 && range[0] === 0) assert.ok(fileCount > 1);
        }
      });
    },
    60_000,
  );

  test("refuses a damaged block, and leaves no file behind", async () => {
    await using pool = await openWorkerPool({ environment, threads: 1 });
    await withFolder(async (folder) => {
      const set = await captured(folder, true, 3);
      const file = set.files[0]!;
      const bytes = readFileSync(file.path);
      bytes[200]! ^= 4;
      const path = join(folder, "damaged");
      writeFileSync(path, bytes);
      const damaged = { ...set, files: [{ ...file, path }, ...set.files.slice(1)] };
      await assert.rejects(packed(pool, folder, damaged, [0, 15]), { code: "VARVE_CORRUPTION" });
      const names = await environment.fileSystem.readDirectory(folder);
      assert.deepEqual(
        names.filter((name) => name.startsWith("packed-")),
        [],
      );
    });
  });
});
