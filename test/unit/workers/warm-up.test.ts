import assert from "node:assert/strict";
import { onTestFinished, test } from "vitest";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { type WorkerPool, openWorkerPool } from "../../../src/workers/worker-pool.ts";

const { timers } = nodeEnvironment();

async function opened(threads: number): Promise<WorkerPool> {
  const pool = await openWorkerPool({ environment: nodeEnvironment(), threads });
  onTestFinished(() => pool.close());
  return pool;
}

test("a pool starts its threads when it is warmed up, once, and none before or after its end", async () => {
  let started = 0;
  const count = (): number => ++started;
  process.on("worker", count);
  onTestFinished(() => void process.off("worker", count));
  let end = (): void => undefined;
  const held = { ...timers, delay: () => new Promise<void>((resolve) => (end = resolve)) };
  const pool = await opened(3);
  pool.warmUp(held);
  pool.warmUp(held);
  await timers.yieldTurn();
  assert.equal(started, 0);
  end();
  while (started < 3) await timers.yieldTurn();
  await pool.close(); // Waits for those that start.
  const closed = await opened(2);
  closed.warmUp(held);
  await closed.close();
  end();
  await timers.yieldTurn();
  assert.equal(started, 3);
});
