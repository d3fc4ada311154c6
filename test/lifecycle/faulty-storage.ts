// A storage whose operations fail when they are told to, once each.
import { NoSpaceError, StorageError } from "../../src/errors.ts";
import type { CheckpointStorage } from "../../src/index.ts";
import { storageWith } from "../support/other-storages.ts";

/** How the next creations of metadata end. */
export type CreationFault =
  | "full" // The disk is full: certainly not created.
  | "lost" // Nobody knows, and it is not.
  | "done"; // Nobody knows, and it is.

/** How the next uploads of files end, as an object store's may. */
export type UploadFault = Exclude<CreationFault, "full">;

export interface Faults {
  creations: CreationFault[];
  uploads: UploadFault[];
  /** How many of the next calls of any kind an object store refuses as too many. */
  throttled: number;
  /** How many of the next calls fail. */
  deletions: number;
  hints: number;
  pins: number;
  /** Sabotage: deletions say that they are done, and are not. */
  ignoresDeletions: boolean;
}

export function faultyStorage(storage: CheckpointStorage, faults: Faults): CheckpointStorage {
  const throttle = (): void => {
    if (faults.throttled === 0) return;
    faults.throttled--;
    throw new StorageError("slow down, says the test", { retriable: true });
  };
  const uploading = async (upload: () => Promise<void>): Promise<void> => {
    throttle();
    const fault = faults.uploads.shift();
    if (fault !== "lost") await upload();
    if (fault !== undefined) throw new StorageError("timed out, says the test");
  };
  const overrides: Partial<CheckpointStorage> = {
    putFile: (name, path, options) => uploading(() => storage.putFile(name, path, options)),
    putBytes: (name, bytes, options) => uploading(() => storage.putBytes(name, bytes, options)),
    read: async (name, maxBytes) => {
      throttle();
      return storage.read(name, maxBytes);
    },
    createIfAbsent: async (name, bytes) => {
      throttle();
      const fault = name.startsWith("metadata/") ? faults.creations.shift() : undefined;
      if (fault === "full") throw new NoSpaceError("no space, says the test", {});
      if (fault === "done") await storage.createIfAbsent(name, bytes);
      if (fault !== undefined) throw new StorageError("timed out, says the test");
      return storage.createIfAbsent(name, bytes);
    },
    delete: async (names) => {
      throttle();
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
