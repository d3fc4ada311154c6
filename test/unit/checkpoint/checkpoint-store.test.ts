import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { CheckpointStorage } from "../../../src/api/checkpoint-storage.ts";
import { CheckpointReader } from "../../../src/checkpoint/checkpoint-reader.ts";
import { StorageError } from "../../../src/errors.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { encodeHint } from "../../../src/format/metadata-hint.ts";
import { Job, objectsOf } from "../../support/checkpoints.ts";

const flip = (bytes: Uint8Array): Uint8Array => {
  const dirty = Uint8Array.from(bytes);
  dirty[Math.floor(dirty.length / 2)]! ^= 1;
  return dirty;
};

describe("a checkpoint store", () => {
  test("numbers checkpoints densely, keeps the last ones and deletes the rest", async () => {
    const job = await Job.open(new MemoryFileSystem());
    for (let id = 1; id <= 9; id += 2) {
      const committed = await job.checkpoint(id);
      assert.equal(committed.completionNumber, (id + 1) / 2);
      assert.equal(committed.location, `/store/metadata/${String((id + 1) / 2).padStart(10, "0")}`);
    }
    await job.close();
    const objects = await objectsOf(job.storage);
    assert.deepEqual(
      objects.filter((name) => !name.startsWith("files/")),
      ["latest", "metadata/0000000004", "metadata/0000000005"],
    );
    // Two file lists; SSTs 7, 8, 9 and 10, 11, of which 9 is shared.
    assert.equal(objects.length, 3 + 2 + 5);
    assert.equal(job.store.stats().referencedFiles, 7);
    assert.equal(job.store.stats().pendingDeletions, 0);
  });

  test("finds checkpoints by number, by id, and the newest", async () => {
    const job = await Job.open(new MemoryFileSystem());
    const { reader } = job.store;
    assert.equal(await reader.hasTrace(), false);
    assert.equal(await reader.findNewest(), undefined);
    await assert.rejects(reader.loadNewest(), { code: "VARVE_CHECKPOINT_NOT_FOUND" });
    for (let id = 1; id <= 4; id++) await job.checkpoint(id);
    await job.close();
    assert.equal(await reader.hasTrace(), true);
    assert.equal((await reader.loadNewest()).checkpointId, 4);
    assert.equal((await reader.findById(3)).completionNumber, 3);
    await assert.rejects(reader.findById(2), { code: "VARVE_CHECKPOINT_NOT_FOUND" });
    await assert.rejects(reader.load(1), { code: "VARVE_CHECKPOINT_NOT_FOUND" });
    assert.deepEqual((await reader.load(4)).userMetadata, { id: 4 });
    await job.verify(await reader.load(3));
    await job.verify(await reader.load(4));
  });

  test("goes on where the last owner stopped, and removes what it left behind", async () => {
    const fileSystem = new MemoryFileSystem();
    const first = await Job.open(fileSystem, 1);
    await first.checkpoint(1);
    await first.checkpoint(2);
    await first.snapshot(3); // Uploaded, never committed.
    await first.close();
    const before = await objectsOf(first.storage);

    const second = await Job.open(fileSystem, 2);
    assert.equal(second.store.lastCheckpointId, 2);
    assert.equal(second.store.writerEpoch.number, 2);
    assert.deepEqual(await objectsOf(second.storage), before);
    await second.checkpoint(3);
    await second.close();
    const objects = await objectsOf(second.storage);
    // Checkpoint 2: list, 2, 3, 4. Checkpoint 3, uploaded anew: list, 3, 4, 5. Nothing else.
    assert.equal(objects.filter((name) => name.startsWith("files/")).length, 8);
    for (const number of [2, 3]) await second.verify(await second.store.reader.load(number));
  });

  test("fences a zombie whose next number another owner has taken", async () => {
    const fileSystem = new MemoryFileSystem();
    const zombie = await Job.open(fileSystem, 1);
    await zombie.checkpoint(1);
    const owner = await Job.open(fileSystem, 2);
    await owner.checkpoint(2);
    const fenced = { code: "VARVE_FENCED" };
    await assert.rejects(zombie.checkpoint(2), fenced);
    await assert.rejects(zombie.checkpoint(3), fenced);
    await zombie.close();
    await owner.checkpoint(3);
    await owner.close();
    for (const number of [2, 3]) await owner.verify(await owner.store.reader.load(number));
    const objects = await objectsOf(owner.storage);
    assert.equal(objects.filter((name) => name.startsWith("files/")).length, 2 + 4);
  });

  test("fences a zombie whose next number is already deleted, and removes its metadata", async () => {
    const fileSystem = new MemoryFileSystem();
    const zombie = await Job.open(fileSystem, 1, 1);
    await zombie.checkpoint(1);
    const owner = await Job.open(fileSystem, 2, 1);
    for (let id = 2; id <= 5; id++) await owner.checkpoint(id);
    await owner.close();
    const before = await objectsOf(owner.storage);
    await assert.rejects(zombie.checkpoint(2), { code: "VARVE_FENCED" });
    await zombie.close();
    assert.deepEqual(await objectsOf(owner.storage), before);
    assert.equal((await owner.store.reader.loadNewest()).checkpointId, 5);
  });

  test("of two that open at once only one completes its first checkpoint", async () => {
    const fileSystem = new MemoryFileSystem();
    const jobs = await Promise.all([Job.open(fileSystem, 1), Job.open(fileSystem, 2)]);
    const outcomes = await Promise.allSettled(jobs.map((job) => job.checkpoint(1)));
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    for (const job of jobs) await job.close();
    await jobs[0]!.verify(await jobs[0]!.store.reader.loadNewest());
  });

  test("refuses a checkpoint that is older than a completed one", async () => {
    const job = await Job.open(new MemoryFileSystem());
    job.store.begin(4);
    await job.checkpoint(5);
    await assert.rejects(job.checkpoint(4), {
      code: "VARVE_CHECKPOINT_ABORTED",
      reason: "superseded",
    });
    await job.close();
    await assert.rejects(job.checkpoint(6), { code: "VARVE_CLOSED" });
  });

  test("deletes what an aborted checkpoint uploaded, and nothing that others use", async () => {
    const job = await Job.open(new MemoryFileSystem());
    await job.checkpoint(1);
    const before = await objectsOf(job.storage);
    const { result } = await job.snapshot(2);
    job.store.abort(2, result.newFileIds);
    await job.close();
    assert.deepEqual(await objectsOf(job.storage), before);
  });

  test("keeps files that an attempt under way has pinned", async () => {
    const job = await Job.open(new MemoryFileSystem(), 1, 1);
    await job.checkpoint(1);
    const pinned = [...job.confirmed.values()];
    job.store.begin(2);
    const early = await job.snapshot(3, [1, 2, 3]); // Builds on files of checkpoint 1.
    job.confirmed = new Map();
    await job.checkpoint(2); // Subsumes checkpoint 1, shares nothing with it.
    const commit = {
      checkpointId: 3,
      policy: "incremental",
      snapshots: [early.result],
      userMetadata: undefined,
    } as const;
    await job.store.commit(commit);
    await job.close();
    const objects = await objectsOf(job.storage);
    for (const file of pinned) assert.ok(objects.includes(`files/${file.id}`));
  });

  test("finds the newest without a hint, with a damaged, a lagging or a regressed one", async () => {
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem);
    for (let id = 1; id <= 5; id++) await job.checkpoint(id);
    await job.close();
    const { reader } = job.store;
    fileSystem.damage("/store/latest", flip);
    assert.equal(await reader.findNewest(), 5);
    fileSystem.damage("/store/latest", () => encodeHint(4));
    assert.equal(await reader.findNewest(), 5);
    fileSystem.damage("/store/latest", () => encodeHint(1)); // Deleted by now.
    assert.equal(await reader.findNewest(), 5);
    await fileSystem.unlink("/store/latest");
    assert.equal(await reader.findNewest(), 5);
    assert.equal(await reader.hasTrace(), true);
    const next = await Job.open(fileSystem, 2);
    assert.equal((await next.checkpoint(6)).completionNumber, 6);
    await next.close();
  });

  test("reports a hint without any metadata as damage, never as an empty start", async () => {
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem);
    await job.checkpoint(1);
    await job.close();
    await fileSystem.unlink("/store/metadata/0000000001");
    const { reader } = job.store;
    const expected = { code: "VARVE_CORRUPTION", file: "latest" };
    await assert.rejects(reader.findNewest(), expected);
    fileSystem.damage("/store/latest", flip);
    await assert.rejects(reader.findNewest(), expected);
    assert.equal(await reader.hasTrace(), true);
  });

  test("never falls back from a newest checkpoint that is gone: the hint knows of it", async () => {
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem, 1, 3);
    for (let id = 1; id <= 3; id++) await job.checkpoint(id);
    await job.close();
    await fileSystem.unlink("/store/metadata/0000000003");
    const { reader } = job.store;
    const expected = { code: "VARVE_CORRUPTION", file: "metadata/0000000003" };
    await assert.rejects(reader.loadNewest(), expected);
    await assert.rejects(reader.load(3), expected);
    await assert.rejects(reader.load(4), { code: "VARVE_CHECKPOINT_NOT_FOUND" });
    assert.equal((await reader.findById(2)).checkpointId, 2);
    const next = await Job.open(fileSystem, 2, 3);
    assert.deepEqual(next.store.stats().unreadableCheckpoints, [3]);
    assert.equal((await next.checkpoint(7)).completionNumber, 4);
    assert.equal((await reader.loadNewest()).checkpointId, 7);
    await next.close();
  });

  test("never falls back from an unreadable newest checkpoint by itself", async () => {
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem);
    await job.checkpoint(1);
    await job.checkpoint(2);
    await job.close();
    fileSystem.damage("/store/metadata/0000000002", flip);
    const { reader } = job.store;
    const expected = { code: "VARVE_CORRUPTION", file: "metadata/0000000002" };
    await assert.rejects(reader.loadNewest(), expected);
    await assert.rejects(reader.findById(2), expected);
    assert.equal((await reader.findById(1)).completionNumber, 1); // The explicit choice.

    const next = await Job.open(fileSystem, 2);
    assert.deepEqual(next.store.stats().unreadableCheckpoints, [2]);
    assert.equal((await next.checkpoint(3)).completionNumber, 3);
    await next.close();
    await next.verify(await reader.load(3));
  });

  test("refuses metadata under another number", async () => {
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem);
    await job.checkpoint(1);
    await fileSystem.copyFile("/store/metadata/0000000001", "/store/metadata/0000000002");
    await assert.rejects(job.store.reader.loadNewest(), { code: "VARVE_CORRUPTION" });
    await job.close();
  });

  test("retries failed deletions, and shows them", async () => {
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem, 1, 1);
    await job.checkpoint(1);
    fileSystem.onOperation = (operation, path) => {
      const isObject = path.startsWith("/store/files") || path.startsWith("/store/metadata");
      if (operation === "unlink" && isObject && !path.includes(".temporary")) {
        throw Object.assign(new Error("EIO"), { code: "EIO" });
      }
    };
    await job.checkpoint(2);
    while (job.store.stats().failedDeletions === 0) await job.environment.timers.yieldTurn();
    fileSystem.onOperation = undefined;
    await job.checkpoint(3);
    await job.close();
    const stats = job.store.stats();
    assert.ok(stats.failedDeletions >= 1);
    assert.equal((stats.lastDeletionError as StorageError).code, "VARVE_STORAGE");
    assert.equal(stats.pendingDeletions, 0);
    assert.equal(await fileSystem.stat("/store/metadata/0000000001"), undefined);
  });

  test("deletes nothing while the hint cannot be written", async () => {
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem, 1, 1);
    await job.checkpoint(1);
    fileSystem.onOperation = (operation, path) => {
      if (operation === "rename" && path === "/store/latest") throw new Error("EIO");
    };
    await job.checkpoint(2);
    await job.checkpoint(3);
    // Nobody waits for the hint of a checkpoint that is not the first.
    while (job.store.stats().failedHints < 2) await new Promise((resolve) => setImmediate(resolve));
    for (const number of [1, 2, 3]) await job.verify(await job.store.reader.load(number));
    assert.equal(await job.store.reader.findNewest(), 3);
    fileSystem.onOperation = undefined;
    await job.checkpoint(4);
    await job.close();
    assert.equal(await job.store.reader.exists(1), false);
  });
});

