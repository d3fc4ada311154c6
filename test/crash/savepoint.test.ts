// Goal: a savepoint is whole or not there, whatever stops it; damage to any of its bytes is refused.
// Method: the memory backend in an environment in memory writes one small savepoint. It is run once
// undisturbed to count its operations; then it is stopped, or one operation fails, at each of them.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { MIB, f64, fileSystemStorage, openKeyedStateBackend, utf8 } from "../../src/index.ts";
import type { KeyedStateBackend, SavepointFormat } from "../../src/index.ts";
import { memoryEnvironment } from "../../src/testing/index.ts";
import type { MemoryEnvironment } from "../../src/testing/index.ts";

const directory = "/saves/one";
const formats: readonly SavepointFormat[] = ["canonical", "native"];
type Disk = MemoryEnvironment["fileSystem"];

class PowerLoss extends Error {}

function openIn(
  environment: MemoryEnvironment,
  name: string,
  restore: string,
): Promise<KeyedStateBackend> {
  return openKeyedStateBackend({
    backend: "memory",
    workingDirectory: `/${name}/work`,
    checkpointStorage: fileSystemStorage(`/${name}/checkpoints`, {}, environment),
    restore,
    memoryBudgetBytes: 16 * MIB,
    environment,
  });
}

async function writer(environment: MemoryEnvironment): Promise<KeyedStateBackend> {
  const backend = await openIn(environment, "job", "latest-or-new");
  const total = backend.valueState({ name: "total", value: f64 });
  const tags = backend.listState({ name: "tags", element: utf8 });
  for (let key = 0; key < 20; key++) {
    backend.withKey(key, () => {
      total.update(key / 2);
      tags.add(`tag ${key}`);
    });
  }
  return backend;
}

async function check(disk: Disk, seed: number, path: string = directory): Promise<void> {
  const backend = await openIn(memoryEnvironment({ fileSystem: disk, seed }), "other", path);
  assert.equal(backend.restored?.metadata, "whole");
  const total = backend.valueState({ name: "total", value: f64 });
  const tags = backend.listState({ name: "tags", element: utf8 });
  for (let key = 0; key < 20; key++) {
    backend.withKey(key, () => {
      assert.equal(total.value(), key / 2);
      assert.deepEqual(tags.get(), [`tag ${key}`]);
    });
  }
  await backend.close();
}

/** Operations of one savepoint. */
async function countOperations(format: SavepointFormat): Promise<number> {
  const environment = memoryEnvironment();
  const backend = await writer(environment);
  const before = environment.fileSystem.operationCount;
  await backend.savepoint(directory, { format, metadata: "whole" });
  return environment.fileSystem.operationCount - before;
}

