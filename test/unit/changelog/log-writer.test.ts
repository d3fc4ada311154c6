// The writer of segments with its thread and real files, apart from backends.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "vitest";
import type { AppendTask } from "../../../src/changelog/append-protocol.ts";
import {
  AppendThread,
  type Appender,
  InlineAppender,
} from "../../../src/changelog/append-thread.ts";
import { LogWriter } from "../../../src/changelog/log-writer.ts";
import { ProgressBlock } from "../../../src/changelog/progress-block.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { readChanges } from "../../../src/format/changelog-rows.ts";
import { readBatchFrame, readSegmentBatches } from "../../../src/format/changelog-walk.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { MIB, fileSystemStorage } from "../../../src/index.ts";
import type { CheckpointStorage, SegmentHandle } from "../../../src/index.ts";
import { ChunkPool } from "../../../src/memory/chunk-pool.ts";
import { RowKey } from "../../../src/memory/row-key.ts";
import { WriteBuffer } from "../../../src/memory/write-buffer.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import { failingFiles } from "../../support/failing-files.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { wholeObjects } from "../../support/other-storages.ts";

const environment = nodeEnvironment();
const keyGroups = { max: 4, first: 0, last: 3 };
let root = "";
let storage: CheckpointStorage;
let appender: Appender;
let writer: LogWriter;
let pool: ChunkPool;

beforeEach(async () => {
  root = quickDirectory("varve-log-writer-");
  storage = fileSystemStorage(root);
  await storage.open();
  pool = new ChunkPool(16 * MIB);
});

afterEach(async () => {
  await writer.detach();
  await appender.close();
  rmSync(root, { recursive: true, force: true });
});

/** A value that LZ4 does not shrink. */
function valueOf(number: number): Uint8Array {
  const value = new Uint8Array(1000);
  let x = number + 1;
  for (let at = 0; at < value.length; at++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    value[at] = x >>> 11;
  }
  return value;
}

/** A write buffer whose rows are told apart by a number. */
class Rows {
  readonly progress = new ProgressBlock();
  readonly #buffer: WriteBuffer;
  #boundary = 0;

  constructor() {
    const exhausted = (): never => assert.fail("the buffer is exhausted");
    const owner = { generationSealed: () => undefined, exhausted };
    this.#buffer = new WriteBuffer(pool, undefined, owner);
  }

  /** Writes `count` rows of 1,000 bytes, and hands them over. */
  cut(count: number): AppendTask {
    const row = new RowKey();
    for (let number = 0; number < count; number++) {
      row.words.set([(number & 3) << 8, 1, number, 0]);
      row.length = 16;
      row.hash = number * 2_654_435_761;
      const reference = this.#buffer.reserve(row, 1, 1000, 1000, false);
      const start = this.#buffer.valueOffset(reference);
      this.#buffer.u8.set(valueOf(number), start);
    }
    const afterChange = this.#boundary;
    const boundary = this.#buffer.seal();
    const chunks = this.#buffer.ledger.extents(afterChange, boundary);
    this.#boundary = boundary;
    const { buffer: progress } = this.progress;
    return { chunks, boundary, keyGroups, afterChange, upToChange: boundary, progress };
  }
}

async function openWriter(from: Appender, own: CheckpointStorage = storage): Promise<void> {
  appender = from;
  const nameOf = (id: string): string => `files/${id}`;
  writer = new LogWriter({ environment, storage: own, appender, nameOf });
  writer.attach();
  await writer.prepare();
}

async function startThread(): Promise<AppendThread> {
  const thread = await AppendThread.open(environment, pool.arena);
  await openWriter(thread);
  return thread;
}

function names(): string[] {
  return readdirSync(join(root, "files")).sort();
}

/** Upper change numbers of the batches, once length and hash are those of the handle. */
async function changesIn(handle: SegmentHandle | undefined): Promise<number[]> {
  assert.ok(handle !== undefined);
  const bytes = readFileSync(join(root, "files", handle.id)).subarray(0, handle.lengthBytes);
  assert.equal(createHash("sha256").update(bytes).digest("hex"), handle.sha256);
  const checksum = await loadFrameChecksum();
  return readSegmentBatches(bytes, checksum, handle.id).map(({ upToChange }) => upToChange);
}

