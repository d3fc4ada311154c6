// Deletes in the background what no checkpoint needs. Nothing waits for it but `close`.
//   Q1. Within a batch, metadata is gone durably before any file that only it references.
//   Q2. A failed deletion stays, is tried again at the next request, and shows in the statistics.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { publishGarbageCollection } from "../diagnostics.ts";

/** Names of what one subsumption, or one aborted checkpoint, leaves. */
export interface DeletionBatch {
  readonly metadata: readonly string[];
  readonly files: readonly string[];
  /** Also what the storage knows to be unfinished. */
  readonly unfinished?: boolean | undefined;
}

export interface DeletionStats {
  readonly deletedObjects: number;
  /** Objects that are to be deleted and are not yet. */
  readonly pendingDeletions: number;
  /** Attempts that failed, of all batches. */
  readonly failedDeletions: number;
  readonly lastDeletionError: unknown;
}

export class DeletionQueue {
  readonly #storage: CheckpointStorage;
  #batches: DeletionBatch[] = [];
  #running: Promise<void> | undefined;
  #isRequested = false;
  #deletedObjects = 0;
  #failedDeletions = 0;
  #lastError: unknown;

  constructor(storage: CheckpointStorage) {
    this.#storage = storage;
  }

  /** Adds a batch, and tries all there are. */
  add(batch: DeletionBatch): void {
    if (namesOf(batch).length > 0 || batch.unfinished === true) this.#batches.push(batch);
    if (this.#batches.length > 0) this.#request();
  }

  /** What is to be deleted could not be found out. */
  noteFailure(error: unknown): void {
    this.#failedDeletions++;
    this.#lastError = error;
    publishGarbageCollection({ deleted: [], remaining: [], error });
  }

  /** Resolves when every batch added so far was tried. Never rejects (Q2). */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** One more attempt for what failed, and `idle`. */
  async drain(): Promise<void> {
    if (this.#batches.length > 0) this.#request();
    await this.idle();
  }

  stats(): DeletionStats {
    return {
      deletedObjects: this.#deletedObjects,
      pendingDeletions: this.#batches.reduce((sum, batch) => sum + namesOf(batch).length, 0),
      failedDeletions: this.#failedDeletions,
      lastDeletionError: this.#lastError,
    };
  }

  #request(): void {
    this.#isRequested = true;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    while (this.#isRequested) {
      this.#isRequested = false;
      for (const batch of this.#batches) {
        if (await this.#attempt(batch)) this.#batches = this.#batches.filter((b) => b !== batch);
      }
    }
    this.#running = undefined;
  }

  async #attempt(batch: DeletionBatch): Promise<boolean> {
    try {
      if (batch.metadata.length > 0) await this.#storage.delete(batch.metadata); // Q1 //# fail point: deletion.metadata-gone
      if (batch.files.length > 0) await this.#storage.delete(batch.files); //# fail point: deletion.files-gone
      if (batch.unfinished === true) await this.#storage.removeUnfinished?.(); //# fail point: deletion.unfinished-gone
      this.#deletedObjects += namesOf(batch).length;
      publishGarbageCollection({ deleted: namesOf(batch), remaining: [], error: undefined });
      return true;
    } catch (error) {
      this.#failedDeletions++;
      this.#lastError = error;
      publishGarbageCollection({ deleted: [], remaining: namesOf(batch), error });
      return false;
    }
  }
}

function namesOf(batch: DeletionBatch): readonly string[] {
  return [...batch.metadata, ...batch.files];
}
