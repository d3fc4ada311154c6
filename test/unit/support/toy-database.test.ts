// Goal: what takes LevelDB's place in simulations does to a directory what LevelDB does, and a backend over it
// does not block for what its own thread would have to do.
// Method: random batches and flushes beside a Map; LevelDB itself opens what was made, and reads the same.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "vitest";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import { MIB, fileSystemStorage, openKeyedStateBackend, utf8 } from "../../../src/index.ts";
import { openLevelDatabase } from "../../../src/lsm/level-database.ts";
import { ManifestFollower } from "../../../src/lsm/manifest-follower.ts";
import { smallLsm } from "../lsm/fixture.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { toyDatabases } from "../../support/toy-database.ts";

const noKey = new Uint8Array(0);

describe("the toy in LevelDB's place", () => {
  test("is a database that LevelDB opens, with the same rows", async () => {
    const { fileSystem } = nodeEnvironment();
    for (let seed = 1; seed <= 5; seed++) {
      const random = seededRandom(seed);
      const choose = (count: number): number => Math.floor(random() * count);
      const directory = join(temporaryDirectory(), "db");
      await fileSystem.makeDirectory(directory);
      const open = toyDatabases(fileSystem);
      let database = await open(directory);
      const rows = new Map<string, string>();
      const batch = database.newBatch();
      let levels = new Set<number>();
      for (let round = 0; round < 30; round++) {
        for (let count = choose(40); count > 0; count--) {
          const key = `key-${String(choose(120)).padStart(3, "0")}`;
          if (choose(4) === 0) {
            batch.delete(Buffer.from(key));
            rows.delete(key);
          } else {
            batch.put(Buffer.from(key), Buffer.from(`row ${round}-${count}`));
            rows.set(key, `row ${round}-${count}`);
          }
        }
        await batch.write();
        batch.clear();
        await database.compactRange(noKey, noKey);
        const live = await new ManifestFollower(fileSystem, directory).poll();
        levels = new Set([...levels, ...[...live.files.values()].map(({ level }) => level)]);
        if (choose(5) > 0) continue;
        await database.close();
        database = await toyDatabases(fileSystem)(directory);
        Object.assign(batch, database.newBatch());
      }
      const expected = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
      const found = [...database.entries({})].map(([key, row]) => [text(key), text(row)]);
      assert.deepEqual(found, expected);
      assert.deepEqual(levels, new Set([0, 1]));
      await database.close();
      const mode = { shared: false, createIfMissing: false };
      const real = await openLevelDatabase(directory, smallLsm, mode);
      const read = await real.iterator().all();
      assert.deepEqual(
        read.map(([key, row]) => [text(key), text(row)]),
        expected,
      );
      await real.close();
    }
  });

  test("lets a full write buffer refuse a record at once: nothing drains it meanwhile", async () => {
    const environment = memoryEnvironment();
    const { fileSystem } = environment;
    const backend = await openKeyedStateBackend({
      backend: "lsm",
      workingDirectory: "/job/work",
      checkpointStorage: fileSystemStorage("/job/checkpoints", {}, environment),
      restore: "latest-or-new",
      memoryBudgetBytes: 16 * MIB,
      environment: { ...environment, openDatabase: toyDatabases(fileSystem) },
    });
    const text = backend.valueState({ name: "text", value: utf8 });
    let written = 0;
    const writeAll = (): void => {
      for (;;) {
        backend.withKey(written, () => text.update("x".repeat(10_000)));
        written++;
      }
    };
    assert.throws(writeAll, { code: "VARVE_BACK_PRESSURE" });
    const before = written;
    await backend.drained();
    backend.withKey(written, () => text.update("repeated"));
    assert.ok(before > 100, `${before} records fitted`);
    assert.equal(
      backend.withKey(before, () => text.value()),
      "repeated",
    );
    assert.equal(
      backend.withKey(before - 1, () => text.value()?.length),
      10_000,
    );
    await backend.close();
  });
});

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