/** How many rows each batch has, once they are those that were written. */
async function rowsIn({ id }: SegmentHandle): Promise<number[]> {
  const bytes = readFileSync(join(root, "files", id));
  const tools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
  const counts: number[] = [];
  for (const batch of readSegmentBatches(bytes, tools.checksum, id)) {
    let count = 0;
    for (const frame of batch.frames) {
      const rows = readBatchFrame(bytes, frame, tools, id);
      readChanges(rows, id, frame.offset, (_kind, key, value) => {
        const number = Buffer.from(key).readInt32LE(8);
        assert.deepEqual(value.subarray(1), valueOf(number));
        count++;
      });
    }
    counts.push(count);
  }
  return counts;
}

describe("a log writer", () => {
  test("puts what is asked for in one turn into one segment, synced once", async () => {
    await startThread();
    const tasks = Array.from({ length: 8 }, () => new Rows());
    const appended = await Promise.all(
      tasks.map((rows, index) => writer.append(rows.cut(20), index === 3, MIB)),
    );
    assert.equal(new Set(appended.map(({ synced }) => synced?.lengthBytes)).size, 1);
    assert.equal((await changesIn(appended[0]!.synced)).length, 8);
    assert.deepEqual(
      tasks.map(({ progress }) => progress.appended),
      Array(8).fill(1),
    );
    assert.equal(names().length, 2); // And the next one.
  });

  for (const [name, isWhole] of [
    ["a file", false],
    ["a whole object", true],
  ] as const) {
    test(`writes batches of several pieces, and what came before stays: ${name}`, async () => {
      const own = isWhole ? wholeObjects(storage) : storage;
      await openWriter(await AppendThread.open(environment, pool.arena), own);
      const rows = new Rows();
      const [small, large] = [rows.cut(5), rows.cut(6000)]; // 6 MB, which do not shrink by much.
      const first = writer.append(small, false, 64 * MIB);
      writer.flush();
      const second = await writer.append(large, true, 64 * MIB);
      assert.ok(second.lengthBytes > 4 * MIB, `${second.lengthBytes} bytes`); // Of 2 MiB each.
      assert.equal((await first).segment, second.segment);
      assert.deepEqual(await changesIn(second.synced), [1, 2]);
      assert.deepEqual(await rowsIn(second.synced!), [5, 6000]);
    });
  }

  test("keeps what a backend appends after its checkpoint out of the checkpoint", async () => {
    await startThread();
    const [one, other] = [new Rows(), new Rows()];
    const all = [
      writer.append(one.cut(3), false, MIB),
      writer.append(one.cut(3), true, MIB),
      writer.append(other.cut(3), true, MIB),
      writer.append(one.cut(3), false, MIB),
    ];
    const [, synced, beside] = await Promise.all(all);
    assert.deepEqual(await changesIn(synced!.synced), [1, 2, 1]);
    assert.deepEqual(await changesIn(beside!.synced), [1, 2, 1]);
  });

  test("syncs what is much ahead of a checkpoint, and nothing else", async () => {
    const files = failingFiles();
    await openWriter(await InlineAppender.open(files.environment, pool.arena));
    const rows = new Rows();
    files.arm("sync", "EIO", 1);
    const first = await writer.append(rows.cut(2000), false, 64 * MIB);
    await writer.append(rows.cut(2000), false, 64 * MIB);
    assert.equal(files.failed, 0, "less than 4 MiB");
    await assert.rejects(writer.append(rows.cut(1000), false, 64 * MIB), { code: "VARVE_STORAGE" });
    assert.equal(files.failed, 1);
    assert.ok(first.segment.isAbandoned, "nothing more is written to it");
    const next = await writer.append(rows.cut(5000), false, 64 * MIB);
    assert.notEqual(next.segment.id, first.segment.id);
    files.arm("sync", "EIO", 1);
    await writer.append(rows.cut(10), false, 64 * MIB);
    assert.equal(files.failed, 1, "what was synced does not count again");
    await assert.rejects(writer.append(rows.cut(1), true, 64 * MIB), { code: "VARVE_STORAGE" });
  });

  test("syncs a quarter of a small segment ahead of a checkpoint", async () => {
    const files = failingFiles();
    await openWriter(await InlineAppender.open(files.environment, pool.arena));
    const rows = new Rows();
    files.arm("sync", "EIO", 1);
    await writer.append(rows.cut(200), false, MIB);
    assert.equal(files.failed, 0, "less than 256 KiB");
    await assert.rejects(writer.append(rows.cut(100), false, MIB), { code: "VARVE_STORAGE" });
  });

  test("names ever longer beginnings of a segment", async () => {
    await startThread();
    const rows = new Rows();
    const handles: (SegmentHandle | undefined)[] = [];
    for (let cut = 1; cut <= 4; cut++) {
      const { synced } = await writer.append(rows.cut(5), cut !== 3, MIB);
      handles.push(synced);
    }
    assert.equal(handles[2], undefined);
    assert.deepEqual(await changesIn(handles[0]), [1]);
    assert.deepEqual(await changesIn(handles[1]), [1, 2]);
    assert.deepEqual(await changesIn(handles[3]), [1, 2, 3, 4]);
  });

  test("ends a full segment with a sync, and has the next one ready", async () => {
    await startThread();
    const rows = new Rows();
    const first = await writer.append(rows.cut(200), false, 65_536);
    const second = await writer.append(rows.cut(10), false, 65_536);
    assert.equal(first.segment.id, second.segment.id);
    assert.deepEqual(await changesIn(first.segment.synced), [1, 2]);
    const third = await writer.append(rows.cut(1), true, 65_536);
    assert.notEqual(third.segment.id, first.segment.id);
    assert.deepEqual(await changesIn(third.synced), [3]);
  });

  test("goes on in another segment and another thread after its thread ended", async () => {
    const thread = await startThread();
    const rows = new Rows();
    const before = await writer.append(rows.cut(5), true, MIB);
    await thread.terminate();
    const after = await writer.append(rows.cut(5), true, MIB);
    assert.notEqual(after.segment.id, before.segment.id);
    assert.equal(before.segment.isAbandoned, true);
    assert.deepEqual(await changesIn(before.synced), [1]);
    assert.deepEqual(await changesIn(after.synced), [2]);
  });

  test("fails what its thread had not answered when it ended", async () => {
    const thread = await startThread();
    const rows = new Rows();
    await writer.append(rows.cut(1), true, MIB);
    const pending = writer.append(rows.cut(3000), true, MIB);
    writer.flush();
    await thread.terminate();
    await assert.rejects(pending, { code: "VARVE_STORAGE", retriable: true });
  });

  test("removes segments that nothing was synced to, and keeps the others", async () => {
    await openWriter(await InlineAppender.open(environment, pool.arena));
    const rows = new Rows();
    const { segment } = await writer.append(rows.cut(1), true, MIB);
    writer.abandon(segment);
    await writer.append(rows.cut(1), false, MIB);
    assert.ok(names().length > 1);
    await writer.detach();
    assert.deepEqual(names(), [segment.id]);
    writer.attach(); // As by another backend, later.
    const next = await writer.append(rows.cut(1), true, MIB);
    assert.notEqual(next.segment.id, segment.id);
  });

  test("stores an object at each sync where nothing can be appended to", async () => {
    await openWriter(await InlineAppender.open(environment, pool.arena), wholeObjects(storage));
    const rows = new Rows();
    await writer.append(rows.cut(2), false, MIB);
    const { synced } = await writer.append(rows.cut(2), true, MIB);
    const next = await writer.append(rows.cut(2), true, MIB);
    assert.deepEqual(await changesIn(synced), [1, 2]);
    assert.deepEqual(await changesIn(next.synced), [3]);
  });
});
