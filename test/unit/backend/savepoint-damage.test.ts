// Goal: a savepoint that is damaged or does not fit is refused by the lsm backend with a typed error,
// changes nothing, and leaves nothing in the working directory; a full disk fails that savepoint only.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { MIB, fileSystemStorage } from "../../../src/index.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";
import { mountSmall, writeNoise } from "./disks.ts";
import { Workplace, codeOf, readOne, total, writeAll } from "./fixture.ts";

function filesOf(directory: string): string[] {
  return ["files", "metadata"].flatMap((folder) =>
    readdirSync(join(directory, folder)).map((name) => join(directory, folder, name)),
  );
}

describe("the lsm backend", () => {
  test.each([undefined, { max: 50 }])(
    "refuses a canonical savepoint that is damaged anywhere (key groups %j)",
    async (keyGroups) => {
      const place = new Workplace();
      const first = await place.open({ backend: "memory" });
      writeAll(first, 3000, 7);
      const directory = join(place.root, "save");
      await first.savepoint(directory);
      await first.close();
      const open = (): Promise<KeyedStateBackend> =>
        place.open({
          workingDirectory: join(place.root, "work-2"),
          checkpointStorage: fileSystemStorage(join(place.root, "checkpoints-2")),
          restore: directory,
          keyGroups,
        });
      for (const path of filesOf(directory)) {
        const clean = readFileSync(path);
        for (let step = 0; step < 8; step++) {
          const dirty = Buffer.from(clean);
          const at = Math.floor(((clean.length - 1) * step) / 7);
          dirty[at]! ^= 1 << (step % 8);
          rmSync(path);
          writeFileSync(path, dirty);
          const outcome = await open().then(() => "restored", codeOf);
          assert.ok(
            outcome === "VARVE_CORRUPTION" || outcome === "VARVE_UNSUPPORTED_FORMAT",
            `byte ${at} of ${path}: ${outcome}`,
          );
          const left = readdirSync(join(place.root, "work-2"));
          assert.deepEqual(
            left.filter((name) => !name.startsWith("lock")),
            [],
          );
        }
        writeFileSync(path, clean);
      }
      const restored = await open();
      assert.equal(readOne(restored, 2999), 7);
    },
    60_000,
  );

  test("refuses one that does not fit the working disk as full", async (context) => {
    const place = new Workplace();
    const first = await place.open({ backend: "memory", memoryBudgetBytes: 64 * MIB });
    writeNoise(first, 0, 16_000);
    const directory = join(place.root, "save");
    await first.savepoint(directory);
    await first.close();
    const workingDirectory = join(place.root, "small");
    mountSmall(context, workingDirectory, 20 * MIB);
    for (const keyGroups of [undefined, { max: 50 }]) {
      const opening = place.open({
        workingDirectory,
        checkpointStorage: fileSystemStorage(join(place.root, "checkpoints-2")),
        restore: directory,
        memoryBudgetBytes: 16 * MIB,
        keyGroups,
      });
      await assert.rejects(opening, { code: "VARVE_NO_SPACE" });
      assert.deepEqual(
        readdirSync(workingDirectory).filter((name) => !name.startsWith("lock")),
        [],
      );
    }
  });
});

test.for(["lsm", "memory"] as const)(
  "a disk that is full fails the savepoint of %s, is cleared, and the job goes on",
  async (backend, context) => {
    const place = new Workplace();
    const opened = await place.open({ backend, memoryBudgetBytes: 48 * MIB });
    writeNoise(opened, 0, 6000);
    opened.valueState(total);
    const small = join(place.root, "small");
    mountSmall(context, small, 3 * MIB);
    for (const format of ["canonical", "native"] as const) {
      const directory = join(small, "save");
      await assert.rejects(opened.savepoint(directory, { format }), { code: "VARVE_NO_SPACE" });
      assert.deepEqual(readdirSync(join(directory, "files")), []);
      await opened.checkpoint();
      await opened.savepoint(join(place.root, format), { format });
    }
  },
);
