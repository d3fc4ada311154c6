// See closing.test.ts.
import { setTimeout as delay } from "node:timers/promises";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";

for (let round = 0; round < 40; round++) {
  const pool = await openWorkerPool({ environment: nodeEnvironment(), threads: 3 });
  // Threads are started by tasks or, 100 ms after opening, ahead of them.
  const tasks = round % 2 === 0 ? 2 : 0;
  const bytes = new Uint8Array(8);
  const results = Array.from({ length: tasks }, () => pool.submit("encodeFrames", { bytes }));
  await delay(tasks === 0 ? 95 + round : round);
  await Promise.all([pool.close(), Promise.allSettled(results)]);
}