describe.each(formats)("a %s savepoint", (format) => {
  test("is whole or not there after a power loss at every operation", async () => {
    const total = await countOperations(format);
    assert.ok(total > 20, "it does too little to test anything");
    const outcomes = { whole: 0, absent: 0 };
    for (let stopAt = 0; stopAt < total; stopAt++) {
      for (const when of ["before", "after"] as const) {
        const environment = memoryEnvironment();
        const { fileSystem } = environment;
        const backend = await writer(environment);
        const last = fileSystem.operationCount + stopAt;
        fileSystem.onOperation = (_operation, _path, index) => {
          if (index > last || (index === last && when === "before")) throw new PowerLoss();
        };
        fileSystem.afterOperation = (_operation, _path, index) => {
          if (index === last && when === "after") throw new PowerLoss();
        };
        const isDone = await backend.savepoint(directory, { format, metadata: "whole" }).then(
          () => true,
          () => false,
        );
        fileSystem.onOperation = undefined;
        fileSystem.afterOperation = undefined;
        const context = `stopped ${when} operation ${stopAt} of ${total}`;
        try {
          await check(fileSystem.crash("synced-only"), 2);
          outcomes.whole++;
        } catch (error) {
          assert.equal(
            (error as { code?: string }).code,
            "VARVE_CHECKPOINT_NOT_FOUND",
            `${context}: ${String(error)}`,
          );
          assert.ok(!isDone, context);
          outcomes.absent++;
        }
        await backend.close();
      }
    }
    assert.ok(outcomes.whole > 0 && outcomes.absent > 10);
  }, 120_000);

  test("fails typed at an error of any operation, goes away, and can be repeated", async () => {
    const total = await countOperations(format);
    for (let failAt = 0; failAt < total; failAt++) {
      for (const code of ["ENOSPC", "EIO"]) {
        const environment = memoryEnvironment();
        const { fileSystem } = environment;
        const backend = await writer(environment);
        const last = fileSystem.operationCount + failAt;
        let failed = "";
        fileSystem.onOperation = (operation, path, index) => {
          if (index !== last) return;
          failed = `${operation} ${path}`;
          throw Object.assign(new Error(code), { code });
        };
        const context = `${code} at operation ${failAt} of ${total}`;
        let directory = "/saves/one";
        const outcome = await backend.savepoint(directory, { format, metadata: "whole" }).then(
          () => "done",
          (error: unknown) => (error as { code?: string }).code,
        );
        fileSystem.onOperation = undefined;
        const expected = code === "ENOSPC" ? "VARVE_NO_SPACE" : "VARVE_STORAGE";
        assert.ok(outcome === expected || outcome === "done", `${context}: ${outcome}`);
        // The backend goes on, and the directory can be used again. But where the metadata's name
        // may be durable or not the files stay, and so does the directory.
        const isUnknown = failed === "syncDirectory /saves/one/metadata";
        if (outcome !== "done" && isUnknown) directory = "/saves/two";
        if (outcome !== "done") {
          const names = await fileSystem.readDirectory(`${directory}/files`).catch(() => []);
          assert.deepEqual(names, [], context);
          await backend.savepoint(directory, { format, metadata: "whole" });
        }
        await check(fileSystem.crash("synced-only"), 2, directory);
        await backend.close();
      }
    }
  }, 120_000);

  test("is refused, typed, with any byte of it damaged or missing", async () => {
    const environment = memoryEnvironment();
    const backend = await writer(environment);
    await backend.savepoint(directory, { format, metadata: "whole" });
    await backend.close();
    const disk = environment.fileSystem;
    const paths: string[] = [];
    for (const folder of ["files", "metadata"]) {
      for (const name of await disk.readDirectory(`${directory}/${folder}`)) {
        paths.push(`${directory}/${folder}/${name}`);
      }
    }
    assert.equal(paths.length, 3);
    const replace = async (path: string, bytes: Uint8Array): Promise<void> => {
      await disk.unlink(path);
      const file = await disk.create(path);
      await file.write(bytes);
      await file.close();
    };
    const refuse = async (context: string): Promise<void> => {
      const outcome = await check(disk, 3).then(
        () => "restored",
        (error: unknown) => (error as { code?: string }).code,
      );
      const isTyped = outcome === "VARVE_CORRUPTION" || outcome === "VARVE_UNSUPPORTED_FORMAT";
      assert.ok(isTyped, `${context}: ${outcome}`);
    };
    for (const path of paths) {
      const clean = await disk.readFile(path);
      for (let at = 0; at < clean.length; at++) {
        const dirty = Uint8Array.from(clean);
        dirty[at]! ^= 1 << (at % 8);
        await replace(path, dirty);
        await refuse(`byte ${at} of ${path}`);
      }
      for (const length of [0, 1, clean.length - 1]) {
        await replace(path, clean.subarray(0, length));
        await refuse(`${path} cut to ${length}`);
      }
      if (path.includes("/files/")) {
        await disk.unlink(path);
        await refuse(`${path} is missing`);
        const file = await disk.create(path);
        await file.close();
      }
      await replace(path, clean);
      await check(disk, 3);
    }
  }, 120_000);
});
