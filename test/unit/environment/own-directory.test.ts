import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import type { Environment, FileStat } from "../../../src/api/environment.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { makeOwnDirectory } from "../../../src/environment/own-directory.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const environment = nodeEnvironment();
const isRoot = process.geteuid?.() === 0;

async function assertRefused(path: string): Promise<void> {
  await assert.rejects(makeOwnDirectory(environment, path), (error: Error) => {
    assert.equal((error as Error & { code: string }).code, "VARVE_STORAGE");
    assert.ok(error.message.includes(path));
    return true;
  });
}

/** As on a share that shows every file as everybody's. */
function withoutOwners(): Environment {
  const { fileSystem } = environment;
  const stat = async (path: string): Promise<FileStat | undefined> => {
    const found = await fileSystem.stat(path);
    return found === undefined ? undefined : { ...found, isPrivate: false };
  };
  return { ...environment, fileSystem: Object.assign(Object.create(fileSystem), { stat }) };
}

describe("a directory of our own", () => {
  test("is made for this user alone where a group may write, and found again", async () => {
    const parent = temporaryDirectory();
    chmodSync(parent, 0o2775);
    const path = join(parent, "lock");
    const umask = process.umask(0o002);
    try {
      await makeOwnDirectory(environment, path);
    } finally {
      process.umask(umask);
    }
    assert.equal(statSync(path).mode & 0o777, 0o700);
    await makeOwnDirectory(environment, path);
  });

  for (const mode of [0o720, 0o702, 0o777]) {
    test(`is refused with mode ${mode.toString(8)}, and nothing is left beside it`, async () => {
      const parent = temporaryDirectory();
      const path = join(parent, "lock");
      mkdirSync(path);
      chmodSync(path, mode);
      await assertRefused(path);
      assert.deepEqual(readdirSync(parent), ["lock"]);
    });
  }

  test("is refused if it is a link to one", async () => {
    const parent = temporaryDirectory();
    mkdirSync(join(parent, "real"), { mode: 0o700 });
    symlinkSync(join(parent, "real"), join(parent, "lock"));
    await assertRefused(join(parent, "lock"));
  });

  test.skipIf(!isRoot)("is refused if it is another user's (skipped unless root)", async () => {
    const path = join(temporaryDirectory(), "lock");
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, 65_534, 65_534);
    await assertRefused(path);
  });

  test("is taken as it is where the file system keeps no owners", async () => {
    const parent = temporaryDirectory();
    const path = join(parent, "lock");
    mkdirSync(path);
    chmodSync(path, 0o777);
    await makeOwnDirectory(withoutOwners(), path);
    assert.deepEqual(readdirSync(parent), ["lock"]);
  });
});
