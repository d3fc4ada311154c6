import assert from "node:assert/strict";
import { test } from "vitest";
import { fetchBase } from "../../../src/checkpoint/base-reader.ts";
import { writeDump } from "../../../src/checkpoint/base-writer.ts";
import { fileSystemStorage } from "../../../src/checkpoint/file-system-storage.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { readDumpRows } from "../../../src/format/dump.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";
import { arenaOf } from "../../support/arena.ts";

test("a dump is packed, uploaded, fetched, verified and unpacked to the same rows", async () => {
  const environment = memoryEnvironment();
  const { fileSystem } = environment;
  const storage = fileSystemStorage("/store", {}, environment);
  const pool = await openWorkerPool({ environment });
  await storage.open();
  await fileSystem.makeDirectory("/work");
  await fileSystem.makeDirectory("/restore");
  const keys = Array.from({ length: 4000 }, (_, index) => `key-${String(index).padStart(5, "0")}`);
  const rows = keys.map((key) => ({ key, value: key.repeat(2) }));
  const { arena, chunks } = arenaOf([{ generation: 1, rows }]);
  const { files } = await pool.submit("packDump", {
    arena,
    chunks,
    boundary: 1,
    pathPrefix: "/work/dump-",
    fileRawBytes: 1_000_000,
  });
  const discard = (): void => assert.fail("nothing is to be discarded");
  const written = await writeDump(files, { storage, pool, environment, discard });
  assert.equal(written.base.kind, "dump");
  assert.equal(written.newFileIds.length, files.length + 1);
  assert.equal(written.files.length, files.length + 1);

  const fetched = await fetchBase({
    storage,
    pool,
    environment,
    base: written.base,
    directory: "/restore",
    localPath: (_entry, index) => `/restore/${index}`,
  });
  const found: string[] = [];
  for (const { entry, path } of fetched.files) {
    const { id, lengthBytes, sha256 } = entry;
    const request = { path, lengthBytes, sha256, file: id };
    const { buffers } = await pool.submit("unpackDump", request);
    for (const buffer of buffers) {
      readDumpRows(buffer, id, 0, (key) => found.push(Buffer.from(key).toString()));
    }
  }
  assert.deepEqual(found, keys);
  await pool.close();
});
