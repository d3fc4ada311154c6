// Brings all that was written into SSTs, and proves it.
//   F1. compactRange with two zero-length keys only switches and flushes the memtable. A real range
//       may abort the process while somebody writes.
//   F2. Its promise proves nothing: LevelDB swallows the outcome. Proof is a MANIFEST whose log number
//       is that of the newest WAL, and that WAL being empty. Only then is everything in SSTs.
//   F3. Its promise may trail the flush by whole compactions, so nobody waits for it, except the next
//       flush (a waiting call holds a thread of the pool) and close.
//   F4. No write may be in flight or begin between the call and the proof: it could land on either
//       side. The drain thread's queue is serial, which keeps this.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import { StorageError } from "../errors.ts";
import type { LiveSet } from "../format/leveldb-manifest.ts";
import { logName, newestLogNumber } from "./file-names.ts";
import type { ManifestFollower } from "./manifest-follower.ts";

const POLL_INTERVAL_MS = 1;
const noKey = new Uint8Array(0);

/** A key that no row has: row keys are longer. */
const probeKey = new Uint8Array([255]);

/** The part of LevelDB that a flush needs. */
export interface Compactor {
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>;
  del(key: Uint8Array): Promise<void>;
}

export class MemtableFlush {
  readonly #environment: Environment;
  readonly #directory: string;
  readonly #database: Compactor;
  readonly #manifest: ManifestFollower;
  #pending: Promise<void> = Promise.resolve();
  flushes = 0;

  constructor(
    environment: Environment,
    directory: string,
    database: Compactor,
    manifest: ManifestFollower,
  ) {
    this.#environment = environment;
    this.#directory = directory;
    this.#database = database;
    this.#manifest = manifest;
  }

  /** Resolves when everything written is in SSTs; StorageError if it can no longer be. */
  async flush(): Promise<void> {
    await this.#pending; // F3
    this.flushes++;
    let hasReturned = false;
    const settled = (): void => {
      hasReturned = true;
    };
    this.#pending = this.#database.compactRange(noKey, noKey).then(settled, settled); // F2
    for (;;) {
      const wasReturned = hasReturned; // Read first: a proof after the return is the final one.
      if (await this.#isProven()) return;
      if (wasReturned) {
        await this.#throwBackgroundError(); //# fail point: flush.not-proven-yet
        throw new StorageError("LevelDB did not bring its memtable into an SST");
      }
      const delay = this.#environment.timers.delay(POLL_INTERVAL_MS);
      await Promise.race([delay, this.#pending]);
    }
  }

  /** Resolves when no call is pending in LevelDB. Before that it must not be closed. */
  async settle(): Promise<void> {
    await this.#pending;
  }

  /**
   * LevelDB keeps the error of a failed flush and answers every later write with it. The caller
   * poisons the database, so it does not matter if this write succeeds.
   */
  async #throwBackgroundError(): Promise<void> {
    await this.#database.del(probeKey);
  }

  async #isProven(): Promise<boolean> {
    const { fileSystem } = this.#environment;
    const live: LiveSet = await this.#manifest.poll(); //# fail point: flush.manifest-polled
    const newest = newestLogNumber(await fileSystem.readDirectory(this.#directory));
    if (newest === undefined || live.logNumber !== newest) return false;
    const log = await fileSystem.stat(join(this.#directory, logName(newest)));
    return log?.sizeBytes === 0;
  }
}
