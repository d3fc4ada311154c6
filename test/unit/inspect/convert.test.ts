// What a conversion refuses, and that nothing is left of one that fails. In an environment in memory.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import {
  MIB,
  f64,
  fileSystemStorage,
  i64,
  openKeyedStateBackend,
  u32,
  utf8,
} from "../../../src/index.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";
import { convertCheckpoint } from "../../../src/inspect/index.ts";
import type { ConvertOptions } from "../../../src/inspect/index.ts";
import { memoryEnvironment } from "../../../src/testing/index.ts";
import type { MemoryEnvironment } from "../../../src/testing/index.ts";

const source = "/job/checkpoints";
const target = "/saves/one";
const KEYS = 40;

function openIn(
  environment: MemoryEnvironment,
  name: string,
  restore: string,
  max: number = 128,
): Promise<KeyedStateBackend> {
  return openKeyedStateBackend({
    backend: "memory",
    workingDirectory: `/${name}/work`,
    checkpointStorage: fileSystemStorage(`/${name}/checkpoints`, {}, environment),
    restore,
    keyGroups: { max },
    memoryBudgetBytes: 16 * MIB,
    environment,
  });
}

function statesOf(backend: KeyedStateBackend) {
  return {
    total: backend.valueState({ name: "total", value: f64 }),
    tags: backend.listState({ name: "tags", element: utf8 }),
    byNumber: backend.mapState({ name: "by-number", key: i64, value: utf8 }),
  };
}

async function written(seed: number = 1): Promise<MemoryEnvironment> {
  const environment = memoryEnvironment({ seed });
  const backend = await openIn(environment, "job", "latest-or-new");
  const { total, tags, byNumber } = statesOf(backend);
  for (let key = 0; key < KEYS; key++) {
    backend.withKey(key, () => {
      total.update(key / 2);
      tags.addAll(Array.from({ length: key * 10 }, (_none, index) => `tag ${index}`));
      byNumber.put(key, "x".repeat(key));
      byNumber.put(-key, "y");
    });
  }
  await backend.checkpoint("whole");
  await backend.close();
  return environment;
}

async function check(environment: MemoryEnvironment, max: number): Promise<void> {
  const backend = await openIn(environment, `other-${max}`, target, max);
  assert.equal(backend.restored?.metadata, "whole");
  const { total, tags, byNumber } = statesOf(backend);
  for (let key = 0; key < KEYS; key++) {
    backend.withKey(key, () => {
      assert.equal(total.value(), key / 2);
      assert.equal(tags.get().length, key * 10);
      assert.equal(byNumber.get(-key), "y");
    });
  }
  await backend.close();
}

/** Everything below a directory, folders left out. */
async function filesBelow(environment: MemoryEnvironment, path: string): Promise<string[]> {
  const { fileSystem } = environment;
  const stat = await fileSystem.stat(path);
  if (stat === undefined) return [];
  if (stat.kind === "file") return [path];
  const names = await fileSystem.readDirectory(path);
  const below = await Promise.all(names.map((name) => filesBelow(environment, `${path}/${name}`)));
  return below.flat();
}

