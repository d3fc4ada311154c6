// One LevelDB database in a directory of its own: point reads here, everything else in its drain
// thread. The directory is disposable; it is never opened a second time.
//   L1. The owner opens first and closes last: the first opener's block cache is the one in use, and
//       closing it under another thread's reads ends the process.
//   L2. Only getSync reads the live database. Iterators, snapshots and asynchronous reads make
//       LevelDB 1.20 answer wrong while somebody writes (google/leveldb 320).
//   L3. After a failed write or flush the store refuses everything but close.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import {
  ClosedError,
  InvalidArgumentError,
  NoSpaceError,
  PoisonedError,
  StorageError,
} from "../errors.ts";
import type { StateBackendError } from "../errors.ts";
import type { CapturedSet } from "./capture.ts";
import { ControlBlock, FailureKind } from "./control-block.ts";
import type { DrainRequest, DrainResult } from "./drain-request.ts";
import { type Drainer, spawnDrainer } from "./drain-thread.ts";
import { typedFailure } from "./failure.ts";
import { openDatabase } from "./level-database.ts";
import type { Database, LsmOptions } from "./level-database.ts";
import { type TableMapping, areTablesRead } from "./table-mapping.ts";

/** LevelDB's own diary: it exists in every directory that was ever opened. */
const LOG_NAME = "LOG";

/** Of classic-level's filter policy. */
const FILTER_BYTES_PER_ROW = 1.25;
/** Taken for a row until some were written. */
const ROW_BYTES = 100;

export interface LsmStoreOptions {
  readonly environment: Environment;
  /** Absent, empty, or made by `buildDirectory`. */
  readonly directory: string;
  readonly lsm: LsmOptions;
  /** The arena that drains read. */
  readonly arena: SharedArrayBuffer;
  /** Told how many bytes of tables there are. @defaultValue nobody */
  readonly mapping?: TableMapping | undefined;
  /** Spawned ahead, since that takes a while. @defaultValue spawned now */
  readonly thread?: Promise<Drainer> | undefined;
  /** For tests. @defaultValue the one beside this file */
  readonly workerEntry?: URL | undefined;
}

export class LsmStore {
  readonly #environment: Environment;
  readonly #database: Database;
  readonly #control: ControlBlock;
  readonly #mapping: TableMapping | undefined;
  #thread: Drainer | undefined = undefined;
  #failure: StateBackendError | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  #writtenBytes = 0;
  #writtenRows = 0;

  private constructor(options: LsmStoreOptions, database: Database, control: ControlBlock) {
    this.#environment = options.environment;
    this.#mapping = options.mapping;
    this.#database = database;
    this.#control = control;
  }

  static async open(options: LsmStoreOptions): Promise<LsmStore> {
    const { environment } = options;
    const spawning = options.thread ?? spawnDrainer(environment, options.workerEntry);
    spawning.catch(() => undefined); // Told below.
    try {
      return await LsmStore.#open(options, spawning);
    } catch (error) {
      await spawning.then(
        (thread) => thread.close(),
        () => undefined,
      );
      throw error;
    }
  }

