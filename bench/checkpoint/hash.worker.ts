// Hashes files that it takes from a shared list until none is left.
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { parentPort } from "node:worker_threads";

export interface HashWork {
  readonly paths: readonly string[];
  /** Index of the next file to take. */
  readonly next: Int32Array;
}

const buffer = new Uint8Array(1_048_576);

function hashFile(path: string): void {
  const hash = createHash("sha256");
  const file = openSync(path, "r");
  try {
    for (;;) {
      const length = readSync(file, buffer);
      if (length === 0) break;
      hash.update(buffer.subarray(0, length));
    }
  } finally {
    closeSync(file);
  }
  hash.digest();
}

parentPort?.on("message", ({ paths, next }: HashWork) => {
  for (;;) {
    const path = paths[Atomics.add(next, 0, 1)];
    if (path === undefined) break;
    hashFile(path);
  }
  parentPort?.postMessage("done");
});
