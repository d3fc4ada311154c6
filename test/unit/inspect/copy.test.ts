import assert from "node:assert/strict";
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "vitest";
import { fileSystemStorage, openKeyedStateBackend } from "../../../src/index.ts";
import { copyCheckpoint, openCheckpoint, verifyCheckpoint } from "../../../src/inspect/index.ts";
import { assertSame, openJob, scanned, served, write } from "../../support/inspected-job.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { sample } from "../../support/long-tests.ts";

describe("a copy", () => {
  for (const backend of sample(["lsm", "memory"] as const, 2)) {
    test(`is a storage of its own that restores, ${backend}`, async () => {
      const folder = temporaryDirectory();
      const job = await openJob(folder, { backend, retainedCheckpoints: 5 });
      write(job, 0);
      const contents = served(job);
      await job.checkpoint({ n: 1 });
      write(job, 1);
      await job.checkpoint({ n: 2 });
      const view = await openCheckpoint(join(folder, "checkpoints"), { checkpointId: 1 });
      const target = join(folder, "deep", "copy");
      const copied = await copyCheckpoint(view, target);
      const files = await view.files();
      assert.equal(copied.fileCount, files.length);
      const plain = join(folder, "plain");
      await copyCheckpoint(view, plain, { transfer: "copy" });
      const inodes = await Promise.all(
        [join(folder, "checkpoints"), target, plain].map(async (root) => {
          return (await stat(join(root, "files", files[0]!.id))).ino;
        }),
      );
      assert.equal(inodes[0], inodes[1]);
      assert.notEqual(inodes[0], inodes[2]);
      const inCopy = await openCheckpoint(plain);
      assertSame(await scanned(inCopy), contents);
      await inCopy.close();
      assert.equal((await readdir(join(target, "files"))).length, files.length);
      const name = join("metadata", "0000000001");
      assert.deepEqual(
        await readFile(join(target, name)),
        await readFile(join(folder, "checkpoints", name)),
      );
      await view.close();
      await job.close();

      const copy = await openCheckpoint(target);
      assertSame(await scanned(copy), contents);
      assert.ok((await verifyCheckpoint(copy, { rows: true })).isIntact);
      await assert.rejects(copyCheckpoint(copy, target), {
        code: "VARVE_INVALID_ARGUMENT",
      });
      for (const inside of [join(target, "files", "x"), join(target, "deep", "er")]) {
        await assert.rejects(copyCheckpoint(copy, inside), { code: "VARVE_INVALID_ARGUMENT" });
      }
      await copy.close();
      for (const restore of [target, copied.location]) {
        const restored = await openKeyedStateBackend({
          backend,
          workingDirectory: join(folder, "restored"),
          checkpointStorage: fileSystemStorage(join(folder, "elsewhere")),
          restore,
        });
        assert.deepEqual(restored.restored?.metadata, { n: 1 });
        assertSame(served(restored), contents);
        await restored.close();
      }
      const owner = await openJob(join(folder, "owner"), {
        backend,
        checkpointStorage: fileSystemStorage(target),
        restore: "latest",
      });
      assertSame(served(owner), contents);
      await owner.checkpoint();
      await owner.close();
    });
  }
});