  static async #open(options: LsmStoreOptions, spawning: Promise<Drainer>): Promise<LsmStore> {
    const { environment, lsm, arena } = options;
    const realPath = await prepareDirectory(environment, options.directory);
    const mode = { shared: true, createIfMissing: true };
    const database = await openDatabase(environment, realPath, lsm, mode).catch(
      (error: unknown) => {
        throw typedFailure(error, `opening ${realPath} failed`);
      },
    );
    const control = new ControlBlock();
    const store = new LsmStore(options, database, control);
    try {
      store.#thread = await spawning;
      const data = { realPath, lsm, arena, control: control.buffer };
      await store.#thread.open(data, (failure) => {
        store.#failure ??= failure;
      });
    } catch (error) {
      await database.close();
      throw error;
    }
    return store;
  }

  /** The stored row of a key, header byte included. `key` must not be of shared memory. */
  getSync(key: Uint8Array): Uint8Array | undefined {
    try {
      return this.#database.getSync(key);
    } catch (error) {
      if (this.#closing !== undefined) throw closed();
      throw typedFailure(error, "reading a row failed");
    }
  }

  /** Writes the rows of the sealed generations up to the boundary. Drains run in order. */
  async drain(request: DrainRequest): Promise<DrainResult> {
    const result = await this.#call((thread) => thread.call("drain", request));
    this.#mapping?.wrote(result.bytes);
    this.#writtenBytes += result.bytes;
    this.#writtenRows += result.rows;
    return result;
  }

  /**
   * Captures everything drained so far into `directory`, which must not exist: links of the SSTs
   * whose numbers are not `known`. Drains requested later wait for it.
   */
  async capture(directory: string, known: ReadonlySet<number>): Promise<CapturedSet> {
    const set = await this.#call((thread) => thread.call("capture", { directory, known }));
    this.#mapping?.has(set.files.reduce((sum, file) => sum + file.sizeBytes, 0));
    return set;
  }

  /** Rows of packed keys (prefetch.ts), read in the drain thread. Takes the keys' buffer away. */
  prefetch(keys: Uint8Array): Promise<Uint8Array> {
    // A view of a larger buffer is copied: to transfer that would take others' bytes along.
    const owned = keys.byteLength === keys.buffer.byteLength ? keys : new Uint8Array(keys);
    return this.#call((thread) => thread.call("prefetch", owned, [owned.buffer as ArrayBuffer]));
  }

  /**
   * Blocks this thread until the boundary is drained, a drain failed or `timeoutMs` passed. True if
   * it is drained. The drain must have been requested. Where this thread drains itself, nothing can be waited for.
   */
  waitDrained(boundary: number, timeoutMs: number): boolean {
    if (this.#thread?.isThread !== true) return this.#control.drainedBoundary >= boundary;
    const { clock } = this.#environment;
    const startMs = clock.monotonicMs();
    for (;;) {
      const changes = this.#control.changes;
      if (this.#control.drainedBoundary >= boundary) return true;
      const leftMs = timeoutMs - (clock.monotonicMs() - startMs);
      if (this.failure !== undefined || leftMs <= 0) return false;
      this.#control.waitForChange(changes, leftMs);
    }
  }

  /** The newest boundary that is drained; 0 before the first. */
  get drainedBoundary(): number {
    return this.#control.drainedBoundary;
  }

  /** Memory for the filters of tables of so many bytes, 10 bits a row. Those of mapped tables are file pages. */
  filterBytes(tableBytes: number): number {
    if (!areTablesRead()) return 0;
    const rowBytes = this.#writtenRows > 0 ? this.#writtenBytes / this.#writtenRows : ROW_BYTES;
    return Math.floor((tableBytes / rowBytes) * FILTER_BYTES_PER_ROW);
  }

  /** Why the store refuses everything, known even before the failed call's promise rejects. */
  get failure(): StateBackendError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    const kind = this.#control.failure;
    if (kind === FailureKind.none) return undefined;
    const message = "a drain or flush failed";
    return kind === FailureKind.noSpace ? new NoSpaceError(message) : new StorageError(message);
  }

  /** Waits for the batch in flight; what is not begun is refused. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#control.startClosing();
    try {
      await this.#thread?.close();
    } finally {
      await this.#database.close(); // L1
      await this.#mapping?.close();
    }
  }

  async #call<T>(work: (thread: Drainer) => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw closed();
    const failure = this.failure;
    if (failure !== undefined)
      throw new PoisonedError("an earlier write failed", { cause: failure });
    assert(this.#thread !== undefined, "a store that is open has a thread");
    return work(this.#thread);
  }
}

function closed(): ClosedError {
  return new ClosedError("the store is closed");
}

/** The real path of the directory. */
async function prepareDirectory(environment: Environment, directory: string): Promise<string> {
  const { fileSystem } = environment;
  try {
    await fileSystem.makeDirectory(directory);
    const realPath = await fileSystem.realPath(directory);
    if ((await fileSystem.stat(join(realPath, LOG_NAME))) === undefined) return realPath;
  } catch (error) {
    throw typedFailure(error, `preparing ${directory} failed`);
  }
  throw new InvalidArgumentError(
    `${directory} was used before: LevelDB directories are disposable, restore into a fresh one`,
  );
}
