import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { CorruptionError, InvalidArgumentError } from "../../../src/errors.ts";
import { buildDirectory } from "../../../src/lsm/restore-directory.ts";
import { scanCapture } from "../../../src/lsm/scan.ts";
import { hex } from "./arena-writer.ts";
import {
  TestStore,
  assertHolds,
  environment,
  randomNumbers,
  restorable,
  rowKey,
  valueRow,
  withFolder,
} from "./fixture.ts";

const none: ReadonlySet<number> = new Set();

function randomWrites(t: TestStore, random: (below: number) => number, count: number): void {
  for (let step = 0; step < count; step++) {
    const key = rowKey(random(3000));
    if (random(6) === 0) t.remove(key);
    else t.put(key, valueRow(random(1e6), 20 + random(200)));
  }
}

describe("a capture", () => {
  test("under write load holds exactly the rows at its boundary", async () => {
    // Method: capture after each drain while later drains already wait and compactions run, then
    // restore every capture and compare it with the model as it was.
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"), 400);
      const random = randomNumbers(7);
      const keys = Array.from({ length: 3000 }, (_, index) => rowKey(index));
      const paths = new Map<number, string>();
      const captures: { set: ReturnType<typeof restorable>; model: Map<string, string> }[] = [];
      let known = new Set<number>();
      for (let round = 0; round < 40; round++) {
        randomWrites(t, random, 2000);
        const drained = t.sealAndDrain();
        const model = new Map(t.model);
        const captured = t.store.capture(join(folder, `capture-${round}`), known);
        await drained;
        randomWrites(t, random, 1000);
        const later = t.drain(t.writer.seal());
        const set = await captured;
        await later;
        for (const file of set.files)
          if (file.path !== undefined) paths.set(file.number, file.path);
        known = new Set(set.files.map((file) => file.number));
        captures.push({ set: restorable(set, paths), model });
      }
      const files = captures.flatMap(({ set }) => set.files);
      assert.ok(files.some((file) => file.level > 0));
      assert.ok(
        files.some((file) => !known.has(file.number)),
        "no compaction removed a file",
      );
      for (const [round, { set, model }] of captures.entries()) {
        const directory = join(folder, `restored-${round}`);
        const entries = new Map<string, string>();
        const options = { environment, set, directory, ranges: [{}] };
        for await (const batch of scanCapture(options)) {
          for (const [key, row] of batch) entries.set(hex(key), hex(row));
        }
        assert.deepEqual(entries, model, `capture ${round}`);
        assert.equal(existsSync(directory), false);
      }
      assertHolds(t.store, t.model, keys);
      await t.store.close();
    });
  });

  test("without changes since the last one does not flush and links nothing", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      t.put(rowKey(1), valueRow(1, 10));
      await t.sealAndDrain();
      const first = await t.store.capture(join(folder, "a"), none);
      const before = databaseFiles(join(folder, "db"));
      t.writer.put(rowKey(2), valueRow(1, 10), 0x0100_0000); // Clean: a drain without rows.
      await t.sealAndDrain();
      const known = new Set(first.files.map((file) => file.number));
      const second = await t.store.capture(join(folder, "b"), known);
      assert.deepEqual(databaseFiles(join(folder, "db")), before);
      assert.equal(second.linkedFiles, 0);
      assert.deepEqual(
        second.files.map((file) => [file.number, file.path]),
        first.files.map((file) => [file.number, undefined]),
      );
      await t.store.close();
    });
  });

  test("of an empty store is an empty set that can be restored", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      const set = await t.store.capture(join(folder, "a"), none);
      await t.store.close();
      assert.deepEqual(set.files, []);
      await buildDirectory(environment, join(folder, "b"), restorable(set, new Map()));
      const restored = await TestStore.open(join(folder, "b"));
      assert.equal(restored.store.getSync(rowKey(1)), undefined);
      await restored.store.close();
    });
  });

  test("copies where the file system cannot link", async ({ skip }) => {
    const other = "/dev/shm";
    await withFolder(async (folder) => {
      if (!existsSync(other) || statSync(other).dev === statSync(folder).dev) {
        skip("no second file system");
      }
      await withFolder(async (shared) => {
        const t = await TestStore.open(join(folder, "db"));
        t.put(rowKey(1), valueRow(1, 10));
        await t.sealAndDrain();
        const set = await t.store.capture(join(shared, "capture"), none);
        assert.equal(set.copiedFiles, 1);
        assert.equal(set.linkedFiles, 0);
        await t.store.close();
        const directory = join(folder, "restored");
        const built = await buildDirectory(environment, directory, restorable(set, new Map()));
        assert.equal(built.copiedFiles, 1);
        const restored = await TestStore.open(directory);
        assertHolds(restored.store, t.model, [rowKey(1)]);
        await restored.store.close();
      }, other);
    });
  });

  test("into a directory that exists is refused and leaves the store usable", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      t.put(rowKey(1), valueRow(1, 10));
      await t.sealAndDrain();
      await assert.rejects(t.store.capture(folder, none), InvalidArgumentError);
      const set = await t.store.capture(join(folder, "a"), none);
      assert.equal(set.linkedFiles, 1);
      await t.store.close();
    });
  });
});

