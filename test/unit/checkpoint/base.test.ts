import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { fetchBase } from "../../../src/checkpoint/base-reader.ts";
import { writeSstSet } from "../../../src/checkpoint/base-writer.ts";
import { runBounded } from "../../../src/checkpoint/bounded-work.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { Job, contentOf, objectsOf } from "../../support/checkpoints.ts";

async function stored(): Promise<{ job: Job; fileSystem: MemoryFileSystem; ids: string[] }> {
  const fileSystem = new MemoryFileSystem();
  const job = await Job.open(fileSystem);
  await job.checkpoint(1);
  const ids = [...job.confirmed.values()].map((file) => file.id);
  return { job, fileSystem, ids };
}

async function fetchNewest(job: Job): Promise<void> {
  await job.verify(await job.store.reader.loadNewest());
}

describe("fetching a base", () => {
  test("names the stored file that is missing, cut, longer, damaged or another one's", async () => {
    const flip = (bytes: Uint8Array): Uint8Array => {
      bytes[100]! ^= 1;
      return bytes;
    };
    const damages: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
      (bytes) => bytes.subarray(0, bytes.length - 1),
      (bytes) => Buffer.concat([bytes, Buffer.from("x")]),
      () => new Uint8Array(0),
      flip,
      (bytes) => new Uint8Array(bytes.length),
    ];
    for (const damage of damages) {
      const { job, fileSystem, ids } = await stored();
      fileSystem.damage(`/store/files/${ids[1]}`, damage);
      await assert.rejects(fetchNewest(job), {
        code: "VARVE_CORRUPTION",
        file: `files/${ids[1]}`,
      });
    }
    const { job, fileSystem, ids } = await stored();
    await fileSystem.unlink(`/store/files/${ids[2]}`);
    await assert.rejects(fetchNewest(job), { code: "VARVE_CORRUPTION", file: `files/${ids[2]}` });
  });

  test("refuses a damaged, missing or replaced file list before fetching anything", async () => {
    const { job, fileSystem } = await stored();
    const { handles } = await job.store.reader.loadNewest();
    const path = `/store/files/${handles[0]!.base.fileList.id}`;
    const clean = await fileSystem.readFile(path);
    for (let at = 0; at < clean.length; at += 7) {
      fileSystem.damage(path, () => Uint8Array.from(clean).fill(clean[at]! ^ 16, at, at + 1));
      await assert.rejects(fetchNewest(job), { code: "VARVE_CORRUPTION" });
    }
    await fileSystem.unlink(path);
    await assert.rejects(fetchNewest(job), { code: "VARVE_CORRUPTION" });
  });

  test("refuses a handle that disagrees with its list", async () => {
    const { job } = await stored();
    const { handles } = await job.store.reader.loadNewest();
    const { base } = handles[0]!;
    for (const changed of [
      { ...base, kind: "dump" as const },
      { ...base, fileCount: base.fileCount + 1 },
      { ...base, totalBytes: base.totalBytes - 1 },
    ]) {
      const { storage, pool, environment } = job;
      const place = { directory: "/never", localPath: () => "/never/file" };
      const request = { storage, pool, environment, base: changed, ...place };
      await assert.rejects(fetchBase(request), { code: "VARVE_CORRUPTION" });
    }
  });

  test("refuses what has to be copied and does not fit, before it copies anything", async () => {
    const { job, fileSystem } = await stored();
    const { handles } = await job.store.reader.loadNewest();
    const neededBytes = handles[0]!.base.totalBytes;
    let copies = 0;
    const refuseLinks = (operation: string, path: string): void => {
      if (operation === "copyFile") copies++;
      if (operation !== "link" || path.startsWith("/store")) return;
      throw Object.assign(new Error("EXDEV"), { code: "EXDEV" });
    };
    fileSystem.availableBytes = neededBytes - 1;
    await fetchNewest(job); // By links, which take no space.
    fileSystem.onOperation = refuseLinks;
    const expected = { code: "VARVE_NO_SPACE", neededBytes, availableBytes: neededBytes - 1 };
    await assert.rejects(fetchNewest(job), expected);
    assert.equal(copies, 0);
    for (const availableBytes of [neededBytes, undefined]) {
      fileSystem.availableBytes = availableBytes;
      await fetchNewest(job);
    }
    assert.equal(copies, 2 * handles[0]!.base.fileCount);
  });

  test("ignores files that no checkpoint names", async () => {
    const { job } = await stored();
    await job.storage.putBytes("files/stranger", new Uint8Array(3));
    await fetchNewest(job);
  });
});