describe("a conversion", () => {
  test("refuses, typed and before it makes anything, what does not fit the checkpoint", async () => {
    const environment = await written();
    const cases: [Partial<ConvertOptions>, string][] = [
      [{ target: "" }, "VARVE_INVALID_ARGUMENT"],
      [{ target: `${source}/inside` }, "VARVE_INVALID_ARGUMENT"],
      [{ target: source }, "VARVE_INVALID_ARGUMENT"],
      [{ source: "/nowhere" }, "VARVE_CHECKPOINT_NOT_FOUND"],
      [{ checkpointId: 99 }, "VARVE_CHECKPOINT_NOT_FOUND"],
      [{ format: "other" as "native" }, "VARVE_INVALID_ARGUMENT"],
      [{ backend: "lsm" }, "VARVE_INVALID_ARGUMENT"],
      [{ format: "native", backend: "disk" as "lsm" }, "VARVE_INVALID_ARGUMENT"],
      [{ keyGroups: 0 }, "VARVE_INVALID_ARGUMENT"],
      [{ keyGroups: 1.5 }, "VARVE_INVALID_ARGUMENT"],
      [{ keyGroups: 32_769 }, "VARVE_INVALID_ARGUMENT"],
      [{ other: 1 } as Partial<ConvertOptions>, "VARVE_INVALID_ARGUMENT"],
      [{ states: { missing: { drop: true } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { constructor: { drop: true } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { drop: true, rename: "b" } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { other: 1 } as object } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { rename: "tags" } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { rename: "a" }, tags: { rename: "a" } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { rename: "" } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { mapKey: () => 1 } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { to: { element: utf8 } } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { to: { value: {} as typeof f64 } } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { map: 5 as unknown as () => 1 } } }, "VARVE_INVALID_ARGUMENT"],
      [{ states: { total: { from: { value: i64 } } } }, "VARVE_INCOMPATIBLE_SERIALIZER"],
      [
        { states: { total: { from: { value: utf8 }, to: { value: f64 } } } },
        "VARVE_INCOMPATIBLE_SERIALIZER",
      ],
    ];
    for (const [options, code] of cases) {
      const context = JSON.stringify(options);
      await assert.rejects(
        convertCheckpoint({ source, target, environment, ...options }),
        (error) => {
          assert.equal((error as { code?: string }).code, code, `${context}: ${String(error)}`);
          return true;
        },
      );
      assert.deepEqual(await filesBelow(environment, "/saves"), [], context);
    }
  });

  test("is refused for a value that cannot be changed, and leaves nothing", async () => {
    const environment = await written();
    const fails = (): never => {
      throw new TypeError("the job's own");
    };
    const cases: ConvertOptions["states"][] = [
      { total: { to: { value: u32 } } }, // 0.5 is none.
      { total: { to: { value: utf8 }, map: () => "\ud800" } },
      { total: { map: () => undefined } },
      { total: { map: fails } },
      { tags: { map: () => "x".repeat(600_000) } },
      { "by-number": { mapKey: () => 1 } }, // Two become one.
      { "by-number": { to: { key: utf8 }, mapKey: (key: number) => `${key}`.repeat(5000) } },
      { "by-number": { mapKey: () => undefined } },
    ];
    for (const states of cases) {
      for (const keyGroups of [128, 64]) {
        await assert.rejects(
          convertCheckpoint({ source, target, environment, keyGroups, states }),
          {
            code: "VARVE_INVALID_ARGUMENT",
          },
        );
        assert.deepEqual(await environment.fileSystem.readDirectory("/saves"), []);
      }
    }
  });

  test("takes an empty directory as its target, and no other", async () => {
    const environment = await written();
    const { fileSystem } = environment;
    await fileSystem.makeDirectory(target);
    await convertCheckpoint({ source, target, environment });
    await check(environment, 128);
    await assert.rejects(convertCheckpoint({ source, target, environment }), {
      code: "VARVE_INVALID_ARGUMENT",
    });
    await check(environment, 128);
  });

  test("refuses a damaged source before a row of it is used", async () => {
    const environment = await written();
    const { fileSystem } = environment;
    for (const path of await filesBelow(environment, `${source}/files`)) {
      const clean = await fileSystem.readFile(path);
      const dirty = Uint8Array.from(clean);
      dirty[dirty.length >> 1]! ^= 4;
      const replace = async (bytes: Uint8Array): Promise<void> => {
        await fileSystem.unlink(path);
        const file = await fileSystem.create(path);
        await file.write(bytes);
        await file.close();
      };
      await replace(dirty);
      await assert.rejects(convertCheckpoint({ source, target, environment }), {
        code: "VARVE_CORRUPTION",
      });
      assert.equal(await fileSystem.stat(target), undefined);
      await replace(clean);
    }
  });

  test("stops when it is told to, and leaves nothing", async () => {
    const environment = await written();
    for (const phase of ["verify", "read", "write"]) {
      const controller = new AbortController();
      const reason = new Error("enough");
      const conversion = convertCheckpoint({
        source,
        target,
        environment,
        keyGroups: 32,
        signal: controller.signal,
        onProgress: (progress) => {
          if (progress.phase === phase) controller.abort(reason);
        },
      });
      await assert.rejects(conversion, (error) => error === reason);
      assert.deepEqual(await filesBelow(environment, "/saves"), []);
    }
  });

  test("is whole or not there after a power loss or an error at any operation", async () => {
    const calm = await written();
    const before = calm.fileSystem.operationCount;
    const options = { source, target, format: "native", keyGroups: 50 } as const;
    await convertCheckpoint({ ...options, environment: calm });
    const total = calm.fileSystem.operationCount - before;
    assert.ok(total > 20, "it does too little to test anything");
    const outcomes = { whole: 0, absent: 0 };
    for (let failAt = 0; failAt < total; failAt++) {
      for (const code of ["ENOSPC", "EIO", "power loss"]) {
        const environment = await written();
        const { fileSystem } = environment;
        const last = fileSystem.operationCount + failAt;
        const isPowerLoss = code === "power loss";
        fileSystem.onOperation = (_operation, _path, index) => {
          if (isPowerLoss ? index >= last : index === last) {
            throw Object.assign(new Error(code), { code: isPowerLoss ? "EIO" : code });
          }
        };
        const context = `${code} at operation ${failAt} of ${total}`;
        const outcome = await convertCheckpoint({ ...options, environment }).then(
          () => "done",
          (error: unknown) => String((error as { code?: string }).code),
        );
        fileSystem.onOperation = undefined;
        assert.match(outcome, /^done$|^VARVE_(NO_SPACE|STORAGE)$/, context);
        const disk = isPowerLoss ? fileSystem.crash("synced-only") : fileSystem;
        const after = memoryEnvironment({ fileSystem: disk, seed: 9 });
        const isThere = (await disk.stat(target)) !== undefined;
        if (isThere) {
          await check(after, 50);
          outcomes.whole++;
        } else {
          assert.notEqual(outcome, "done", context);
          outcomes.absent++;
        }
      }
    }
    assert.ok(outcomes.whole > 0 && outcomes.absent > 10, JSON.stringify(outcomes));
  }, 120_000);
});
