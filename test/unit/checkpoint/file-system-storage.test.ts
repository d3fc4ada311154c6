import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, onTestFinished, test } from "vitest";
import { fileSystemStorage } from "../../../src/checkpoint/file-system-storage.ts";
import { isObjectName } from "../../../src/checkpoint/object-name.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { bytes, namesOf, storageContract, text } from "../../support/storage-contract.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const isRoot = process.getuid?.() === 0;
describe("file system storage", () => {
  test("keeps the contract on one file system, by links", async () => {
    const local = temporaryDirectory();
    const storage = fileSystemStorage(join(local, "deep/er/store"));
    await storageContract(storage, local);
    assert.deepEqual(storage.stats(), { linkedFiles: 2, copiedFiles: 0 });
    assert.equal(statSync(join(local, "deep")).mode & 0o777, 0o700);
    assert.equal(statSync(join(local, "deep/er/store/metadata/1")).mode & 0o777, 0o600);
    assert.equal(statSync(join(local, "deep/er/store/metadata/1")).nlink, 1);
  });

  test("copies when told to", async () => {
    const local = temporaryDirectory();
    const storage = fileSystemStorage(join(local, "store"), { transfer: "copy" });
    await storageContract(storage, local);
    assert.deepEqual(storage.stats(), { linkedFiles: 0, copiedFiles: 2 });
  });

  const hasMemoryDisk =
    existsSync("/dev/shm") && statSync("/dev/shm").dev !== statSync(temporaryParent()).dev;
  test.skipIf(!hasMemoryDisk)("works on tmpfs (skipped without /dev/shm)", async () => {
    const root = temporaryDirectory("/dev/shm");
    const storage = fileSystemStorage(join(root, "store"));
    await storageContract(storage, root);
    assert.equal(storage.stats().copiedFiles, 0);
  });

  test.skipIf(!hasMemoryDisk)("copies across mounts (skipped without /dev/shm)", async () => {
    const local = temporaryDirectory();
    const storage = fileSystemStorage(join(temporaryDirectory("/dev/shm"), "store"));
    await storageContract(storage, local);
    assert.deepEqual(storage.stats(), { linkedFiles: 0, copiedFiles: 2 });
  });

  test.skipIf(!isRoot)(
    "works on overlayfs (skipped unless root and mountable)",
    async (context) => {
      const root = temporaryDirectory(hasMemoryDisk ? "/dev/shm" : undefined);
      for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(join(root, name));
      writeFileSync(join(root, "lower/below"), "below");
      const layers = `lowerdir=${root}/lower,upperdir=${root}/upper,workdir=${root}/work`;
      try {
        const line = ["-t", "overlay", "overlay", "-o", layers, join(root, "merged")];
        execFileSync("mount", line, { stdio: "ignore" });
      } catch {
        context.skip("overlayfs cannot be mounted here");
      }
      onTestFinished(() => void execFileSync("umount", ["-l", join(root, "merged")]));
      const local = join(root, "merged");
      const storage = fileSystemStorage(join(local, "store"));
      await storageContract(storage, local);
      await storage.putFile("files/below", join(local, "below")); // Linking copies it up first.
      assert.equal(text(await storage.read("files/below", 10)), "below");
    },
  );

  test.skipIf(!isRoot)(
    "reads from a read-only mount and refuses to write (skipped unless root)",
    async (context) => {
      const root = temporaryDirectory();
      const writable = fileSystemStorage(join(root, "store"));
      await storageContract(writable, root);
      mkdirSync(join(root, "mounted"));
      try {
        execFileSync("mount", ["--bind", join(root, "store"), join(root, "mounted")], {
          stdio: "ignore",
        });
        onTestFinished(() => void execFileSync("umount", ["-l", join(root, "mounted")]));
        execFileSync("mount", ["-o", "remount,ro,bind", join(root, "mounted")], {
          stdio: "ignore",
        });
      } catch {
        context.skip("cannot mount here");
      }
      const storage = fileSystemStorage(join(root, "mounted"));
      assert.equal(text(await storage.read("metadata/1", 100)), "one");
      const local = join(root, "from-read-only");
      await storage.fetchFile("files/b", local);
      assert.equal(readFileSync(local, "utf8"), "bytes");
      for (const write of [
        () => storage.putBytes("files/new", bytes("x")),
        () => storage.createIfAbsent("metadata/2", bytes("x")),
        () => storage.replace("latest", bytes("x")),
        () => storage.delete(["files/b"]),
      ]) {
        await assert.rejects(write(), (error: { code: string; cause: { code: string } }) => {
          return error.code === "VARVE_STORAGE" && error.cause.code === "EROFS";
        });
      }
    },
  );

  // With protected_hardlinks a process may not link a file it neither owns nor may write.
  const protects = ((): boolean => {
    try {
      return readFileSync("/proc/sys/fs/protected_hardlinks", "utf8").trim() === "1";
    } catch {
      return false;
    }
  })();
  test.skipIf(!isRoot || !protects)(
    "copies a foreign file that must not be linked (skipped unless root, with protected_hardlinks)",
    () => {
      const root = temporaryDirectory();
      execFileSync("chmod", ["777", root]);
      writeFileSync(join(root, "foreign"), "foreign", { mode: 0o644 });
      const module = new URL("../../../src/checkpoint/file-system-storage.js", import.meta.url);
      const script = `
        const { fileSystemStorage } = await import(${JSON.stringify(module.href)});
        process.setgid(65534);
        process.setuid(65534);
        const storage = fileSystemStorage("store");
        await storage.open();
        await storage.putFile("files/a", "foreign");
        console.log(JSON.stringify(storage.stats()));`;
      const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
        cwd: root,
        encoding: "utf8",
      });
      assert.deepEqual(JSON.parse(output), { linkedFiles: 0, copiedFiles: 1 });
    },
  );

  test.skipIf(!isRoot)("reports a full disk as such (skipped unless root)", async (context) => {
    const root = temporaryDirectory();
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", root], { stdio: "ignore" });
    } catch {
      context.skip("cannot mount here");
    }
    onTestFinished(() => void execFileSync("umount", ["-l", root]));
    const storage = fileSystemStorage(join(root, "store"));
    await storage.open();
    const large = new Uint8Array(1_048_576);
    const expected = { code: "VARVE_NO_SPACE", retriable: true };
    await assert.rejects(storage.createIfAbsent("metadata/1", large), expected);
    assert.equal(await storage.read("metadata/1", 10), undefined);
    await assert.rejects(storage.replace("latest", large), expected);
    await assert.rejects(storage.putBytes("files/a", large), expected);
    await storage.delete(["files/a"]);
    assert.equal(await storage.createIfAbsent("metadata/1", bytes("fits")), "created");
  });

  test("refuses names that could leave the root or hide", async () => {
    const names = ["", "/", "/a", "a/", "a//b", "..", "a/..", "../a", ".a", "a/.b", "A", "a b"];
    names.push("a\\b", "a\0", "a%2e", "ａ", "a:b", "x".repeat(257), "a/./b", "é");
    const storage = fileSystemStorage("/store", {}, memoryEnvironment());
    for (const name of names) {
      const expected = { code: "VARVE_INVALID_ARGUMENT" };
      await assert.rejects(storage.read(name, 1), expected, name);
      await assert.rejects(storage.putBytes(name, bytes("")), expected, name);
      await assert.rejects(storage.createIfAbsent(name, bytes("")), expected, name);
      await assert.rejects(storage.replace(name, bytes("")), expected, name);
      await assert.rejects(storage.delete([name]), expected, name);
      await assert.rejects(storage.fetchFile(name, "/x"), expected, name);
      assert.equal(isObjectName(name), false, name);
    }
    for (const name of ["a", "files/0a", "a.b", "a-b_c/9", "a/b.."]) assert.ok(isObjectName(name));
  });

  test("refuses stored objects that are symbolic links", async () => {
    const root = temporaryDirectory();
    const storage = fileSystemStorage(root);
    await storage.open();
    writeFileSync(join(root, "secret"), "secret");
    await storage.putBytes("files/a", bytes("a"));
    symlinkSync("../secret", join(root, "files/link"));
    const expected = { code: "VARVE_STORAGE" };
    await assert.rejects(storage.read("files/link", 100), expected);
    await assert.rejects(storage.readRange("files/link", 0, 1), expected);
    await assert.rejects(storage.size("files/link"), expected);
    await assert.rejects(storage.fetchFile("files/link", join(root, "local")), expected);
    await assert.rejects(storage.createIfAbsent("files/link/x", bytes("")), expected);
    assert.deepEqual(await namesOf(storage, "files/"), ["files/a"]);
  });

  test("follows a symbolic link as its root", async () => {
    const root = realpathSync(temporaryDirectory());
    mkdirSync(join(root, "real"));
    symlinkSync("real", join(root, "alias"));
    const storage = fileSystemStorage(join(root, "alias"));
    await storageContract(storage, root);
    assert.ok(existsSync(join(root, "real/metadata/1")));
  });

  test("finds storage and name from a path to metadata, to the hint, or to the root", () => {
    const storage = fileSystemStorage("/one", {}, memoryEnvironment());
    const of = (path: string): readonly [string, string] => {
      const resolved = storage.resolvePath!(path);
      return [resolved.storage.description, resolved.name];
    };
    assert.deepEqual(of("/two/metadata/0000000007"), ["directory /two", "metadata/0000000007"]);
    assert.deepEqual(of("/two"), ["directory /two", "latest"]);
    assert.deepEqual(of("/two/latest"), ["directory /two", "latest"]);
  });

  test("reads nothing, and lists nothing, where there is nothing", async () => {
    const storage = fileSystemStorage(join(temporaryDirectory(), "missing"));
    assert.equal(await storage.read("latest", 10), undefined);
    assert.equal(await storage.size("latest"), undefined);
    assert.deepEqual(await namesOf(storage, ""), []);
  });

  test("shares directory syncs between files that are stored at once", async () => {
    const environment = memoryEnvironment();
    const { fileSystem } = environment;
    const storage = fileSystemStorage("/store", {}, environment);
    await storage.open();
    await storage.putBytes("files/first", bytes(""));
    let syncs = 0;
    fileSystem.onOperation = (operation, path) => {
      if (operation === "syncDirectory" && path === "/store/files") syncs++;
    };
    const names = Array.from({ length: 50 }, (_, index) => `files/${index}`);
    await Promise.all(names.map((name) => storage.putBytes(name, bytes(name))));
    assert.ok(syncs <= 3, `${syncs} syncs`);
    const after = fileSystemStorage(
      "/store",
      {},
      memoryEnvironment({ fileSystem: fileSystem.crash("synced-only") }),
    );
    for (const name of names) assert.equal(text(await after.read(name, 100)), name);
  });

  test("never repeats a failed sync of a directory", async () => {
    const environment = memoryEnvironment();
    const { fileSystem } = environment;
    const storage = fileSystemStorage("/store", {}, environment);
    await storage.open();
    await storage.putBytes("files/first", bytes(""));
    let failures = 1;
    fileSystem.onOperation = (operation, path) => {
      if (operation !== "syncDirectory" || path !== "/store/files" || failures-- <= 0) return;
      throw Object.assign(new Error("EIO"), { code: "EIO" });
    };
    await assert.rejects(storage.putBytes("files/a", bytes("a")), { code: "VARVE_STORAGE" });
    await assert.rejects(storage.putBytes("files/b", bytes("b")), { code: "VARVE_STORAGE" });
    await storage.putBytes("metadata/a", bytes("a")); // Another directory is another matter.
  });

  test("refuses unknown options", () => {
    const expected = { code: "VARVE_INVALID_ARGUMENT" };
    assert.throws(() => fileSystemStorage(""), expected);
    assert.throws(() => fileSystemStorage("/x", { transfer: "move" as "copy" }), expected);
    assert.throws(() => fileSystemStorage("/x", { mode: 1 } as object), expected);
  });
});

function temporaryParent(): string {
  return process.env["TMPDIR"] ?? "/tmp";
}
