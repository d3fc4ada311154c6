import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { CheckpointStorage } from "../../../src/api/checkpoint-storage.ts";
import { pinNumber, unpinNumber } from "../../../src/checkpoint/pins.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { StorageError } from "../../../src/errors.ts";
import { Job, objectsOf } from "../../support/checkpoints.ts";

describe("a pinned checkpoint", () => {
  const pin = (job: Job, number: number) => pinNumber(job.storage, number);

  test("stays, with its files, whatever completes, until it is unpinned", async () => {
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem, 1, 1);
    await job.checkpoint(10);
    await pin(job, 1);
    await pin(job, 1);
    for (const id of [20, 30, 40]) await job.checkpoint(id);
    await job.close();
    await job.verify(await job.store.reader.findById(10));
    await assert.rejects(job.store.reader.findById(20), { code: "VARVE_CHECKPOINT_NOT_FOUND" });

    const next = await Job.open(fileSystem, 2, 1);
    await next.checkpoint(50);
    await next.checkpoint(60);
    await next.verify(await next.store.reader.findById(10));
    await unpinNumber(next.storage, 1);
    await next.checkpoint(70);
    await next.close();
    await assert.rejects(next.store.reader.findById(10), { code: "VARVE_CHECKPOINT_NOT_FOUND" });
    const objects = await objectsOf(next.storage);
    assert.deepEqual(
      objects.filter((name) => !name.startsWith("files/")),
      ["latest", "metadata/0000000007"],
    );
    assert.equal(objects.length, 2 + 4);
  });

  test("is kept by an owner that finds the pin without having seen it set", async () => {
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem, 1, 1);
    await job.checkpoint(10);
    await pin(job, 1);
    await job.checkpoint(20);
    await job.close();
    const next = await Job.open(fileSystem, 2, 1);
    await next.checkpoint(30);
    await next.close();
    await next.verify(await next.store.reader.load(1));
    await next.verify(await next.store.reader.load(3));
  });

  test("is refused once the checkpoint is given up, and leaves no pin", async () => {
    const job = await Job.open(new MemoryFileSystem(), 1, 1);
    const notFound = { code: "VARVE_CHECKPOINT_NOT_FOUND" };
    await job.checkpoint(10);
    const metadata = (await job.storage.read("metadata/0000000001", 1e6))!;
    await job.checkpoint(20);
    await job.close();
    await assert.rejects(pin(job, 1), notFound);
    await assert.rejects(pin(job, 3), notFound);
    // Between the newer checkpoint's metadata and the deletion of this one's.
    await job.storage.createIfAbsent("metadata/0000000001", metadata);
    await assert.rejects(pin(job, 1), notFound);
    assert.ok(!(await objectsOf(job.storage)).some((name) => name.startsWith("pins/")));
  });

  test("keeps everything while it cannot be told whether it is pinned", async () => {
    const storageFailure = { isArmed: false };
    const wrap = (storage: CheckpointStorage): CheckpointStorage =>
      new Proxy(storage, {
        get(target, property) {
          const value: unknown = Reflect.get(target, property);
          if (typeof value !== "function") return value;
          return (name: string, ...rest: unknown[]): unknown => {
            const isRefused = storageFailure.isArmed && property === "size";
            if (isRefused && name.startsWith("pins/")) throw new StorageError("timed out");
            return Reflect.apply(value, target, [name, ...rest]) as unknown;
          };
        },
      });
    const fileSystem = new MemoryFileSystem();
    const job = await Job.open(fileSystem, 1, 1, wrap);
    await job.checkpoint(10);
    storageFailure.isArmed = true;
    await job.checkpoint(20);
    while (job.store.stats().failedDeletions === 0) await job.environment.timers.yieldTurn();
    await job.verify(await job.store.reader.load(1));
    storageFailure.isArmed = false;
    await job.checkpoint(30);
    await job.close();
    assert.equal(await job.store.reader.exists(1), false);
    assert.equal(await job.store.reader.exists(2), false);
  });
});