describe("a restored directory", () => {
  test("never modifies the files it was linked from", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      const random = randomNumbers(11);
      for (let round = 0; round < 4; round++) {
        randomWrites(t, random, 1500);
        await t.sealAndDrain();
      }
      const set = restorable(await t.store.capture(join(folder, "capture"), none), new Map());
      await t.store.close();
      const before = hashes(join(folder, "capture"));
      const owned = { first: 0, last: 15 };
      await buildDirectory(environment, join(folder, "restored"), set, owned);
      const restored = await TestStore.open(join(folder, "restored"), 100);
      assertHolds(restored.store, t.model, [rowKey(1), rowKey(2), rowKey(3)]);
      for (let round = 0; round < 12; round++) {
        randomWrites(restored, random, 3000);
        await restored.sealAndDrain();
        await restored.store.capture(join(folder, `again-${round}`), none);
      }
      await restored.store.close();
      assert.deepEqual(hashes(join(folder, "capture")), before);
    });
  });

  test("is refused, and not left behind, if the set is wrong", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      t.put(rowKey(1), valueRow(1, 10));
      await t.sealAndDrain();
      const set = restorable(await t.store.capture(join(folder, "a"), none), new Map());
      await t.store.close();
      const directory = join(folder, "b");
      const [file] = set.files;
      assert.ok(file !== undefined);
      const wrong = [
        { ...set, nextFile: file.number },
        { ...set, lastSequence: 0 },
        { ...set, files: [{ ...file, sizeBytes: file.sizeBytes + 1 }] },
        { ...set, files: [{ ...file, path: `${file.path}-gone` }] },
        { ...set, files: [file, file] },
      ];
      for (const broken of wrong) {
        await assert.rejects(buildDirectory(environment, directory, broken), CorruptionError);
        assert.equal(existsSync(directory), false);
      }
      const foreign = { first: 2, last: 3 };
      await assert.rejects(buildDirectory(environment, directory, set, foreign), CorruptionError);
      await assert.rejects(buildDirectory(environment, folder, set), InvalidArgumentError);
    });
  });
});

describe("a scan", () => {
  test("yields the ranges it was given and cleans up when it is stopped early", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      for (let index = 0; index < 500; index++) t.put(rowKey(index), valueRow(index, 40));
      await t.sealAndDrain();
      const set = restorable(await t.store.capture(join(folder, "a"), none), new Map());
      const directory = join(folder, "scan");
      const ranges = [
        { lt: Buffer.from([0, 1]) },
        { gte: Buffer.from([0, 14]), lt: Buffer.from([0, 15]) },
      ];
      const groups = new Set<number>();
      let count = 0;
      for await (const batch of scanCapture({
        environment,
        set,
        directory,
        ranges,
        batchEntries: 7,
      })) {
        for (const [key] of batch) groups.add(key[1]!);
        count += batch.length;
      }
      assert.deepEqual([...groups], [0, 14]);
      assert.equal(count, 32 + 31);
      for await (const batch of scanCapture({ environment, set, directory, ranges: [{}] })) {
        assert.ok(batch.length > 0);
        break;
      }
      assert.equal(existsSync(directory), false);
      await t.store.close();
    });
  });
});

/** Names of SSTs and WALs: each flush makes new ones. */
function databaseFiles(directory: string): string[] {
  return readdirSync(directory).filter((name) => /\.(ldb|log)$/.test(name));
}

function hashes(directory: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(directory).map((name) => [
      name,
      createHash("sha256")
        .update(readFileSync(join(directory, name)))
        .digest("hex"),
    ]),
  );
}
