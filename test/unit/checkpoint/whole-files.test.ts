// Goal: small files are named whole or not at all, on the calling thread and on the file thread alike.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { fileSystemStorage } from "../../../src/checkpoint/file-system-storage.ts";
import {
  startFileThread,
  terminateFileThread,
  wholeFilesByThread,
} from "../../../src/checkpoint/file-thread.ts";
import {
  DirectWholeFiles,
  type Named,
  type WholeFiles,
} from "../../../src/checkpoint/whole-files.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { StorageError } from "../../../src/errors.ts";
import { bytes, text } from "../../support/storage-contract.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const { fileSystem } = nodeEnvironment();

const subjects: Readonly<Record<string, () => Promise<WholeFiles>>> = {
  "on the calling thread": async () => new DirectWholeFiles(fileSystem),
  "on the file thread": async () => {
    await startFileThread(fileSystem);
    return wholeFilesByThread(fileSystem)!;
  },
};

for (const [where, open] of Object.entries(subjects)) {
  describe(`whole files ${where}`, () => {
    test("are created once, replaced, and read", async () => {
      const root = temporaryDirectory();
      const files = await open();
      const path = join(root, "a");
      const fileOf = (content: string) => ({
        path,
        temporary: join(root, ".temporary"),
        bytes: bytes(content),
      });
      const outcomeOf = async (naming: Promise<Named>): Promise<string> => {
        const { outcome, unsynced } = await naming;
        assert.equal(unsynced, undefined);
        return outcome;
      };
      assert.equal(await outcomeOf(files.create(fileOf("first"))), "created");
      assert.equal(await outcomeOf(files.create(fileOf("second"))), "exists");
      assert.equal(text(await files.read(path, 100)), "first");
      assert.equal(await outcomeOf(files.replace(fileOf("third"))), "created");
      assert.equal(text(await files.read(path, 100)), "third");
      assert.deepEqual(readdirSync(root), ["a"]);
    });

    test("are read in the same call once the name is there", async () => {
      const root = temporaryDirectory();
      const files = await open();
      const path = join(root, "a");
      writeFileSync(join(root, "hint"), "hint");
      const create = (name: string, maxBytes: number) => {
        const thenRead = { path: join(root, name), maxBytes };
        return files.create({
          path,
          temporary: join(root, ".temporary"),
          bytes: bytes("x"),
          thenRead,
        });
      };
      // Its own name: it is read after it was created.
      const itself = await create("a", 1);
      assert.deepEqual([itself.outcome, text(itself.read)], ["created", "x"]);
      const hint = await create("hint", 4);
      assert.deepEqual([hint.outcome, text(hint.read)], ["exists", "hint"]);
      const unread = { outcome: "exists", read: undefined, unsynced: undefined };
      assert.deepEqual(await create("hint", 3), unread);
      assert.deepEqual(await create("missing", 4), unread);
    });

    test("only the bytes of a view are written, and the view can be used afterwards", async () => {
      const root = temporaryDirectory();
      const files = await open();
      const view = Buffer.from("before|the view|after").subarray(7, 15);
      const path = join(root, "a");
      await files.create({ path, temporary: join(root, ".temporary"), bytes: view });
      assert.equal(readFileSync(path, "utf8"), "the view");
      assert.equal(view.toString(), "the view");
    });

    test("what fails has the system's code, and leaves nothing behind", async () => {
      const root = temporaryDirectory();
      const files = await open();
      const file = {
        path: join(root, "a/b"),
        temporary: join(root, ".temporary"),
        bytes: bytes("x"),
      };
      await assert.rejects(files.create(file), { code: "ENOENT" });
      await assert.rejects(files.replace(file), { code: "ENOENT" });
      await assert.rejects(files.read(join(root, "a"), 100), { code: "ENOENT" });
      assert.deepEqual(readdirSync(root), []);
      writeFileSync(join(root, "long"), "long");
      await assert.rejects(files.read(join(root, "long"), 3), { code: "VARVE_STORAGE" });
    });
  });
}

describe("whole files", () => {
  test("tell a directory that cannot be synced from what fails before", async () => {
    const memory = memoryEnvironment().fileSystem;
    const files = new DirectWholeFiles(memory);
    memory.onOperation = (operation) => {
      if (operation === "syncDirectory") throw Object.assign(new Error("no"), { code: "EIO" });
    };
    const file = { path: "/a", temporary: "/.temporary", bytes: bytes("x") };
    const { outcome, unsynced } = await files.create(file);
    assert.equal(outcome, "created");
    assert.match(String(unsynced), /no/u);
    assert.equal(text(await files.read("/a", 100)), "x");
    assert.match(String((await files.replace(file)).unsynced), /no/u);
  });

  test("T1: a file thread that dies fails what it was asked, and the next request has another", async () => {
    await startFileThread(fileSystem);
    const storage = fileSystemStorage(join(temporaryDirectory(), "store"));
    await storage.open();
    assert.equal(await storage.createIfAbsent("metadata/1", bytes("one")), "created");
    const asked = storage.createIfAbsent("metadata/2", bytes("two"));
    await terminateFileThread();
    await asked.catch((error: unknown) => {
      assert.ok(error instanceof StorageError && error.retriable, String(error));
    });
    assert.match(await storage.createIfAbsent("metadata/2", bytes("two")), /created|exists/u);
    assert.equal(text((await storage.read("metadata/2", 100))!), "two");
  });

  test("a storage names nothing more in a directory whose sync failed", async () => {
    const environment = memoryEnvironment();
    const storage = fileSystemStorage("/store", {}, environment);
    await storage.open();
    await storage.createIfAbsent("metadata/1", bytes("one"));
    let failures = 1;
    environment.fileSystem.onOperation = (operation, path) => {
      if (operation !== "syncDirectory" || path !== "/store/metadata" || failures-- <= 0) return;
      throw Object.assign(new Error("EIO"), { code: "EIO" });
    };
    const refused = { code: "VARVE_STORAGE" };
    await assert.rejects(storage.createIfAbsent("metadata/2", bytes("two")), refused);
    await assert.rejects(storage.createIfAbsent("metadata/2", bytes("two")), refused);
    await assert.rejects(storage.putBytes("metadata/3", bytes("three")), refused);
    await storage.replace("latest", bytes("hint"));
  });
});
