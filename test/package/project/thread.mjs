import { Worker, isMainThread } from "node:worker_threads";
import { use } from "./use.mjs";

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  worker.on("error", (error) => {
    throw error;
  });
  worker.on("exit", (code) => (process.exitCode = code));
} else {
  await use();
}
