// A storage whose operations fail when they are told to, once each.
import { NoSpaceError, StorageError } from "../../src/errors.ts";
import type { CheckpointStorage } from "../../src/index.ts";
import { storageWith } from "../support/other-storages.ts";

/** How the next creations of metadata end. */
export type CreationFault =
  | "full" // The disk is full: certainly not created.
  | "lost" // Nobody knows, and it is not.
  | "done"; // Nobody knows, and it is.

export interface Faults {
  creations: CreationFault[];
  /** How many of the next calls fail. */
  deletions: number;
  hints: number;
  pins: number;
  /** Sabotage: deletions say that they are done, and are not. */
  ignoresDeletions: boolean;
}

export function faultyStorage(storage: CheckpointStorage, faults: Faults): CheckpointStorage {
  const overrides: Partial<CheckpointStorage> = {
    createIfAbsent: async (name, bytes) => {
      const fault = name.startsWith("metadata/") ? faults.creations.shift() : undefined;
      if (fault === "full") throw new NoSpaceError("no space, says the test", {});
      if (fault === "done") await storage.createIfAbsent(name, bytes);
      if (fault !== undefined) throw new StorageError("timed out, says the test");
      return storage.createIfAbsent(name, bytes);
    },
    delete: async (names) => {
      if (faults.ignoresDeletions) return;
      if (faults.deletions === 0) return storage.delete(names);
      faults.deletions--;
      throw new StorageError("not deleted, says the test");
    },
    replace: async (name, bytes) => {
      if (faults.hints === 0) return storage.replace(name, bytes);
      faults.hints--;
      throw new StorageError("no hint, says the test");
    },
    size: async (name) => {
      if (faults.pins === 0 || !name.startsWith("pins/")) return storage.size(name);
      faults.pins--;
      throw new StorageError("no look, says the test");
    },
  };
  return storageWith(storage, overrides);
}
