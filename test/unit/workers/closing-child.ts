// See closing.test.ts. The crash itself needs a thread to be ended within a few milliseconds of its
// start; what is looked for is any thread that is ended before it has said that it is ready.
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
// oxlint-disable-next-line no-restricted-imports -- watches the threads of the pool
import { Worker } from "node:worker_threads";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";

const ready = new WeakSet<Worker>();
// oxlint-disable-next-line typescript/unbound-method -- called with Reflect.apply
const { emit, terminate } = Worker.prototype;
let ended = 0;
Worker.prototype.emit = function (this: Worker, name: string | symbol, ...values: unknown[]) {
  if (name === "message") ready.add(this);
  return Reflect.apply(emit, this, [name, ...values]) as boolean;
};
Worker.prototype.terminate = function (this: Worker) {
  ended++;
  if (!ready.has(this)) {
    process.stderr.write("a thread was ended while it loaded its code\n");
    process.exitCode = 1;
  }
  return Reflect.apply(terminate, this, []) as Promise<number>;
};

const time = memoryEnvironment();
const environment = { ...nodeEnvironment(), timers: time.timers };

/** Opens a pool, lets tasks start its threads unless it does, and closes it `ms` later. */
async function openAndClose(ms: number, tasks: number): Promise<void> {
  const startsFor = tasks === 0 ? (["verifyFile"] as const) : undefined;
  const pool = await openWorkerPool({ environment, threads: 4, startsFor });
  const bytes = new Uint8Array(8);
  const results = Array.from({ length: tasks }, () => pool.submit("encodeFrames", { bytes }));
  await delay(ms);
  await Promise.all([pool.close(), Promise.allSettled(results)]);
  time.advance(10_000); // Ends the threads that are kept for a next pool.
  await nextTurn();
}

for (let round = 0; round < 8; round++) {
  await openAndClose(round * 15, 4);
  await openAndClose(round * 10, 0);
}
if (ended === 0) throw new Error("no thread was ended: nothing was tested");