describe("a creation of unknown outcome", () => {
  /** Fails createIfAbsent once, before or after it took effect. */
  function failing(when: "before" | "after", isReadable = true) {
    const control = { isArmed: false, isUnreadable: false };
    const wrap = (storage: CheckpointStorage): CheckpointStorage =>
      new Proxy(storage, {
        get(target, property) {
          if (property === "createIfAbsent") {
            return async (name: string, bytes: Uint8Array) => {
              if (!control.isArmed) return target.createIfAbsent(name, bytes);
              control.isArmed = false;
              control.isUnreadable = !isReadable;
              if (when === "after") await target.createIfAbsent(name, bytes);
              throw new StorageError("timed out");
            };
          }
          if (property === "size" && control.isUnreadable) {
            return () => Promise.reject(new StorageError("timed out as well"));
          }
          const value: unknown = Reflect.get(target, property);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    return { control, wrap };
  }

  test("completes when the metadata turns out to be there", async () => {
    const { control, wrap } = failing("after");
    const job = await Job.open(new MemoryFileSystem(), 1, 2, wrap);
    await job.checkpoint(1);
    control.isArmed = true;
    assert.equal((await job.checkpoint(2)).completionNumber, 2);
    await job.checkpoint(3);
    await job.close();
    for (const number of [2, 3]) await job.verify(await job.store.reader.load(number));
  });

  test("fails and keeps its files, until the next one takes the number", async () => {
    const { control, wrap } = failing("before");
    const job = await Job.open(new MemoryFileSystem(), 1, 2, wrap);
    await job.checkpoint(1);
    const before = (await objectsOf(job.storage)).length;
    control.isArmed = true;
    await assert.rejects(job.checkpoint(2), { code: "VARVE_STORAGE" });
    job.store.abort(2); // As whoever awaited it does: it may exist all the same.
    await job.store.reader.storage.size("latest");
    assert.equal((await objectsOf(job.storage)).length, before + 2); // List and one SST.
    assert.equal((await job.checkpoint(3)).completionNumber, 2);
    await job.close();
    assert.equal((await objectsOf(job.storage)).length, 3 + 2 + 5);
    for (const number of [1, 2]) await job.verify(await job.store.reader.load(number));
  });

  test("counts as completed when the next one finds it", async () => {
    const { control, wrap } = failing("after", false);
    const job = await Job.open(new MemoryFileSystem(), 1, 2, wrap);
    await job.checkpoint(1);
    control.isArmed = true;
    await assert.rejects(job.checkpoint(2), { code: "VARVE_STORAGE" });
    control.isUnreadable = false;
    assert.equal((await job.checkpoint(3)).completionNumber, 3);
    await job.close();
    assert.equal((await job.store.reader.load(2)).checkpointId, 2);
    for (const number of [2, 3]) await job.verify(await job.store.reader.load(number));
  });

  test("counts as completed for whoever opens the storage next", async () => {
    const { control, wrap } = failing("after", false);
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem, 1, 2, wrap);
    await job.checkpoint(1);
    control.isArmed = true;
    await assert.rejects(job.checkpoint(2), { code: "VARVE_STORAGE" });
    await job.close();
    const next = await Job.open(fileSystem, 2);
    assert.equal((await next.store.reader.loadNewest()).checkpointId, 2);
    await next.verify(await new CheckpointReader(next.storage).load(2));
    await next.close();
  });
});
