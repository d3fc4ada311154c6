// A thread that tries to take the lock of a directory and posts what came of it.
import { parentPort, workerData } from "node:worker_threads";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { lockDirectory } from "../../../src/lsm/directory-lock.ts";

try {
  const lock = await lockDirectory(nodeEnvironment(), workerData as string);
  await lock.release();
  parentPort?.postMessage("locked");
} catch (error) {
  parentPort?.postMessage(error instanceof Error ? error.name : "?");
}
