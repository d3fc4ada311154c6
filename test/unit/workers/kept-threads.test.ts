// Goal: a pool that is opened soon after another was closed has its threads, and nothing of them is left over.
import assert from "node:assert/strict";
import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
// oxlint-disable-next-line no-restricted-imports -- the type of what is counted
import type { Worker } from "node:worker_threads";
import { onTestFinished, test } from "vitest";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { MIB } from "../../../src/index.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";
import { Workplace, writeAll } from "../backend/fixture.ts";

const bytes = new TextEncoder().encode("the same again and again ".repeat(1000));

/** Every thread that this process starts during the test, in order. */
function threadsStarted(): readonly Worker[] {
  const started: Worker[] = [];
  const note = (worker: Worker): void => void started.push(worker);
  process.on("worker", note);
  onTestFinished(() => void process.off("worker", note));
  return started;
}

/** Threads are kept for ten seconds of a time that only the test lets pass. */
function place() {
  const time = memoryEnvironment();
  const environment = { ...nodeEnvironment(), timers: time.timers };
  const open = (threads: number) => openWorkerPool({ environment, threads });
  const encode = async (threads: number): Promise<void> => {
    const pool = await open(threads);
    await pool.submit("encodeFrames", { bytes });
    await pool.close();
    await assert.rejects(pool.submit("encodeFrames", { bytes }), { code: "VARVE_CLOSED" });
  };
  const pass = async (ms: number): Promise<void> => {
    time.advance(ms);
    await nextTurn();
  };
  return { open, encode, pass };
}

test("threads of a closed pool serve the next one with as many, and no two pools at a time", async () => {
  const started = threadsStarted();
  const { open, encode, pass } = place();
  await encode(5);
  assert.equal(started.length, 1);
  await encode(5);
  assert.equal(started.length, 1);
  const pools = [await open(5), await open(5)];
  for (const pool of pools) await pool.submit("encodeFrames", { bytes });
  assert.equal(started.length, 2);
  for (const pool of pools) await pool.close();
  await encode(6);
  assert.equal(started.length, 3, "another number of threads is another pool");
  await pass(10_000);
});

test("threads that are kept end after ten seconds, counted from when they were closed last", async () => {
  const started = threadsStarted();
  const { open, encode, pass } = place();
  await encode(5);
  await pass(9000);
  await encode(5);
  await pass(9000);
  const pool = await open(5);
  await pass(60_000);
  await pool.submit("encodeFrames", { bytes }); // In use, they stay.
  assert.equal(started.length, 1);
  await pool.close();
  const exit = once(started[0]!, "exit");
  await pass(10_000);
  await exit;
  await encode(5);
  assert.equal(started.length, 2);
  await pass(10_000);
});

test("threads that saw a write buffer end with their pool: they would hold it", async () => {
  const started = threadsStarted();
  const backend = await new Workplace().open({ backend: "memory", memoryBudgetBytes: 32 * MIB });
  writeAll(backend, 100, 1);
  await backend.checkpoint();
  assert.ok(started.length > 0);
  await backend.close();
  assert.deepEqual(
    started.map(({ threadId }) => threadId),
    started.map(() => -1),
  );
});
