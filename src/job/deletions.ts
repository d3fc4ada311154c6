// Deletes what the coordinator hands out, and what an earlier owner left.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { fileName, metadataName } from "../checkpoint/layout.ts";
import { publishGarbageCollection } from "../diagnostics.ts";

/** Names of objects that belong to nobody. */
export interface Leftovers {
  readonly metadata: readonly string[];
  readonly files: readonly string[];
}

export class Deletions {
  readonly #storage: CheckpointStorage;
  #leftovers: Leftovers | undefined;
  deletedObjects = 0;

  constructor(storage: CheckpointStorage, leftovers: Leftovers) {
    this.#storage = storage;
    this.#leftovers = leftovers;
  }

  /** False if not everything is gone. */
  async discard(metadata: readonly number[], files: readonly string[]): Promise<boolean> {
    try {
      await this.#delete([...metadata.map(metadataName), ...files.map(fileName)]);
      return true;
    } catch {
      return false; // Published, and counted by the coordinator, which hands them out again.
    }
  }

  /**
   * What an earlier owner left, once it is certain that it is fenced. Tried once: what stays is found
   * by whoever opens the storage next. Rejects with what went wrong.
   */
  async removeLeftovers(): Promise<void> {
    const leftovers = this.#leftovers;
    this.#leftovers = undefined;
    if (leftovers === undefined) return;
    await this.#delete(leftovers.metadata);
    await this.#delete(leftovers.files);
    await this.#storage.removeUnfinished?.();
  }

  async #delete(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    try {
      await this.#storage.delete(names);
    } catch (error) {
      publishGarbageCollection({ deleted: [], remaining: names, error });
      throw error;
    }
    this.deletedObjects += names.length;
    publishGarbageCollection({ deleted: names, remaining: [], error: undefined });
  }
}
