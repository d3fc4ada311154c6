// Goal: a restore that has to copy and has no room says how much it needs, and changes nothing; one
// that runs out of room half-way says so and leaves nothing behind.
// Method: the checkpoints on one file system, the working directory on a small one of its own.
import assert from "node:assert/strict";
import { readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import type { TestContext } from "vitest";
import { MIB, NoSpaceError } from "../../../src/index.ts";
import type { CheckpointStorage, KeyedStateBackendOptions } from "../../../src/index.ts";
import { mountSmall, writeNoise } from "./disks.ts";
import { Workplace, readOne, writeAll } from "./fixture.ts";
import { storageWith } from "../../support/other-storages.ts";

const DISK_BYTES = 24 * MIB;
/** Of one row: 1,000 characters and what belongs to them. */
const ROWS = 6000;

function availableIn(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

function fill(path: string, leaveBytes: number): string {
  const ballast = join(path, "ballast");
  writeFileSync(ballast, Buffer.alloc(availableIn(path) - leaveBytes));
  return ballast;
}

for (const backend of ["lsm", "memory"] as const) {
  describe(`a restore onto a disk without room: ${backend}`, () => {
    /** Takes a checkpoint of some 6 MB elsewhere, in several files. */
    async function prepare(context: TestContext) {
      const place = new Workplace();
      const lsm = backend === "lsm" ? { fileSizeBytes: MIB, writeBufferBytes: MIB } : {};
      const options: Partial<KeyedStateBackendOptions> = { backend, lsm };
      const elsewhere = join(place.root, "elsewhere");
      const first = await place.open({ ...options, workingDirectory: elsewhere });
      writeAll(first, 100, 7);
      writeNoise(first, 0, ROWS);
      const { totalBytes } = await first.checkpoint();
      await first.close();
      mountSmall(context, place.workingDirectory, DISK_BYTES);
      const restore = (storage?: CheckpointStorage) =>
        place.open({
          ...options,
          restore: "latest",
          ...(storage === undefined ? {} : { checkpointStorage: storage }),
        });
      return { place, totalBytes, restore };
    }

    test("is refused with what it needs before it copies anything", async (context) => {
      const { place, totalBytes, restore } = await prepare(context);
      const stored = readdirSync(place.checkpoints, { recursive: true }).length;
      const ballast = fill(place.workingDirectory, 3 * MIB);
      await assert.rejects(restore(), (error) => {
        assert.ok(error instanceof NoSpaceError);
        const { neededBytes = 0, availableBytes = 0 } = error;
        assert.ok(neededBytes > totalBytes - MIB && neededBytes <= totalBytes, `${neededBytes}`);
        assert.ok(availableBytes > 2 * MIB && availableBytes <= 3 * MIB, `${availableBytes}`);
        return true;
      });
      const left = readdirSync(place.workingDirectory).sort();
      assert.deepEqual(left, ["ballast", "lock"]);
      assert.equal(readdirSync(place.checkpoints, { recursive: true }).length, stored);
      rmSync(ballast);
      assert.equal(readOne(await restore(), 99), 7);
    });

    test("that fills up meanwhile fails as a full disk and leaves nothing", async (context) => {
      const { place, restore } = await prepare(context);
      let ballast = "";
      const inner = place.storage;
      const filling = storageWith(inner, {
        fetchFile: async (...call) => {
          if (ballast === "") ballast = fill(place.workingDirectory, 65_536);
          await inner.fetchFile(...call);
        },
      });
      await assert.rejects(restore(filling), { code: "VARVE_NO_SPACE", retriable: true });
      assert.deepEqual(readdirSync(place.workingDirectory).sort(), ["ballast", "lock"]);
      rmSync(ballast);
      assert.equal(readOne(await restore(), 99), 7);
    });
  });
}
