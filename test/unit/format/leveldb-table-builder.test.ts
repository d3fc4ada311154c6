// Goal: LevelDB reads a table that was built here as the rows that were put in.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { TableBuilder } from "../../../src/format/leveldb-table-builder.ts";
import { LsmStore } from "../../../src/lsm/lsm-store.ts";
import { buildDirectory } from "../../../src/lsm/restore-directory.ts";
import { ArenaWriter, hex } from "../lsm/arena-writer.ts";
import { environment, randomNumbers, smallLsm, valueRow, withFolder } from "../lsm/fixture.ts";

/** Random keys, some of them long, some a prefix of others. */
function keysOf(count: number): Uint8Array[] {
  const random = randomNumbers(3);
  const keys = new Map<string, Buffer>();
  while (keys.size < count) {
    const length = random(50) === 0 ? 3000 : 2 + random(12);
    const key = Buffer.from(Array.from({ length }, () => (random(3) === 0 ? 255 : random(3))));
    keys.set(hex(key), key);
  }
  return [...keys.values()].sort((a, b) => Buffer.compare(a, b));
}

function build(keys: readonly Uint8Array[], blockBytes: number) {
  const pieces: Buffer[] = [];
  const builder = new TableBuilder(blockBytes, (bytes) => pieces.push(Buffer.from(bytes)));
  keys.forEach((key, index) => {
    const source = Buffer.concat([key, valueRow(index, index % 7 === 0 ? 9000 : 30)]);
    builder.add(source, 0, key.length, key.length, source.length);
  });
  const bounds = builder.finish();
  const file = Buffer.concat(pieces);
  assert.equal(file.length, builder.lengthBytes);
  return { file, bounds };
}

describe("a built table", () => {
  test.each([1024, 4096, 100_000])(
    "is read by LevelDB (blocks of %i bytes)",
    async (blockBytes) => {
      await withFolder(async (folder) => {
        const keys = keysOf(3000);
        const { file, bounds } = build(keys, blockBytes);
        const path = join(folder, "table");
        writeFileSync(path, file);
        const entry = { ...bounds!, path, sizeBytes: file.length, level: 3, number: 1 };
        const directory = join(folder, "db");
        await buildDirectory(environment, directory, {
          files: [entry],
          lastSequence: 1,
          nextFile: 2,
        });
        const { arena } = new ArenaWriter(4);
        const store = await LsmStore.open({ environment, directory, lsm: smallLsm, arena });
        keys.forEach((key, index) => {
          const row = valueRow(index, index % 7 === 0 ? 9000 : 30);
          assert.equal(hex(store.getSync(Uint8Array.from(key))!), hex(row));
        });
        assert.equal(store.getSync(Uint8Array.of(255, 255, 255, 255, 255, 255, 1)), undefined);
        await store.close();
      });
    },
  );

  test("is none without rows", () => {
    assert.deepEqual(build([], 4096), { file: Buffer.alloc(0), bounds: undefined });
  });

  test("takes ascending keys only", () => {
    const wrong = [
      [Uint8Array.of(2, 1), Uint8Array.of(2, 1)],
      [Uint8Array.of(2, 1), Uint8Array.of(2)],
      [Uint8Array.of(2, 1), Uint8Array.of(1, 9)],
    ];
    for (const keys of wrong) {
      assert.throws(() => build(keys, 4096), { code: "VARVE_INVARIANT" });
    }
  });
});
