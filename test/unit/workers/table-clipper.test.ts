import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { CorruptionError } from "../../../src/errors.ts";
import { userKeyOf } from "../../../src/format/leveldb-internal-key.ts";
import {
  BLOCK_TRAILER_BYTES,
  TABLE_FOOTER_BYTES,
  decodeBlock,
  readEntries,
  readFooter,
  readIndex,
} from "../../../src/format/leveldb-table.ts";
import { LsmStore } from "../../../src/lsm/lsm-store.ts";
import { type RestoredFile, buildDirectory } from "../../../src/lsm/restore-directory.ts";
import { type WorkerPool, openWorkerPool } from "../../../src/workers/worker-pool.ts";
import { ArenaWriter, hex } from "../lsm/arena-writer.ts";
import {
  TestStore,
  assertHolds,
  environment,
  randomNumbers,
  rowKey,
  smallLsm,
  valueRow,
  withFolder,
} from "../lsm/fixture.ts";

/** All entries of a table, by this library's own reader. */
function tableEntries(path: string): string[] {
  const bytes = readFileSync(path);
  const block = (handle: { offset: number; length: number }) => {
    const end = handle.offset + handle.length + BLOCK_TRAILER_BYTES;
    return decodeBlock(bytes.subarray(handle.offset, end), handle, path);
  };
  const footer = bytes.subarray(bytes.length - TABLE_FOOTER_BYTES);
  const { index } = readFooter(footer, bytes.length, path);
  return readIndex(block(index), index, path).flatMap(({ handle }) =>
    readEntries(block(handle), handle.offset, path).map(
      ({ key, value }) => `${hex(key)}=${hex(value)}`,
    ),
  );
}

const groupOf = (key: Uint8Array) => key[0]! * 256 + key[1]!;

interface Captured {
  readonly files: readonly RestoredFile[];
  readonly lastSequence: number;
  readonly nextFile: number;
  readonly model: ReadonlyMap<string, string>;
}

async function captured(folder: string, compression: boolean): Promise<Captured> {
  const lsm = { ...smallLsm, compression };
  const t = await TestStore.open(join(folder, "db"), 400, lsm);
  const random = randomNumbers(compression ? 11 : 12);
  for (let round = 0; round < 12; round++) {
    for (let step = 0; step < 3000; step++) {
      const key = rowKey(random(9000));
      if (random(5) === 0) t.remove(key);
      else t.put(key, valueRow(random(1e6), 20 + random(300)));
    }
    await t.sealAndDrain();
  }
  const set = await t.store.capture(join(folder, "capture"), new Set());
  await t.store.close();
  const files = set.files.map((file) => ({ ...file, path: file.path! }));
  return { ...set, files, model: t.model };
}

async function clip(pool: WorkerPool, file: RestoredFile, target: string, range: [number, number]) {
  const [first, last] = range;
  const { path } = file;
  const request = { path, target, keyGroups: { first, last }, file: "sst" };
  return pool.submit("clipTable", request);
}

describe("clipTable", () => {
  test.each([true, false])(
    "keeps exactly the entries of the key groups (compression %s), and LevelDB reads them",
    async (compression) => {
      await using pool = await openWorkerPool({ environment, threads: 2 });
      await withFolder(async (folder) => {
        const set = await captured(folder, compression);
        assert.ok(set.files.length > 2 && set.files.some(({ level }) => level > 0));
        const ranges: [number, number][] = [
          [0, 7],
          [8, 15],
          [3, 3],
          [0, 0],
          [15, 15],
          [5, 65_535],
          [0, 65_535],
        ];
        for (const [first, last] of ranges) {
          const name = `${first}-${last}`;
          const kept: RestoredFile[] = [];
          for (const file of set.files) {
            const target = join(folder, `${name}-${file.number}`);
            const { lengthBytes, bounds } = await clip(pool, file, target, [first, last]);
            const expected = tableEntries(file.path).filter((entry) => {
              const group = Number.parseInt(entry.slice(0, 4), 16);
              return group >= first && group <= last;
            });
            assert.equal(bounds === undefined, expected.length === 0);
            assert.equal(existsSync(target), bounds !== undefined);
            if (bounds === undefined) continue;
            assert.deepEqual(tableEntries(target), expected);
            assert.equal(readFileSync(target).length, lengthBytes);
            assert.ok(expected[0]!.startsWith(`${hex(bounds.smallest)}=`));
            assert.ok(expected.at(-1)!.startsWith(`${hex(bounds.largest)}=`));
            assert.ok(groupOf(userKeyOf(bounds.largest)) <= last);
            kept.push({ ...file, ...bounds, sizeBytes: lengthBytes, path: target });
          }
          const directory = join(folder, `restored-${name}`);
          await buildDirectory(environment, directory, { ...set, files: kept }, { first, last });
          const { arena } = new ArenaWriter(4);
          const store = await LsmStore.open({ environment, directory, lsm: smallLsm, arena });
          const all = Array.from({ length: 9000 }, (_, index) => rowKey(index));
          const owned = all.filter((key) => groupOf(key) >= first && groupOf(key) <= last);
          assertHolds(store, set.model, owned);
          const foreign = all.filter((key) => groupOf(key) < first || groupOf(key) > last);
          assertHolds(store, new Map(), foreign);
          await store.close();
        }
      });
    },
    60_000,
  );

  test("refuses a damaged table, and leaves no target behind", async () => {
    await using pool = await openWorkerPool({ environment: nodeEnvironment(), threads: 1 });
    await withFolder(async (folder) => {
      const { files } = await captured(folder, true);
      const clean = readFileSync(files[0]!.path);
      const target = join(folder, "target");
      const path = join(folder, "dirty");
      const damage: [string, Buffer][] = [
        ["empty", Buffer.alloc(0)],
        ["short", clean.subarray(0, 40)],
        ["without footer", clean.subarray(0, -1)],
        ["cut in front", clean.subarray(1)],
      ];
      // The first block, which is decoded for its first key; the index; the footer.
      for (const at of [10, clean.length - 60, clean.length - 43, clean.length - 3]) {
        const flipped = Buffer.from(clean);
        flipped[at]! ^= 4;
        damage.push([`byte ${at}`, flipped]);
      }
      for (const [what, bytes] of damage) {
        writeFileSync(path, bytes);
        const dirty = { ...files[0]!, path };
        await assert.rejects(clip(pool, dirty, target, [0, 3]), CorruptionError, what);
        assert.equal(existsSync(target), false, what);
      }
    });
  });
});
