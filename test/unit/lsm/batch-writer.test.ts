import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "vitest";
import { BatchWriter } from "../../../src/lsm/batch-writer.ts";
import { type LevelDatabase, openLevelDatabase } from "../../../src/lsm/level-database.ts";

const MIB = 1_048_576;
const lsm = {
  blockCacheBytes: MIB,
  writeBufferBytes: MIB,
  fileSizeBytes: MIB,
  blockSizeBytes: 4096,
  compression: true,
  maxOpenFiles: 100,
};

let directory: string;
let database: LevelDatabase;

beforeEach(async () => {
  directory = join(tmpdir(), `batch-writer-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const mode = { shared: false, createIfMissing: true };
  database = await openLevelDatabase(directory, lsm, mode);
});

afterEach(async () => {
  await database.close();
  await rm(directory, { recursive: true, force: true });
});

const key = (index: number) => Buffer.from(String(index).padStart(8, "0"));

describe("BatchWriter", () => {
  test("fills the same batches again: each write has its own rows only", async () => {
    const writer = new BatchWriter(database);
    for (let round = 0; round < 3; round++) {
      writer.begin();
      for (let index = 0; index < 2500; index++) {
        writer.put(key(index), Buffer.from(`${round}/${index}`));
        if (writer.isFull) await writer.submit();
      }
      writer.delete(key(round));
      await writer.submit();
      await writer.settle();
      assert.deepEqual([writer.rows, writer.deletes], [2501, 1]);
      await writer.abandon();
    }
    assert.equal(database.getSync(key(2)), undefined);
    // Not written again by a later batch that had it before.
    assert.equal(Buffer.from(database.getSync(key(0))!).toString(), "2/0");
    assert.equal(Buffer.from(database.getSync(key(2499))!).toString(), "2/2499");
  });

  test("what was abandoned is never written", async () => {
    const writer = new BatchWriter(database);
    writer.begin();
    writer.put(key(1), Buffer.from("abandoned"));
    await writer.abandon();
    writer.begin();
    writer.put(key(2), Buffer.from("kept"));
    await writer.submit();
    await writer.settle();
    assert.equal(database.getSync(key(1)), undefined);
    assert.equal(Buffer.from(database.getSync(key(2))!).toString(), "kept");
  });

  test("B2: a failed write is told once, and nothing is written after it", async () => {
    const writer = new BatchWriter(database);
    writer.begin();
    writer.put(key(1), Buffer.from("row"));
    await database.close();
    await writer.submit();
    await assert.rejects(writer.settle());
    await writer.abandon();
    assert.throws(() => writer.begin(), /B2/);
  });
});
