// The floor of a restore: SHA-256 of the same files, on as many threads as the pool of a backend.
import { once } from "node:events";
import { readdir, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { HashWork } from "./hash.worker.ts";

export class HashFloor {
  readonly threads: number = Math.min(4, availableParallelism());
  readonly #workers: Worker[];

  constructor() {
    const module = new URL("./hash.worker.js", import.meta.url);
    this.#workers = Array.from({ length: this.threads }, () => new Worker(module));
  }

  /** Milliseconds. */
  async hash(paths: readonly string[]): Promise<number> {
    const next = new Int32Array(new SharedArrayBuffer(4));
    const start = performance.now();
    await Promise.all(
      this.#workers.map((worker) => {
        const done = once(worker, "message");
        worker.postMessage({ paths, next } satisfies HashWork);
        return done;
      }),
    );
    return performance.now() - start;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

export interface StoredFiles {
  readonly paths: readonly string[];
  readonly bytes: number;
}

/** The data files of a checkpoint storage, the largest first. */
export async function storedFiles(checkpoints: string): Promise<StoredFiles> {
  const directory = join(checkpoints, "files");
  const names = await readdir(directory);
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      return { path, size: (await stat(path)).size };
    }),
  );
  files.sort((a, b) => b.size - a.size);
  return {
    paths: files.map(({ path }) => path),
    bytes: files.reduce((sum, { size }) => sum + size, 0),
  };
}
