import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, test } from "vitest";
import {
  ClosedError,
  InvalidArgumentError,
  NoSpaceError,
  PoisonedError,
  StateBackendError,
  StorageError,
} from "../../../src/errors.ts";
import { LsmStore } from "../../../src/lsm/lsm-store.ts";
import { packKeys, unpackRows } from "../../../src/lsm/prefetch.ts";
import { hex } from "./arena-writer.ts";
import { TestStore, environment, rowKey, smallLsm, valueRow, withFolder } from "./fixture.ts";

const none: ReadonlySet<number> = new Set();
const arena = new SharedArrayBuffer(524_288);

function fill(t: TestStore, from: number, to: number): void {
  for (let index = from; index < to; index++) t.put(rowKey(index), valueRow(index, 100));
}

describe("a store", () => {
  test("can be waited for without a turn of the event loop", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      fill(t, 0, 5000);
      const boundary = t.writer.seal();
      const drained = t.drain(boundary);
      assert.equal(t.store.waitDrained(boundary, 60_000), true);
      assert.equal(t.store.waitDrained(boundary + 1, 0), false);
      assert.equal((await drained).rows, 5000);
      await t.store.close();
    });
  });

  test("prefetches rows while it drains", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      fill(t, 0, 1000);
      await t.sealAndDrain();
      fill(t, 1000, 40_000);
      const keys = [3, 999, 1_000_000, 7].map((index) => rowKey(index));
      const order: string[] = [];
      const drained = t.sealAndDrain().then(() => order.push("drain"));
      const packed = await t.store.prefetch(packKeys(keys));
      order.push("prefetch");
      await drained;
      assert.deepEqual(order, ["prefetch", "drain"]);
      assert.deepEqual(
        unpackRows(packed).map((row) => (row === undefined ? undefined : hex(row))),
        keys.map((key) => t.model.get(hex(key))),
      );
      await assert.rejects(t.store.prefetch(Uint8Array.of(9, 0, 0, 0, 1)), InvalidArgumentError);
      assert.deepEqual(unpackRows(await t.store.prefetch(packKeys([]))), []);
      await t.store.close();
    });
  });

  test("that is closed while it drains ends after the batch in flight", async () => {
    await withFolder(async (folder) => {
      const t = await TestStore.open(join(folder, "db"));
      fill(t, 0, 50_000);
      const drained = t.sealAndDrain();
      const captured = t.store.capture(join(folder, "capture"), none);
      const closed = t.store.close();
      assert.equal(t.store.close(), closed);
      const outcomes = await Promise.allSettled([drained, captured]);
      await closed;
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") assert.ok(outcome.reason instanceof ClosedError);
      }
      assert.equal(outcomes[1].status, "rejected");
      assert.throws(() => t.store.getSync(rowKey(1)), ClosedError);
      await assert.rejects(t.store.prefetch(packKeys([])), ClosedError);
    });
  });

  test("is never opened in a directory that was used", async () => {
    await withFolder(async (folder) => {
      const directory = join(folder, "db");
      const t = await TestStore.open(directory);
      const again = { environment, directory: `${directory}/`, lsm: smallLsm, arena };
      await assert.rejects(LsmStore.open(again), InvalidArgumentError);
      await t.store.close();
      await assert.rejects(LsmStore.open(again), InvalidArgumentError);
    });
  });

  test("names the remedy if its worker file is missing, and leaves nothing open", async () => {
    await withFolder(async (folder) => {
      const options = { environment, directory: join(folder, "db"), lsm: smallLsm, arena };
      const workerEntry = pathToFileURL(join(folder, "drain.worker.js"));
      await assert.rejects(LsmStore.open({ ...options, workerEntry }), (error: unknown) => {
        assert.ok(error instanceof InvalidArgumentError);
        assert.match(error.message, /external/);
        return true;
      });
    });
  });

  test("fails every call, and does not hang, if its thread ends", async () => {
    // Method: a thread that opens and then throws at the first drain.
    await withFolder(async (folder) => {
      const workerEntry = pathToFileURL(join(folder, "broken.mjs"));
      const source = `import { parentPort } from "node:worker_threads";
        parentPort.on("message", ({ id, kind }) => {
          if (kind !== "open") throw new Error("broken");
          parentPort.postMessage({ id });
        });`;
      writeFileSync(fileURLToPath(workerEntry), source);
      const options = { environment, directory: join(folder, "db"), lsm: smallLsm, arena };
      const store = await LsmStore.open({ ...options, workerEntry });
      const request = { boundary: 1, changeNumberBase: 0, chunks: [] };
      await assert.rejects(store.drain(request), StorageError);
      assert.ok(store.failure instanceof StorageError);
      await assert.rejects(store.drain(request), PoisonedError);
      assert.equal(store.waitDrained(1, 60_000), false);
      await store.close();
    });
  });

  test("lets an idle process end, and one that exits while it drains", async () => {
    await withFolder((folder) => {
      const child = fileURLToPath(new URL("./store-child.js", import.meta.url));
      const run = (mode: string): { status: number | null; signal: string | null } => {
        const args = [child, join(folder, mode), mode];
        const { status, signal } = spawnSync(process.execPath, args, { stdio: "inherit" });
        return { status, signal };
      };
      assert.deepEqual(run("idle"), { status: 0, signal: null });
      assert.deepEqual(run("exit"), { status: 7, signal: null });
      return Promise.resolve();
    });
  });
});

describe("a full disk", () => {
  test("poisons the store, at a write as at a flush", async ({ skip }) => {
    // Method: a tiny tmpfs, filled up by a file before the drain or before the flush.
    await withFolder(async (folder) => {
      const mount = join(folder, "tiny");
      mkdirSync(mount);
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mount], {
          stdio: "ignore",
        });
      } catch {
        skip("needs the right to mount");
      }
      try {
        await fillDuringDrain(join(mount, "a"));
        await fillBeforeFlush(join(mount, "b"), join(mount, "filler"), join(folder, "capture"));
      } finally {
        execFileSync("umount", [mount]);
      }
    });
  });

  async function fillDuringDrain(directory: string): Promise<void> {
    const t = await TestStore.open(directory);
    fill(t, 0, 40_000);
    const drained = t.sealAndDrain();
    const outcome = drained.catch((error: unknown) => error);
    assert.equal(t.store.waitDrained(1, 60_000), false);
    assert.ok(t.store.failure instanceof NoSpaceError);
    assert.ok((await outcome) instanceof NoSpaceError);
    await assertPoisoned(t);
    rmSync(directory, { recursive: true });
  }

  async function fillBeforeFlush(
    directory: string,
    filler: string,
    capture: string,
  ): Promise<void> {
    const t = await TestStore.open(directory);
    fill(t, 0, 300);
    await t.sealAndDrain();
    assert.throws(() => writeFileSync(filler, Buffer.alloc(4 * 1024 * 1024)), /ENOSPC/);
    const outcome = await t.store.capture(capture, none).catch((error: unknown) => error);
    assert.ok(outcome instanceof StateBackendError);
    assert.equal(outcome.code, "VARVE_NO_SPACE");
    await assertPoisoned(t);
  }

  async function assertPoisoned(t: TestStore): Promise<void> {
    await assert.rejects(t.sealAndDrain(), PoisonedError);
    await assert.rejects(t.store.capture("never", none), PoisonedError);
    await t.store.close();
  }
});
