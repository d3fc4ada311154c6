// Goal: a capture and a restore work where table files cannot be linked, and say so.
// Method: every refusal through the environment seam; and those that a system can be brought to give
// for real: another user's files, a file with all the links it may have, other mounts.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statfsSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, onTestFinished, test } from "vitest";
import type { TestContext } from "vitest";
import type { Environment, FileSystem } from "../../../src/api/environment.ts";
import { systemError } from "../../../src/environment/system-error.ts";
import { captureFiles } from "../../../src/lsm/capture.ts";
import type { CapturedSet } from "../../../src/lsm/capture.ts";
import { ManifestFollower } from "../../../src/lsm/manifest-follower.ts";
import { buildDirectory } from "../../../src/lsm/restore-directory.ts";
import { environmentWith } from "../../support/other-environments.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import {
  TestStore,
  assertHolds,
  environment,
  restorable,
  rowKey,
  valueRow,
  withFolder,
} from "./fixture.ts";

const EXT4_MAGIC = 0xef53;
const EXT4_LINKS_MAX = 65_000;
const isRoot = process.getuid?.() === 0;
const none: ReadonlySet<number> = new Set();
const keys = Array.from({ length: 500 }, (_, index) => rowKey(index));

/** A closed database with one flushed table for each round, and what it holds. */
async function makeDatabase(directory: string): Promise<ReadonlyMap<string, string>> {
  const t = await TestStore.open(directory);
  for (let round = 0; round < 3; round++) {
    for (const key of keys) t.put(key, valueRow(round, 50));
    await t.sealAndDrain();
    await t.store.capture(`${directory}-capture-${round}`, none);
  }
  await t.store.close();
  return t.model;
}

function capture(seam: Environment, directory: string, target: string): Promise<CapturedSet> {
  const manifest = new ManifestFollower(seam.fileSystem, directory);
  return captureFiles(seam, { directory, manifest }, target, none);
}

/** Restores the captured set and compares every row. */
async function assertRestores(
  set: CapturedSet,
  directory: string,
  model: ReadonlyMap<string, string>,
): Promise<void> {
  await buildDirectory(environment, directory, restorable(set, new Map()));
  const t = await TestStore.open(directory);
  assertHolds(t.store, model, keys);
  await t.store.close();
}

function refusing(code: string): Partial<FileSystem> {
  return { link: (_from, to) => Promise.reject(systemError(code, "link", to)) };
}

/** Runs mount; skips the test where that is not allowed. */
function mount(context: TestContext, path: string, args: readonly string[]): void {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync("mount", [...args, path], { stdio: "ignore" });
  } catch {
    context.skip("only root may mount, and not everywhere");
  }
  onTestFinished(() => void execFileSync("umount", ["-l", path]));
}

