// Goal: a user runs backends in an environment of his own, through what the package exports.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import {
  MIB,
  fileSystemStorage,
  openKeyedStateBackend,
  openStateHost,
} from "../../../src/index.ts";
import type { Environment, FileSystem, KeyedStateBackend } from "../../../src/index.ts";
import { memoryEnvironment, nodeEnvironment } from "../../../src/testing/index.ts";
import type { MemoryEnvironment } from "../../../src/testing/index.ts";
import { Workplace, readOne, writeAll } from "./fixture.ts";

function openIn(environment: Environment, name = "job"): Promise<KeyedStateBackend> {
  return openKeyedStateBackend({
    backend: "memory",
    workingDirectory: `/${name}/work`,
    checkpointStorage: fileSystemStorage(`/${name}/checkpoints`, {}, environment),
    restore: "latest-or-new",
    memoryBudgetBytes: 32 * MIB,
    environment,
  });
}

const refused = { code: "VARVE_INVALID_ARGUMENT" };

describe("the memory backend in an environment in memory", () => {
  test("restores the last checkpoint after a power loss at every sync since", async () => {
    const environment: MemoryEnvironment = memoryEnvironment();
    const { fileSystem } = environment;
    const backend = await openIn(environment);
    writeAll(backend, 50, 1);
    await backend.checkpoint(1);
    const disks: (typeof fileSystem)[] = [];
    fileSystem.afterOperation = (operation) => {
      if (operation.startsWith("sync")) disks.push(fileSystem.crash("synced-only"));
    };
    writeAll(backend, 50, 2);
    await backend.checkpoint(2);
    fileSystem.afterOperation = undefined;
    await backend.close();
    assert.ok(disks.length >= 5, `${disks.length} syncs`);
    for (const disk of disks) {
      const restored = await openIn(memoryEnvironment({ fileSystem: disk, seed: 2 }));
      const { metadata } = restored.restored ?? {};
      assert.ok(metadata === 1 || metadata === 2);
      assert.equal(readOne(restored, 49), metadata);
      await restored.close();
    }
  });

  test("is locked there, for each such disk by itself", async () => {
    const [one, other] = [memoryEnvironment(), memoryEnvironment()];
    const backend = await openIn(one);
    await assert.rejects(openIn(one), { code: "VARVE_LOCKED" });
    await (await openIn(other)).close();
    await backend.close();
    await (await openIn(one)).close();
  });

  test("shares it with a host", async () => {
    const environment = memoryEnvironment();
    const host = await openStateHost({ environment, memoryBudgetBytes: 64 * MIB });
    const options = {
      backend: "memory",
      workingDirectory: "/work",
      checkpointStorage: fileSystemStorage("/checkpoints", {}, environment),
      restore: "latest-or-new",
      host,
    } as const;
    const backend = await openKeyedStateBackend(options);
    writeAll(backend, 10, 3);
    await backend.checkpoint();
    await assert.rejects(openKeyedStateBackend({ ...options, environment }), refused);
    await backend.close();
    await host.close();
    assert.equal((await environment.fileSystem.readDirectory("/checkpoints/metadata")).length, 1);
  });
});

describe("the lsm backend", () => {
  test("is refused where LevelDB sees other files", async () => {
    const environment = memoryEnvironment();
    const place = new Workplace();
    await assert.rejects(place.open({ environment }), refused);
    const host = await openStateHost({ environment, memoryBudgetBytes: 64 * MIB });
    await assert.rejects(place.open({ host }), refused);
    await host.close();
  });

  test("runs in one that wraps Node's, and its failures come typed", async () => {
    const place = new Workplace();
    const node = nodeEnvironment();
    let isBroken = false;
    const fileSystem = new Proxy<FileSystem>(node.fileSystem, {
      get(target, name) {
        const value: unknown = target[name as keyof FileSystem];
        if (typeof value !== "function") return value;
        if (name !== "syncFile") return value.bind(target) as unknown;
        return async (path: string) => {
          if (isBroken) throw Object.assign(new Error("EIO"), { code: "EIO" });
          await target.syncFile(path);
        };
      },
    });
    const environment: Environment = { ...node, fileSystem };
    const checkpointStorage = fileSystemStorage(place.checkpoints, {}, environment);
    const backend = await place.open({ environment, checkpointStorage });
    writeAll(backend, 50, 1);
    await backend.checkpoint();
    isBroken = true;
    writeAll(backend, 50, 2);
    await assert.rejects(backend.checkpoint(), { code: "VARVE_CHECKPOINT_ABORTED" });
    isBroken = false;
    await backend.checkpoint();
    await backend.close();
    assert.equal(readOne(await place.open({ restore: "latest" }), 49), 2);
  });
});

test("what is no environment is refused", async () => {
  const node = nodeEnvironment();
  const wrongs = [null, {}, 5, { ...node, clock: undefined }, { ...node, openDatabase: "toy" }];
  for (const wrong of wrongs) {
    const environment = wrong as unknown as Environment;
    await assert.rejects(new Workplace().open({ environment }), refused);
    await assert.rejects(openStateHost({ environment }), refused);
  }
});
