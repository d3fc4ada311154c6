// The codecs against real databases: what LevelDB wrote is what it says about itself.
import assert from "node:assert/strict";
import { appendFileSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { CorruptionError } from "../../../src/errors.ts";
import { replayManifest } from "../../../src/format/leveldb-manifest.ts";
import type { LiveSet } from "../../../src/format/leveldb-manifest.ts";
import { validateFileSet } from "../../../src/format/leveldb-file-set.ts";
import { openLevelDatabase } from "../../../src/lsm/level-database.ts";
import type { LevelDatabase } from "../../../src/lsm/level-database.ts";
import { ManifestFollower } from "../../../src/lsm/manifest-follower.ts";
import { environment, randomNumbers, rowKey, smallLsm, valueRow, withFolder } from "./fixture.ts";

const mode = { shared: false, createIfMissing: true };

async function writeMuch(database: LevelDatabase, seed: number): Promise<void> {
  const random = randomNumbers(seed);
  for (let batch = 0; batch < 10; batch++) {
    const chained = database.batch();
    for (let row = 0; row < 500; row++) chained.put(rowKey(random(5000)), valueRow(row, 100));
    await chained.write();
  }
}

/** number:size@level of each live SST, as LevelDB tells. */
function reported(database: LevelDatabase): string[] {
  let level = "";
  const files: string[] = [];
  for (const line of database.getProperty("leveldb.sstables").split("\n")) {
    level = /^--- level (\d) ---$/.exec(line)?.[1] ?? level;
    const match = /^ (\d+):(\d+)\[/.exec(line);
    if (match !== null) files.push(`${match[1]}:${match[2]}@${level}`);
  }
  return files.sort();
}

function described(live: LiveSet): string[] {
  return [...live.files.values()]
    .map((file) => `${file.number}:${file.sizeBytes}@${file.level}`)
    .sort();
}

function manifestOf(directory: string): string {
  const name = readdirSync(directory).find((entry) => entry.startsWith("MANIFEST-"));
  assert.ok(name !== undefined);
  return join(directory, name);
}

/** LevelDB compacts in the background: asks until its answer did not change around the poll. */
async function pollAtRest(database: LevelDatabase, follower: ManifestFollower): Promise<LiveSet> {
  for (;;) {
    const before = database.getProperty("leveldb.sstables");
    const live = await follower.poll();
    const isSame = before === database.getProperty("leveldb.sstables");
    if (isSame && described(live).join() === reported(database).join()) return live;
  }
}

describe("a followed MANIFEST", () => {
  test("agrees with the live database, poll by poll, and with a replay from the start", async () => {
    await withFolder(async (folder) => {
      const database = await openLevelDatabase(folder, smallLsm, mode);
      const follower = new ManifestFollower(environment.fileSystem, folder);
      for (let round = 0; round < 8; round++) {
        await writeMuch(database, round + 1);
        const live = await pollAtRest(database, follower);
        assert.ok(live.files.size > 0);
        validateFileSet({ ...live, files: [...live.files.values()] }, folder);
      }
      await database.close();
      const live = await follower.poll();
      const path = manifestOf(folder);
      assert.deepEqual(replayManifest(readFileSync(path), path), live);
      assert.ok(live.lastSequence > 0 && live.lastSequence <= 8 * 5000);
    });
  });

  test("starts over when CURRENT names another file", async () => {
    await withFolder(async (folder) => {
      const follower = new ManifestFollower(environment.fileSystem, folder);
      for (let round = 0; round < 3; round++) {
        const database = await openLevelDatabase(folder, smallLsm, mode);
        await writeMuch(database, 3);
        await pollAtRest(database, follower);
        await database.close();
      }
    });
  });

  test("ignores a torn tail until it is whole, and refuses damage and a bad CURRENT", async () => {
    await withFolder(async (folder) => {
      const database = await openLevelDatabase(folder, smallLsm, mode);
      await writeMuch(database, 5);
      await database.close();
      const path = manifestOf(folder);
      const bytes = readFileSync(path);
      const whole = replayManifest(bytes, path);

      truncateSync(path, bytes.length - 3);
      const follower = new ManifestFollower(environment.fileSystem, folder);
      const before = await follower.poll();
      assert.notDeepEqual(described(before), described(whole));
      appendFileSync(path, bytes.subarray(bytes.length - 3));
      assert.deepEqual(await follower.poll(), whole);

      const damaged = Buffer.from(bytes);
      damaged[20]! ^= 1;
      writeFileSync(path, damaged);
      const fresh = new ManifestFollower(environment.fileSystem, folder);
      await assert.rejects(fresh.poll(), CorruptionError);
      writeFileSync(join(folder, "CURRENT"), "MANIFEST-000002"); // Without the line's end.
      await assert.rejects(follower.poll(), CorruptionError);
    });
  });
});
