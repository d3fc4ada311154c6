import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { describe, test } from "vitest";
import { LockedError } from "../../../src/errors.ts";
import { lockDirectory } from "../../../src/lsm/directory-lock.ts";
import { environment, withFolder } from "./fixture.ts";

const childPath = fileURLToPath(new URL("./lock-child.js", import.meta.url));

/** The child and its first line. */
async function lockInChild(path: string): Promise<{ child: ChildProcess; outcome: string }> {
  const child = spawn(process.execPath, [childPath, path], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return { child, outcome: line };
}

async function outcomeInChild(path: string): Promise<string> {
  const { child, outcome } = await lockInChild(path);
  child.kill("SIGKILL");
  await once(child, "exit");
  return outcome;
}

describe("a locked directory", () => {
  test("is refused to the same process under every spelling of its path", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "work");
      const lock = await lockDirectory(environment, path);
      symlinkSync(path, join(folder, "alias"));
      for (const spelling of [
        path,
        `${path}/`,
        `${folder}/x/../work`,
        join(folder, "alias"),
        relative(process.cwd(), path),
      ]) {
        await assert.rejects(lockDirectory(environment, spelling), LockedError);
      }
      assert.equal(await outcomeInChild(path), "LockedError");
      await lock.release();
    });
  });

  test("is refused to another thread, whose try does not open it to other processes", async () => {
    await withFolder(async (folder) => {
      const lock = await lockDirectory(environment, folder);
      for (let round = 0; round < 2; round++) {
        const worker = new Worker(new URL("./lock-thread.js", import.meta.url), {
          workerData: folder,
        });
        assert.deepEqual(await once(worker, "message"), ["LockedError"]);
        await worker.terminate();
        assert.equal(await outcomeInChild(folder), "LockedError");
      }
      await lock.release();
    });
  });

  test("is free after its release and after its process was killed", async () => {
    await withFolder(async (folder) => {
      const lock = await lockDirectory(environment, folder);
      await Promise.all([lock.release(), lock.release()]);
      const { child, outcome } = await lockInChild(folder);
      assert.equal(outcome, "locked");
      await assert.rejects(lockDirectory(environment, folder), LockedError);
      child.kill("SIGKILL");
      await once(child, "exit");
      const again = await lockDirectory(environment, folder);
      await again.release();
    });
  });

  test("can be locked after a power loss left the lock's files damaged", async () => {
    await withFolder(async (folder) => {
      const first = await lockDirectory(environment, folder);
      await first.release();
      for (const name of ["gate", "hold"]) writeFileSync(join(folder, "lock", name, "CURRENT"), "");
      const lock = await lockDirectory(environment, folder);
      assert.equal(await outcomeInChild(folder), "LockedError");
      await lock.release();
      assert.equal(await outcomeInChild(folder), "locked");
    });
  });

  test("is given to one of many who ask at once", async () => {
    await withFolder(async (folder) => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, () => lockDirectory(environment, folder)),
      );
      const locks = outcomes.filter((outcome) => outcome.status === "fulfilled");
      assert.equal(locks.length, 1);
      await locks[0]?.value.release();
    });
  });
});