describe("writing a base", () => {
  test("uploads nothing that is reused", async () => {
    const { job } = await stored();
    const before = (await objectsOf(job.storage)).length;
    const { result } = await job.snapshot(2);
    assert.equal(result.newFileIds.length, 2); // One SST and the list.
    assert.equal(result.files.length, 4);
    assert.equal((await objectsOf(job.storage)).length, before + 2);
    assert.ok(result.uploadedBytes > contentOf(4).length);
  });

  test("hands over everything that it uploaded when one upload fails", async () => {
    const { job, fileSystem } = await stored();
    const before = await objectsOf(job.storage);
    let links = 0;
    fileSystem.onOperation = (operation, path) => {
      if (operation !== "link" || !path.startsWith("/store/files") || ++links < 2) return;
      throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    };
    await assert.rejects(job.snapshot(5), { code: "VARVE_NO_SPACE" });
    fileSystem.onOperation = undefined;
    await job.close();
    assert.deepEqual(await objectsOf(job.storage), before);
  });

  test("stops for a signal, with its reason, and leaves nothing", async () => {
    const { job, fileSystem } = await stored();
    const before = await objectsOf(job.storage);
    const controller = new AbortController();
    const reason = new Error("expired");
    fileSystem.onOperation = (operation, path) => {
      if (operation === "syncFile" && path.startsWith("/store")) controller.abort(reason);
    };
    await assert.rejects(
      job.snapshot(5, [5, 6, 7], controller.signal),
      (error) => error === reason,
    );
    fileSystem.onOperation = undefined;
    await job.close();
    assert.deepEqual(await objectsOf(job.storage), before);
  });

  test("refuses a local file whose length is not the one captured", async () => {
    const { job, fileSystem } = await stored();
    const discarded: string[] = [];
    const file = await fileSystem.create("/local");
    await file.write(new Uint8Array(10));
    const key = new Uint8Array(8);
    const capture = { path: "/local", lengthBytes: 11, level: 0, number: 1 };
    const files = [{ ...capture, smallest: key, largest: key }];
    const discard = (ids: readonly string[]): void => void discarded.push(...ids);
    await assert.rejects(
      writeSstSet(
        { lastSequence: 1, nextFile: 2, files, reuse: new Map() },
        {
          storage: job.storage,
          pool: job.pool,
          environment: job.environment,
          discard,
        },
      ),
      { code: "VARVE_CORRUPTION", file: "/local" },
    );
    assert.equal(discarded.length, 1);
  });
});

describe("bounded work", () => {
  test("runs at most so many at once, and all of them", async () => {
    let running = 0;
    let most = 0;
    const done: number[] = [];
    const items = Array.from({ length: 20 }, (_, index) => index);
    await runBounded(items, 3, undefined, async (item) => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      done.push(item);
    });
    assert.equal(most, 3);
    assert.deepEqual(
      done.toSorted((a, b) => a - b),
      items,
    );
    await runBounded([], 3, undefined, () => assert.fail());
  });

  test("rejects with the first failure, once nothing runs any more", async () => {
    const ended: number[] = [];
    const failure = new Error("first");
    const work = runBounded([0, 1, 2, 3, 4], 2, undefined, async (item, signal) => {
      if (item === 1) throw failure;
      await Promise.resolve();
      await Promise.resolve();
      assert.equal(signal.aborted, true);
      ended.push(item);
    });
    await assert.rejects(work, (error) => error === failure);
    assert.deepEqual(ended, [0]);
  });
});
