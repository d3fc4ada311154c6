// What every checkpoint storage has to do, whatever it keeps its objects in.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CheckpointStorage, ReadAfter } from "../../src/api/checkpoint-storage.ts";

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const text = (found: Uint8Array | undefined): string | undefined =>
  found === undefined ? undefined : Buffer.from(found).toString();

export async function namesOf(storage: CheckpointStorage, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of storage.list(prefix)) names.push(name);
  return names.sort();
}

/** `local` is an empty directory. */
export async function storageContract(storage: CheckpointStorage, local: string): Promise<void> {
  await storage.open();
  await storage.open();
  writeFileSync(join(local, "file"), "data");
  await storage.putFile("files/a", join(local, "file"));
  await storage.putBytes("files/b", bytes("bytes"));
  await assert.rejects(storage.putFile("files/a", join(local, "file")), { code: "VARVE_STORAGE" });
  await assert.rejects(storage.putBytes("files/b", bytes("x")), { code: "VARVE_STORAGE" });
  assert.equal(await storage.createIfAbsent("metadata/1", bytes("one")), "created");
  assert.equal(await storage.createIfAbsent("metadata/1", bytes("two")), "exists");
  await storage.replace("latest", bytes("1"));
  for (const [name, maxBytes, found] of [
    ["missing", 9, undefined],
    ["latest", 0, undefined],
    ["latest", 1, "1"],
  ] as const) {
    const after: ReadAfter = { name, maxBytes, bytes: undefined };
    assert.equal(await storage.createIfAbsent("metadata/1", bytes("three"), after), "exists");
    // A storage need not read it.
    if (found === undefined || after.bytes !== undefined) assert.equal(text(after.bytes), found);
  }
  await storage.replace("latest", bytes("2"));

  assert.equal(text(await storage.read("files/a", 100)), "data");
  assert.equal(text(await storage.read("files/b", 5)), "bytes");
  await assert.rejects(storage.read("files/b", 4), { code: "VARVE_STORAGE" });
  assert.equal(text(await storage.read("metadata/1", 100)), "one");
  assert.equal(text(await storage.read("latest", 100)), "2");
  assert.equal(await storage.read("files/missing", 100), undefined);
  assert.equal(await storage.read("missing/missing", 100), undefined);
  assert.equal(text(await storage.readRange("files/b", 1, 3)), "yte");
  assert.equal(text(await storage.readRange("files/b", 3, 300)), "es");
  assert.equal(await storage.readRange("files/missing", 0, 1), undefined);
  assert.equal(await storage.size("files/b"), 5);
  assert.equal(await storage.size("files/missing"), undefined);

  await storage.fetchFile("files/b", join(local, "fetched"));
  assert.equal(readFileSync(join(local, "fetched"), "utf8"), "bytes");
  await assert.rejects(storage.fetchFile("files/missing", join(local, "x")), {
    code: "VARVE_STORAGE",
  });
  await assert.rejects(storage.fetchFile("files/b", join(local, "fetched")), {
    code: "VARVE_STORAGE",
  });

  assert.deepEqual(await namesOf(storage, ""), ["files/a", "files/b", "latest", "metadata/1"]);
  assert.deepEqual(await namesOf(storage, "files/"), ["files/a", "files/b"]);
  assert.deepEqual(await namesOf(storage, "files/b"), ["files/b"]);
  assert.deepEqual(await namesOf(storage, "nothing/"), []);
  await storage.delete(["files/a", "files/missing", "missing/missing"]);
  assert.deepEqual(await namesOf(storage, "files/"), ["files/b"]);
  await storage.delete([]);

  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  const isReason = (error: unknown): boolean => error === reason;
  await assert.rejects(storage.putFile("files/c", join(local, "file"), { signal }), isReason);
  await assert.rejects(storage.putBytes("files/c", bytes(""), { signal }), isReason);
  await assert.rejects(storage.fetchFile("files/b", join(local, "y"), { signal }), isReason);
}
