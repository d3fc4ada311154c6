// What the drain thread does with requests, apart from being a thread.
//   S1. Requests are served one at a time, in order. Prefetches alone are answered at once, between
//       the batches of a drain: they only use getSync, which takes no snapshot.
//   S2. A drain or flush that fails poisons the service: LevelDB may hold anything then. It refuses
//       every later request except close. A failed link does not: the database is as it was.
//   S3. The flush is skipped if nothing was written since the last proven one.
import type { Environment } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { ClosedError, NoSpaceError, PoisonedError } from "../errors.ts";
import type { StateBackendError } from "../errors.ts";
import { captureFiles } from "./capture.ts";
import type { CapturedSet } from "./capture.ts";
import { FailureKind } from "./control-block.ts";
import type { ControlBlock } from "./control-block.ts";
import { Drain } from "./drain.ts";
import type { DrainRequest, DrainResult } from "./drain-request.ts";
import { typedFailure } from "./failure.ts";
import type { Database } from "./level-database.ts";
import { ManifestFollower } from "./manifest-follower.ts";
import { MemtableFlush } from "./memtable-flush.ts";
import { readPackedRows } from "./prefetch.ts";

export class DrainService {
  readonly #environment: Environment;
  readonly #directory: string;
  readonly #database: Database;
  readonly #control: ControlBlock;
  readonly #drain: Drain;
  readonly #manifest: ManifestFollower;
  readonly #flush: MemtableFlush;
  #poison: StateBackendError | undefined = undefined;
  /** Whether rows may be outside of SSTs. A restored directory has no WAL. */
  #isDirty = false;

  constructor(
    environment: Environment,
    directory: string,
    database: Database,
    control: ControlBlock,
    arena: SharedArrayBuffer,
  ) {
    this.#environment = environment;
    this.#directory = directory;
    this.#database = database;
    this.#control = control;
    this.#drain = new Drain(database, arena);
    this.#manifest = new ManifestFollower(environment.fileSystem, directory);
    this.#flush = new MemtableFlush(environment, directory, database, this.#manifest);
  }

  get isPoisoned(): boolean {
    return this.#poison !== undefined;
  }

  async drain(request: DrainRequest): Promise<DrainResult> {
    this.#refuseIfUnusable();
    return this.#poisoning("a drain failed", async () => {
      const result = await this.#drain.run(request, () => this.#refuseIfClosing()); //# fail point: drain.done
      if (result.rows > 0) this.#isDirty = true;
      assert(request.boundary >= this.#control.drainedBoundary, "S1: boundaries went backwards");
      this.#control.drainedBoundary = request.boundary;
      return result;
    });
  }

  async capture(directory: string, known: ReadonlySet<number>): Promise<CapturedSet> {
    this.#refuseIfUnusable();
    if (this.#isDirty) {
      await this.#poisoning("a flush failed", () => this.#flush.flush()); //# fail point: drain.flushed
      this.#isDirty = false;
    }
    const source = { directory: this.#directory, manifest: this.#manifest };
    try {
      return await captureFiles(this.#environment, source, directory, known);
    } catch (error) {
      throw typedFailure(error, `capturing into ${directory} failed`);
    }
  }

  prefetch(keys: Uint8Array): Uint8Array {
    this.#refuseIfUnusable();
    try {
      return readPackedRows(keys, (key) => this.#database.getSync(key));
    } catch (error) {
      throw typedFailure(error, "a prefetch failed");
    }
  }

  async close(): Promise<void> {
    await this.#flush.settle();
    await this.#database.close();
  }

  #refuseIfUnusable(): void {
    this.#refuseIfClosing();
    if (this.#poison === undefined) return;
    throw new PoisonedError("an earlier write failed", { cause: this.#poison });
  }

  #refuseIfClosing(): void {
    if (this.#control.closing) throw new ClosedError("the store is closed");
  }

  async #poisoning<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const failure = typedFailure(error, what);
      if (failure instanceof ClosedError) throw failure; // The owner closes: it asks for no more.
      this.#poison ??= failure;
      const isFull = failure instanceof NoSpaceError;
      this.#control.failure = isFull ? FailureKind.noSpace : FailureKind.storage;
      throw failure;
    }
  }
}