describe("table files that cannot be linked", () => {
  for (const code of ["EPERM", "EACCES", "EMLINK", "EXDEV", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]) {
    test(`are copied at capture and restore: ${code}`, async () => {
      await withFolder(async (folder) => {
        const model = await makeDatabase(join(folder, "db"));
        const seam = environmentWith(environment, refusing(code));
        const set = await capture(seam, join(folder, "db"), join(folder, "capture"));
        assert.equal(set.linkedFiles, 0);
        assert.equal(set.copiedFiles, set.files.length);
        assert.ok(set.files.length >= 1);
        const built = await buildDirectory(
          seam,
          join(folder, "copied"),
          restorable(set, new Map()),
        );
        assert.deepEqual(built, { linkedFiles: 0, copiedFiles: set.files.length });
        await assertRestores(set, join(folder, "restored"), model);
      });
    });
  }

  test("for another reason fail the capture, which leaves nothing", async () => {
    await withFolder(async (folder) => {
      await makeDatabase(join(folder, "db"));
      const target = join(folder, "capture");
      const seam = environmentWith(environment, refusing("EIO"));
      await assert.rejects(capture(seam, join(folder, "db"), target), { code: "EIO" });
      assert.equal(existsSync(target), false);
    });
  });

  test("and whose copy breaks off leave no half file, at capture and restore", async () => {
    await withFolder(async (folder) => {
      const model = await makeDatabase(join(folder, "db"));
      const full: Partial<FileSystem> = {
        ...refusing("EXDEV"),
        copyFile: async (source, path) => {
          const file = await environment.fileSystem.create(path);
          await file.write(readFileSync(source).subarray(0, 10));
          await file.close();
          throw systemError("ENOSPC", "copyfile", path);
        },
      };
      const seam = environmentWith(environment, full);
      const target = join(folder, "capture");
      await assert.rejects(capture(seam, join(folder, "db"), target), { code: "ENOSPC" });
      assert.equal(existsSync(target), false);
      const set = await capture(environment, join(folder, "db"), target);
      const directory = join(folder, "restored");
      const built = buildDirectory(seam, directory, restorable(set, new Map()));
      await assert.rejects(built, { code: "VARVE_NO_SPACE" });
      assert.equal(existsSync(directory), false);
      await assertRestores(set, directory, model);
    });
  });

  test.skipIf(!isRoot)(
    "since they are another user's are copied (skipped unless root, with protected_hardlinks)",
    async (context) => {
      const setting = "/proc/sys/fs/protected_hardlinks";
      if (!existsSync(setting) || readFileSync(setting, "utf8").trim() !== "1") {
        context.skip("the system lets everybody link everything");
      }
      await withFolder(async (folder) => {
        const model = await makeDatabase(join(folder, "db"));
        for (const path of [folder, join(folder, "db")]) chmodSync(path, 0o755);
        const place = join(folder, "foreign");
        mkdirSync(place);
        chownSync(place, 65_534, 65_534);
        const child = fileURLToPath(new URL("./capture-child.js", import.meta.url));
        const target = join(place, "capture");
        const output = execFileSync(process.execPath, [child, join(folder, "db"), target], {
          encoding: "utf8",
        });
        const copiedFiles = readdirSync(target).length;
        assert.deepEqual(JSON.parse(output), { linkedFiles: 0, copiedFiles });
        const own = await capture(environment, join(folder, "db"), join(folder, "own"));
        const files = own.files.map((file) => {
          return { ...file, path: file.path?.replace(join(folder, "own"), target) };
        });
        await assertRestores({ ...own, files }, join(folder, "restored"), model);
      });
    },
  );

  test("since they have as many links as a file may have are copied (skipped unless on ext4)", async (context) => {
    await withFolder(async (folder) => {
      if (statfsSync(folder).type !== EXT4_MAGIC) context.skip("no ext4: its limit is unknown");
      const model = await makeDatabase(join(folder, "db"));
      const names = readdirSync(join(folder, "db")).filter((name) => name.endsWith(".ldb"));
      // A copy first: a file that other captures have linked would reach the limit early.
      const table = join(folder, "db", names[0]!);
      copyFileSync(table, `${table}-copy`);
      renameSync(`${table}-copy`, table);
      mkdirSync(join(folder, "links"));
      for (let link = 1; link < EXT4_LINKS_MAX; link++) {
        linkSync(table, join(folder, "links", String(link)));
      }
      const set = await capture(environment, join(folder, "db"), join(folder, "capture"));
      assert.deepEqual([set.copiedFiles, set.linkedFiles], [1, names.length - 1]);
      await assertRestores(set, join(folder, "restored"), model);
    });
  });

  const mounts: Readonly<Record<string, (context: TestContext, folder: string) => string>> = {
    "another file system": (context, folder) => {
      mount(context, join(folder, "other"), ["-t", "tmpfs", "tmpfs"]);
      return join(folder, "other");
    },
    "another mount of the same file system": (context, folder) => {
      mkdirSync(join(folder, "bound"));
      mount(context, join(folder, "other"), ["--bind", join(folder, "bound")]);
      return join(folder, "other");
    },
    "an overlay": (context, folder) => {
      // On a tmpfs of its own: an overlay cannot lie on an overlay, which a container's root may be.
      const base = join(folder, "base");
      mount(context, base, ["-t", "tmpfs", "tmpfs"]);
      for (const name of ["lower", "upper", "scratch"]) mkdirSync(join(base, name));
      const layers = ["lower", "upper", "scratch"].map((name) => join(base, name));
      const option = `lowerdir=${layers[0]},upperdir=${layers[1]},workdir=${layers[2]}`;
      mount(context, join(folder, "other"), ["-t", "overlay", "-o", option, "overlay"]);
      return join(folder, "other");
    },
  };
  for (const [name, make] of Object.entries(mounts)) {
    test.skipIf(!isRoot)(
      `since the target is on ${name} are copied, and back (skipped unless root)`,
      async (context) => {
        const folder = temporaryDirectory(); // Removed after its mounts are.
        const other = make(context, folder);
        const model = await makeDatabase(join(folder, "db"));
        const set = await capture(environment, join(folder, "db"), join(other, "capture"));
        assert.deepEqual([set.linkedFiles, set.copiedFiles], [0, set.files.length]);
        await assertRestores(set, join(folder, "restored"), model);
        // Within the other one, whatever it is, a database lives and is captured by links.
        const inside = await makeDatabase(join(other, "db"));
        const own = await capture(environment, join(other, "db"), join(other, "own"));
        assert.deepEqual([own.linkedFiles, own.copiedFiles], [own.files.length, 0]);
        await assertRestores(own, join(other, "restored"), inside);
      },
    );
  }
});

describe("table files of a name that LevelDB no longer writes", () => {
  test("are captured, and restored under today's", async () => {
    await withFolder(async (folder) => {
      const directory = join(folder, "db");
      const model = await makeDatabase(directory);
      const names = readdirSync(directory).filter((name) => name.endsWith(".ldb"));
      assert.ok(names.length >= 1);
      for (const name of names) {
        renameSync(join(directory, name), join(directory, name.replace(".ldb", ".sst")));
      }
      const set = await capture(environment, directory, join(folder, "capture"));
      assert.equal(set.linkedFiles, set.files.length);
      const captured = readdirSync(join(folder, "capture"));
      assert.ok(captured.every((name) => name.endsWith(".ldb")));
      await assertRestores(set, join(folder, "restored"), model);
    });
  });

  test("that exist under neither name end the capture as a storage failure", async () => {
    await withFolder(async (folder) => {
      const directory = join(folder, "db");
      await makeDatabase(directory);
      for (const name of readdirSync(directory)) {
        if (name.endsWith(".ldb")) renameSync(join(directory, name), join(directory, `${name}-x`));
      }
      const target = join(folder, "capture");
      await assert.rejects(capture(environment, directory, target), { code: "VARVE_STORAGE" });
      assert.equal(existsSync(target), false);
    });
  });
});
