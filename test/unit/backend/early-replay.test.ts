// Goal: a log is replayed while the base is verified, as far as there is room, and not after the opening
// has failed.
import assert from "node:assert/strict";
import { readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { EarlyTarget } from "../../../src/backend/early-replay.ts";
import { memoryEnvironment } from "../../../src/testing/index.ts";
import {
  type KeyedStateBackendOptions,
  MIB,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
  openStateHost,
} from "../../../src/index.ts";
import { CHANGE_BYTES_MIN } from "../../../src/format/changelog-rows.ts";
import { FRAME_RAW_BYTES_MAX } from "../../../src/format/frame.ts";
import { ChunkPool } from "../../../src/memory/chunk-pool.ts";
import { RowKey } from "../../../src/memory/row-key.ts";
import { WriteBuffer } from "../../../src/memory/write-buffer.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

function bufferOf(chunks: number): WriteBuffer {
  const owner = {
    generationSealed: () => undefined,
    exhausted: () => assert.fail("the buffer is full"),
  };
  const cold = { isEmpty: false, getSync: () => undefined };
  return new WriteBuffer(new ChunkPool(chunks * 524_288), cold, owner);
}

function targetOf(buffer: WriteBuffer): EarlyTarget {
  const { clock, timers } = memoryEnvironment();
  return new EarlyTarget({ buffer, clock, timers });
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  const turn = new Promise((resolve) => setImmediate(() => setImmediate(() => resolve(pending))));
  return (await Promise.race([promise, turn])) === pending;
}

describe("an early target", () => {
  test("E1: takes rows while there is room for a frame, then waits for the tier", async () => {
    const buffer = bufferOf(64);
    const target = targetOf(buffer);
    const row = new RowKey();
    row.length = 16;
    let settled = target.settle();
    let chunks = 0;
    for (; !(await isPending(settled)); settled = target.settle()) {
      row.words[2] = ++chunks;
      row.hash = chunks;
      buffer.reserve(row, 1, 400_000, 400_000, true);
    }
    assert.ok(chunks > 10 && chunks < buffer.pool.quota - 10, `${chunks} chunks`);
    let settles = 0;
    const settle = async (): Promise<void> => void settles++;
    target.attach({ buffer, relieve: () => undefined, settle });
    await settled;
    await target.settle();
    assert.equal(settles, 2);
  });

  test("E1: is never pressed within a frame, though the index doubles in it", async () => {
    // The shortest changes there are, as many as a frame holds: removals of keys of one byte.
    const rowsOfFrame = Math.floor(FRAME_RAW_BYTES_MAX / CHANGE_BYTES_MIN);
    let frames = 0;
    for (const chunks of [12, 33, 47, 64, 70, 90, 130, 190, 250]) {
      const buffer = bufferOf(chunks);
      const target = targetOf(buffer);
      const row = new RowKey();
      row.length = 16;
      for (let key = 1; ; frames++) {
        const settled = target.settle();
        if (await isPending(settled)) break;
        for (let count = 0; count < rowsOfFrame; count++, key++) {
          row.words[2] = key;
          row.hash = Math.imul(key, 0x9e3779b1);
          buffer.reserve(row, 1, 0, 0, false);
          assert.ok(!buffer.isPressed, `${chunks} chunks, row ${key}`);
        }
      }
      buffer.close();
    }
    assert.ok(frames > 30, `${frames} frames`);
  });

  test("E4: tells how long it waited for the tier, which is no part of a replay's rate", async () => {
    let now = 1000;
    const { timers } = memoryEnvironment();
    const clock = { monotonicMs: () => now, wallMs: () => now };
    const buffer = bufferOf(12);
    const target = new EarlyTarget({ buffer, clock, timers });
    const settled = target.settle();
    assert.ok(await isPending(settled));
    now += 5000;
    target.attach({ buffer, relieve: () => undefined, settle: () => Promise.resolve() });
    await settled;
    now += 70;
    await target.settle();
    assert.equal(target.waitedMs, 5000);
  });

  test("E3: takes nothing more once it was stopped, whether it waits or not", async () => {
    const waiting = targetOf(bufferOf(12));
    const settled = waiting.settle();
    assert.ok(await isPending(settled));
    waiting.stop();
    await assert.rejects(settled, { code: "VARVE_CLOSED" });
    const idle = targetOf(bufferOf(64));
    await idle.settle();
    idle.stop();
    await assert.rejects(idle.settle(), { code: "VARVE_CLOSED" });
  });
});

const rows = 36_000;

/** A checkpoint of a base and a log of `rows` rows of 1,000 bytes over it. */
async function makeCheckpoint(root: string): Promise<void> {
  await using backend = await openKeyedStateBackend({
    workingDirectory: join(root, "working"),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
    restore: "latest-or-new",
    policy: "changelog",
    memoryBudgetBytes: 160 * MIB,
    changelog: { materializationLogBytes: 65_536 * MIB, materializationIntervalMs: 604_800_000 },
  });
  const state = backend.valueState({ name: "rows", value: bytes });
  const write = (from: number, to: number, mark: number): void => {
    for (let key = from; key < to; key++) {
      backend.withKey(key, () => state.update(Buffer.alloc(1000, mark + (key % 100))));
    }
  };
  write(0, 2000, 1);
  await backend.checkpoint();
  write(1000, rows, 101);
  await backend.checkpoint();
}

function optionsOf(root: string, more: Partial<KeyedStateBackendOptions>) {
  return {
    workingDirectory: join(root, "restored"),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
    restore: "latest",
    policy: "changelog",
    ...more,
  } as KeyedStateBackendOptions;
}

async function readAll(options: KeyedStateBackendOptions): Promise<void> {
  await using backend = await openKeyedStateBackend(options);
  const state = backend.valueState({ name: "rows", value: bytes });
  for (let key = 0; key < rows; key += 7) {
    const expected = (key < 1000 ? 1 : 101) + (key % 100);
    assert.equal(
      backend.withKey(key, () => state.value()?.[999]),
      expected,
      `key ${key}`,
    );
  }
}

describe("a log", () => {
  test("is replayed whether the buffer holds all of it or not, in either mode", async () => {
    const root = temporaryDirectory();
    await makeCheckpoint(root);
    for (const memoryBudgetBytes of [40 * MIB, 64 * MIB, 256 * MIB]) {
      for (const restoreVerification of ["before", "behind"] as const) {
        await readAll(optionsOf(root, { memoryBudgetBytes, restoreVerification }));
      }
    }
  }, 120_000);

  test("over a base that is damaged leaves nothing behind, in the host either", async () => {
    const root = temporaryDirectory();
    await makeCheckpoint(root);
    const files = join(root, "checkpoints", "files");
    const sized = readdirSync(files).map((name) => ({
      name,
      size: statSync(join(files, name)).size,
    }));
    // Of the base: neither its list, which is small, nor the log.
    const table = sized.filter(({ size }) => size > 65_536 && size < 8 * MIB)[0]!;
    truncateSync(join(files, table.name), table.size - 1);
    await using host = await openStateHost({ memoryBudgetBytes: 64 * MIB });
    for (let attempt = 0; attempt < 3; attempt++) {
      await assert.rejects(openKeyedStateBackend(optionsOf(root, { host })), (error: Error) => {
        return (
          (error as { code?: string }).code === "VARVE_CORRUPTION" &&
          error.message.includes(table.name)
        );
      });
      assert.deepEqual(
        readdirSync(join(root, "restored")).filter((name) => name !== "lock"),
        [],
      );
    }
    // All of the budget is there for another one.
    await using other = await openKeyedStateBackend({
      host,
      workingDirectory: join(root, "other"),
      checkpointStorage: fileSystemStorage(join(root, "other-checkpoints")),
      restore: "latest-or-new",
    });
    const state = other.valueState({ name: "rows", value: bytes });
    for (let key = 0; key < 100_000; key++)
      other.withKey(key, () => state.update(Buffer.alloc(1000)));
  }, 120_000);
});
