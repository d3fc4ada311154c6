// One contract for both file systems: what the rest of the library relies on.
import assert from "node:assert/strict";
import { symlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import type { FileSystem } from "../../../src/api/environment.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { blockingCalls } from "../../../src/environment/node-calls.ts";
import { NodeFileSystem } from "../../../src/environment/node-file-system.ts";
import { shortCallsOf } from "../../../src/environment/short-calls.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

interface Subject {
  readonly fileSystem: FileSystem;
  readonly root: string;
  readonly symbolicLink: (target: string, path: string) => void;
}

async function write(fileSystem: FileSystem, path: string, text: string): Promise<void> {
  const file = await fileSystem.create(path);
  await file.write(Buffer.from(text));
  await file.close();
}

async function read(fileSystem: FileSystem, path: string): Promise<string> {
  return Buffer.from(await fileSystem.readFile(path)).toString();
}

const subjects: Readonly<Record<string, () => Promise<Subject>>> = {
  "Node's file system": async () => ({
    fileSystem: new NodeFileSystem(),
    root: realpathSync(temporaryDirectory()),
    symbolicLink: symlinkSync,
  }),
  "Node's file system on the calling thread": async () => ({
    fileSystem: new NodeFileSystem(blockingCalls),
    root: realpathSync(temporaryDirectory()),
    symbolicLink: symlinkSync,
  }),
  "Node's file system for short calls": async () => ({
    fileSystem: shortCallsOf(new NodeFileSystem()),
    root: realpathSync(temporaryDirectory()),
    symbolicLink: symlinkSync,
  }),
  "the memory file system": async () => {
    const fileSystem = new MemoryFileSystem();
    await fileSystem.makeDirectory("/root");
    const symbolicLink = (target: string, path: string): void =>
      fileSystem.symbolicLink(target, path);
    return { fileSystem, root: "/root", symbolicLink };
  },
};

for (const [name, make] of Object.entries(subjects)) {
  describe(name, () => {
    test("what was written is read back, whole and by ranges", async () => {
      const { fileSystem, root } = await make();
      const path = join(root, "a");
      const file = await fileSystem.create(path);
      await file.write(Buffer.from("hello "));
      await file.write(Buffer.from("world"));
      await file.sync();
      await file.close();
      await file.close();
      assert.equal(await read(fileSystem, path), "hello world");
      const open = await fileSystem.open(path);
      assert.equal(open.sizeBytes, 11);
      assert.equal(Buffer.from(await open.read(6, 5)).toString(), "world");
      assert.equal(Buffer.from(await open.read(6, 500)).toString(), "world");
      assert.equal((await open.read(11, 5)).length, 0);
      assert.equal((await open.read(1000, 5)).length, 0);
      await open.close();
      await open.close();
    });

    test("free space is told in bytes, or not at all", async () => {
      const { fileSystem, root } = await make();
      const bytes = await fileSystem.freeBytes(root);
      assert.ok(bytes === undefined || (Number.isSafeInteger(bytes) && bytes >= 0), `${bytes}`);
      await assert.rejects(fileSystem.freeBytes(join(root, "missing")), { code: "ENOENT" });
    });

    test("creating, linking and copying refuse a name that is taken", async () => {
      const { fileSystem, root } = await make();
      const [a, b] = [join(root, "a"), join(root, "b")];
      await write(fileSystem, a, "a");
      await write(fileSystem, b, "b");
      await assert.rejects(fileSystem.create(a), { code: "EEXIST" });
      await assert.rejects(fileSystem.link(a, b), { code: "EEXIST" });
      await assert.rejects(fileSystem.copyFile(a, b), { code: "EEXIST" });
      assert.equal(await read(fileSystem, b), "b");
    });

    test("what does not exist is ENOENT, or undefined for stat", async () => {
      const { fileSystem, root } = await make();
      const missing = join(root, "missing");
      const below = join(missing, "below");
      const expected = { code: "ENOENT" };
      await assert.rejects(fileSystem.open(missing), expected);
      await assert.rejects(fileSystem.readFile(missing), expected);
      await assert.rejects(fileSystem.create(below), expected);
      await assert.rejects(fileSystem.link(missing, join(root, "x")), expected);
      await assert.rejects(fileSystem.copyFile(missing, join(root, "x")), expected);
      await assert.rejects(fileSystem.rename(missing, join(root, "x")), expected);
      await assert.rejects(fileSystem.unlink(missing), expected);
      await assert.rejects(fileSystem.readDirectory(missing), expected);
      await assert.rejects(fileSystem.realPath(missing), expected);
      await assert.rejects(fileSystem.syncFile(missing), expected);
      await assert.rejects(fileSystem.syncDirectory(missing), expected);
      assert.equal(await fileSystem.stat(missing), undefined);
      assert.equal(await fileSystem.stat(below), undefined);
      await fileSystem.removeTree(missing);
    });

    test("files are no directories and directories no files", async () => {
      const { fileSystem, root } = await make();
      const [file, directory] = [join(root, "file"), join(root, "directory")];
      await write(fileSystem, file, "x");
      await fileSystem.makeDirectory(directory);
      await assert.rejects(fileSystem.open(directory), { code: "EISDIR" });
      await assert.rejects(fileSystem.readFile(directory), { code: "EISDIR" });
      await assert.rejects(fileSystem.syncFile(directory), { code: "EISDIR" });
      await assert.rejects(fileSystem.copyFile(directory, join(root, "x")), { code: "EISDIR" });
      await assert.rejects(fileSystem.unlink(directory), { code: "EISDIR" });
      await assert.rejects(fileSystem.link(directory, join(root, "x")), { code: "EPERM" });
      await assert.rejects(fileSystem.rename(file, directory), { code: "EISDIR" });
      await assert.rejects(fileSystem.rename(directory, file), { code: "ENOTDIR" });
      await assert.rejects(fileSystem.create(join(file, "x")), { code: "ENOTDIR" });
      await assert.rejects(fileSystem.readDirectory(file), { code: "ENOTDIR" });
      await assert.rejects(fileSystem.syncDirectory(file), { code: "ENOTDIR" });
      await assert.rejects(fileSystem.makeDirectory(file), { code: "EEXIST" });
      await assert.rejects(fileSystem.makeDirectory(join(file, "x")), { code: "ENOTDIR" });
      assert.equal(await fileSystem.stat(join(file, "x")), undefined);
    });

    test("a directory is renamed over an empty one only", async () => {
      const { fileSystem, root } = await make();
      await fileSystem.makeDirectory(join(root, "a/inside"));
      await fileSystem.makeDirectory(join(root, "b/inside"));
      await assert.rejects(fileSystem.rename(join(root, "a"), join(root, "b")), {
        code: "ENOTEMPTY",
      });
      await fileSystem.rename(join(root, "a"), join(root, "b/inside"));
      assert.deepEqual(await fileSystem.readDirectory(join(root, "b/inside")), ["inside"]);
    });

    test("a linked name shows later writes, a copy does not, and each outlives the other", async () => {
      const { fileSystem, root } = await make();
      const [a, b, c] = [join(root, "a"), join(root, "b"), join(root, "c")];
      const file = await fileSystem.create(a);
      await file.write(Buffer.from("one"));
      await fileSystem.link(a, b);
      await fileSystem.copyFile(a, c);
      await file.write(Buffer.from(" two"));
      await file.close();
      await fileSystem.unlink(a);
      assert.equal(await read(fileSystem, b), "one two");
      assert.equal(await read(fileSystem, c), "one");
      assert.equal(await fileSystem.stat(a), undefined);
    });

    test("rename replaces a file, and of two names of one file both stay", async () => {
      const { fileSystem, root } = await make();
      const [a, b, c] = [join(root, "a"), join(root, "b"), join(root, "c")];
      await write(fileSystem, a, "new");
      await write(fileSystem, b, "old");
      await fileSystem.rename(a, b);
      assert.equal(await read(fileSystem, b), "new");
      assert.equal(await fileSystem.stat(a), undefined);
      await fileSystem.link(b, c);
      await fileSystem.rename(b, c);
      assert.deepEqual(await fileSystem.readDirectory(root), ["b", "c"]);
    });

    test("names are listed in bytewise order", async () => {
      const { fileSystem, root } = await make();
      const names = ["b", "a", "B", "10", "9", "\u{10000}", "\uffff", "é"];
      for (const name of names) await write(fileSystem, join(root, name), "");
      const sorted = names.toSorted((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
      assert.deepEqual(await fileSystem.readDirectory(root), sorted);
    });

    test("directories are made with their parents, and removed with their contents", async () => {
      const { fileSystem, root } = await make();
      const deep = join(root, "one/two/three");
      await fileSystem.makeDirectory(deep);
      await fileSystem.makeDirectory(deep);
      await write(fileSystem, join(deep, "file"), "x");
      const { kind, sizeBytes, isPrivate } = (await fileSystem.stat(join(deep, "file")))!;
      assert.deepEqual({ kind, sizeBytes }, { kind: "file", sizeBytes: 1 });
      assert.notEqual(isPrivate, false);
      assert.equal((await fileSystem.stat(deep))?.kind, "directory");
      await fileSystem.syncFile(join(deep, "file"));
      await fileSystem.syncDirectory(deep);
      await fileSystem.removeTree(join(root, "one"));
      assert.deepEqual(await fileSystem.readDirectory(root), []);
    });

    test("a symbolic link is never opened, read, copied or synced", async () => {
      const { fileSystem, root, symbolicLink } = await make();
      const [target, link] = [join(root, "target"), join(root, "link")];
      await write(fileSystem, target, "secret");
      symbolicLink(target, link);
      const expected = { code: "ELOOP" };
      await assert.rejects(fileSystem.open(link), expected);
      await assert.rejects(fileSystem.readFile(link), expected);
      await assert.rejects(fileSystem.copyFile(link, join(root, "copy")), expected);
      await assert.rejects(fileSystem.syncFile(link), expected);
      await assert.rejects(fileSystem.create(link), { code: "EEXIST" });
      assert.equal((await fileSystem.stat(link))?.kind, "other");
    });

    test("symbolic links within a path are followed and resolved", async () => {
      const { fileSystem, root, symbolicLink } = await make();
      await fileSystem.makeDirectory(join(root, "real/inner"));
      symbolicLink("real", join(root, "alias"));
      symbolicLink("loop-b", join(root, "loop-a"));
      symbolicLink("loop-a", join(root, "loop-b"));
      await write(fileSystem, join(root, "alias/inner/file"), "x");
      assert.equal(await read(fileSystem, join(root, "real/inner/file")), "x");
      await fileSystem.makeDirectory(join(root, "alias"));
      assert.equal(await fileSystem.realPath(join(root, "alias/inner")), join(root, "real/inner"));
      await assert.rejects(fileSystem.realPath(join(root, "loop-a")), { code: "ELOOP" });
    });
  });
}
