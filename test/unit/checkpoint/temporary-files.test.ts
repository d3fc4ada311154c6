// Goal: temporary files of a crash go, and nothing that an owner still needs goes with them.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { FileSystem } from "../../../src/api/environment.ts";
import { fileSystemStorage } from "../../../src/checkpoint/file-system-storage.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { Job, objectsOf } from "../../support/checkpoints.ts";

const digits = "0123456789abcdef0123456789abcdef";

async function temporariesIn(fileSystem: MemoryFileSystem): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ["/store", "/store/metadata"]) {
    for (const name of await fileSystem.readDirectory(folder)) {
      if (name.startsWith(".temporary-")) found.push(`${folder}/${name}`);
    }
  }
  return found;
}

async function put(fileSystem: MemoryFileSystem, path: string): Promise<void> {
  const file = await fileSystem.create(path);
  await file.close();
}

/** Stops the job's process in the middle of `operation`, which leaves a temporary file. */
async function crashAt(fileSystem: MemoryFileSystem, operation: string): Promise<MemoryFileSystem> {
  const job = await Job.open(fileSystem);
  await job.checkpoint(1);
  let isDown = false;
  fileSystem.onOperation = (at, path) => {
    isDown ||= at === operation && /metadata|latest/.test(path);
    if (isDown) throw new Error("crashed");
  };
  await job.checkpoint(2).catch(() => undefined);
  await job.store.close();
  fileSystem.syncAll();
  return fileSystem.crash("synced-only");
}

describe("temporary files that a crash left", () => {
  for (const operation of ["link", "rename"]) {
    test(`are removed when the next owner has completed a checkpoint, not before: ${operation}`, async () => {
      const fileSystem = await crashAt(new MemoryFileSystem(), operation);
      assert.equal((await temporariesIn(fileSystem)).length, 1);
      const job = await Job.open(fileSystem, 2);
      assert.equal((await temporariesIn(fileSystem)).length, 1);
      await job.checkpoint(3);
      await job.close();
      assert.deepEqual(await temporariesIn(fileSystem), []);
      await job.verify(await job.store.reader.loadNewest());
    });
  }

  test("go alone: names that are not quite ours stay, and so do those that came later", async () => {
    const fileSystem = new MemoryFileSystem();
    await (await Job.open(fileSystem)).checkpoint(1);
    const others = [
      "/store/.temporary-",
      `/store/.temporary-${digits}0`,
      `/store/metadata/.temporary-${digits.toUpperCase()}`,
      "/store/.hidden",
    ];
    for (const path of others) await put(fileSystem, path);
    fileSystem.symbolicLink("/store/latest", `/store/.temporary-${digits}`);
    await put(fileSystem, `/store/metadata/.temporary-${digits}`);
    const job = await Job.open(fileSystem, 2);
    const later = `/store/.temporary-${"f".repeat(32)}`;
    await put(fileSystem, later);
    await job.checkpoint(2);
    await job.close();
    const left = [...others, later, `/store/.temporary-${digits}`];
    assert.deepEqual([...(await temporariesIn(fileSystem)), "/store/.hidden"].sort(), left.sort());
  });

  test("that cannot be removed are tried again, and no checkpoint fails for it", async () => {
    const fileSystem = new MemoryFileSystem();
    await (await Job.open(fileSystem)).checkpoint(1);
    await put(fileSystem, `/store/.temporary-${digits}`);
    const job = await Job.open(fileSystem, 2);
    fileSystem.onOperation = (operation, path) => {
      if (operation !== "unlink" || !path.endsWith(digits)) return;
      throw Object.assign(new Error("EACCES"), { code: "EACCES" });
    };
    await job.checkpoint(2);
    await job.store.close();
    assert.equal(job.store.stats().failedDeletions >= 1, true);
    assert.equal((await temporariesIn(fileSystem)).length, 1);
  });
});

describe("an owner that is paused before it links its metadata", () => {
  // Method: its file system stands still in the link, while another owner comes.
  async function pausedOwner(fileSystem: MemoryFileSystem) {
    let resume = (): void => undefined;
    let reached = (): void => undefined;
    const gate = new Promise<void>((resolve) => (resume = resolve));
    const atGate = new Promise<void>((resolve) => (reached = resolve));
    const environment = memoryEnvironment({ fileSystem, seed: 9 });
    const paused: FileSystem = new Proxy<FileSystem>(fileSystem, {
      get(target, name) {
        const value: unknown = target[name as keyof FileSystem];
        if (typeof value !== "function") return value;
        if (name !== "link") return value.bind(target) as unknown;
        return async (from: string, to: string) => {
          if (!to.includes("metadata")) return target.link(from, to);
          reached();
          await gate;
          return target.link(from, to);
        };
      },
    });
    const storage = fileSystemStorage("/store", {}, { ...environment, fileSystem: paused });
    const job = await Job.open(fileSystem, 9, 2, () => storage);
    return { job, atGate, resume: () => resume() };
  }

  test("completes if the other has only opened the storage", async () => {
    const fileSystem = new MemoryFileSystem();
    const { job: first, atGate, resume } = await pausedOwner(fileSystem);
    const running = first.checkpoint(1);
    await atGate;
    const second = await Job.open(fileSystem, 2);
    resume();
    assert.equal((await running).completionNumber, 1);
    await assert.rejects(second.checkpoint(1), { code: "VARVE_FENCED" });
    await second.close();
    await first.close();
    await first.verify(await first.store.reader.loadNewest());
  });

  test("is fenced if the other has completed a checkpoint, and damages nothing", async () => {
    const fileSystem = new MemoryFileSystem();
    const { job: first, atGate, resume } = await pausedOwner(fileSystem);
    const running = first.checkpoint(1);
    await atGate;
    const second = await Job.open(fileSystem, 2);
    await second.checkpoint(1);
    await second.close();
    assert.deepEqual(await temporariesIn(fileSystem), []);
    const before = await objectsOf(second.storage);
    resume();
    await assert.rejects(running, { code: "VARVE_FENCED" });
    await first.close();
    assert.deepEqual(await objectsOf(second.storage), before);
    await second.verify(await second.store.reader.loadNewest());
  });
});
