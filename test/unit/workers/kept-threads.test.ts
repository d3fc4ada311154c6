// Goal: a pool that is opened soon after another was closed has its threads, and nothing of them is left over.
import assert from "node:assert/strict";
import { onTestFinished, test } from "vitest";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { endKeptThreads } from "../../../src/workers/threads.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";

const bytes = new TextEncoder().encode("the same again and again ".repeat(1000));

async function encode(threads: number): Promise<void> {
  const pool = await openWorkerPool({ environment: nodeEnvironment(), threads });
  await pool.submit("encodeFrames", { bytes });
  await pool.close();
  await assert.rejects(pool.submit("encodeFrames", { bytes }), { code: "VARVE_CLOSED" });
}

test("threads of a closed pool serve the next one with as many, and end when they are told to", async () => {
  let started = 0;
  const count = (): void => void started++;
  process.on("worker", count);
  onTestFinished(() => void process.off("worker", count));
  await encode(1);
  assert.equal(started, 1);
  await encode(1);
  assert.equal(started, 1);
  const [first, second] = await Promise.all(
    [1, 1].map((threads) => openWorkerPool({ environment: nodeEnvironment(), threads })),
  );
  await first!.submit("encodeFrames", { bytes });
  await second!.submit("encodeFrames", { bytes });
  assert.equal(started, 2, "two pools at a time share no thread");
  await Promise.all([first!.close(), second!.close()]);
  await encode(2);
  assert.equal(started, 3, "another number of threads is another pool");
  await endKeptThreads();
  await encode(1);
  assert.equal(started, 4);
  await endKeptThreads();
});
