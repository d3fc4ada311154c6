import assert from "node:assert/strict";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "vitest";
import { fileName } from "../../../src/checkpoint/layout.ts";
import { fileSystemStorage, MIB, utf8 } from "../../../src/index.ts";
import type { CheckpointStorage } from "../../../src/index.ts";
import {
  type CheckpointFile,
  type Damage,
  type VerifyReport,
  listCheckpoints,
  openCheckpoint,
  verifyCheckpoint,
} from "../../../src/inspect/index.ts";
import { openJob, write } from "../../support/inspected-job.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

/** Enough rows for several files: those of the memory backend have 16 MiB. */
async function bigJob(folder: string, backend: "lsm" | "memory"): Promise<string> {
  const job = await openJob(folder, { backend, memoryBudgetBytes: 128 * MIB });
  const text = job.valueState({ name: "text", value: utf8 });
  for (let key = 0; key < 5000; key++) {
    job.withKey(key, () => text.update(`${key} `.repeat(2000)));
    if (job.needsDrain) await job.drained();
  }
  await job.checkpoint();
  await job.close();
  return join(folder, "checkpoints");
}

async function filesOf(directory: string): Promise<readonly CheckpointFile[]> {
  const view = await openCheckpoint(directory);
  try {
    return await view.files();
  } finally {
    await view.close();
  }
}

async function verified(
  source: string | CheckpointStorage,
  options: Parameters<typeof verifyCheckpoint>[1] = {},
): Promise<VerifyReport> {
  const view = await openCheckpoint(source);
  try {
    return await verifyCheckpoint(view, options);
  } finally {
    await view.close();
  }
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(path, bytes);
}

/** Keys of the damaged checkpoint that a scan of all other key groups still finds. */
async function readable(directory: string, { damaged }: VerifyReport): Promise<number> {
  const view = await openCheckpoint(directory);
  let count = 0;
  for (let group = 0; group < 128; group++) {
    const isHit = damaged.some(
      ({ keyGroups }) => keyGroups.first <= group && group <= keyGroups.last,
    );
    if (isHit) continue;
    const keyGroups = { first: group, last: group };
    for await (const entry of view.scan("text", { keyGroups })) count += entry.isDecoded ? 1 : 0;
  }
  await view.close();
  return count;
}

describe("verifying", () => {
  for (const backend of ["lsm", "memory"] as const) {
    test(`names every damaged file and the key groups it hits, ${backend}`, async () => {
      const directory = await bigJob(temporaryDirectory(), backend);
      const clean = await verified(directory, { rows: true });
      assert.ok(clean.isIntact);
      const files = (await filesOf(directory)).filter(({ kind }) => kind !== "file-list");
      assert.equal(clean.fileCount, files.length + 1);
      assert.ok(files.length >= 3, `${files.length} files`);
      const bad = [files[0]!, files.at(-1)!];
      await flip(join(directory, fileName(bad[0]!.id)));
      await truncate(join(directory, fileName(bad[1]!.id)), bad[1]!.lengthBytes - 1);
      const report = await verified(directory);
      assert.equal(report.isIntact, false);
      const names = report.damaged.map(({ file }) => file).sort();
      assert.deepEqual(names, bad.map(({ id }) => fileName(id)).sort());
      assert.ok(report.damaged.every(({ code }) => code === "VARVE_CORRUPTION"));
      for (const { keyGroups } of report.damaged) {
        assert.ok(keyGroups.first <= keyGroups.last && keyGroups.last <= 127);
      }
      if (backend === "memory") {
        assert.ok(report.damaged[0]!.keyGroups.last < 127);
        assert.ok(report.damaged[1]!.keyGroups.first > 0);
        assert.ok((await readable(directory, report)) > 500, "other key groups are intact");
      }
      await rm(join(directory, fileName(bad[0]!.id)));
      assert.equal((await verified(directory)).damaged.length, 2);
    });
  }

  test("a damaged file list hits the key groups of its handle", async () => {
    const folder = temporaryDirectory();
    const job = await openJob(folder);
    write(job, 0, 9);
    await job.checkpoint();
    await job.close();
    const directory = join(folder, "checkpoints");
    const list = (await filesOf(directory)).find(({ kind }) => kind === "file-list");
    await flip(join(directory, fileName(list!.id)));
    const { damaged } = await verified(directory);
    assert.equal(damaged.length, 1);
    assert.deepEqual(
      [damaged[0]!.kind, damaged[0]!.file, damaged[0]!.keyGroups],
      ["file-list", fileName(list!.id), { first: 0, last: 127 }],
    );
    const { checkpoints, damaged: unreadable } = await listCheckpoints(directory);
    assert.deepEqual([checkpoints.length, unreadable.length], [0, 1]);
    await flip(join(directory, "metadata", "0000000001"));
    await assert.rejects(verified(directory), { code: "VARVE_CORRUPTION" });
  });

  test("shared files are read once, progress comes to its end, and storages without paths work", async () => {
    const folder = temporaryDirectory();
    const directory = join(folder, "checkpoints");
    const job = await openJob(folder, { retainedCheckpoints: 4 });
    write(job, 0);
    await job.checkpoint();
    const first = (await filesOf(directory)).reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    write(job, 1, 40);
    await job.checkpoint();
    await job.close();
    const known = new Map<string, Damage | undefined>();
    const steps: number[] = [];
    const onProgress = (at: { verifiedBytes: number; totalBytes: number }): number =>
      steps.push(at.totalBytes - at.verifiedBytes);
    const newest = await verified(directory, { known, onProgress });
    assert.equal(steps.at(-1), 0);
    assert.ok(newest.readBytes > 0);
    assert.equal((await verified(directory, { known })).readBytes, 0);
    const { checkpoints } = await listCheckpoints(directory);
    assert.deepEqual(
      checkpoints.map(({ checkpointId, newBytes }) => [checkpointId, newBytes === undefined]),
      [
        [2, false],
        [1, true],
      ],
    );
    const [latest, oldest] = checkpoints;
    assert.equal(oldest!.totalBytes, first);
    assert.equal(latest!.newBytes! + latest!.sharedBytes!, latest!.totalBytes);
    assert.ok(latest!.sincePreviousMs! >= 0);
    assert.ok(latest!.durationMs! >= latest!.pauseMs!);
    assert.ok(latest!.pauseMs! >= 0);

    const storage = withoutPaths(fileSystemStorage(directory));
    assert.ok((await verified(storage)).isIntact);
    const file = (await filesOf(directory)).find(({ kind }) => kind === "sst");
    await flip(join(directory, fileName(file!.id)));
    const { damaged } = await verified(storage);
    assert.deepEqual([damaged[0]!.file, damaged[0]!.path], [fileName(file!.id), undefined]);
  });

  test("is stopped by its signal", async () => {
    const folder = temporaryDirectory();
    const job = await openJob(folder);
    write(job, 0, 9);
    await job.checkpoint();
    await job.close();
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(verified(join(folder, "checkpoints"), { signal }), /enough/);
  });
});

/** As an object store: readable by ranges only. */
function withoutPaths(storage: CheckpointStorage): CheckpointStorage {
  return {
    description: "objects",
    read: (name, max) => storage.read(name, max),
    readRange: (name, offset, length) => storage.readRange(name, offset, length),
    size: (name) => storage.size(name),
    list: (prefix) => storage.list(prefix),
  } as CheckpointStorage;
}
