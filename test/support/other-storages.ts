// Storages that differ in some of their calls.
import type { CheckpointStorage } from "../../src/index.ts";

/** The storage with other functions in the place of its own; with none where one is undefined. */
export function storageWith(
  storage: CheckpointStorage,
  calls: Partial<CheckpointStorage>,
): CheckpointStorage {
  return new Proxy(storage, {
    get(target, name) {
      if (name in calls) return Reflect.get(calls, name) as unknown;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A storage of files as one that takes whole objects only, as object stores are. */
export function wholeObjects(storage: CheckpointStorage): CheckpointStorage {
  return storageWith(storage, { pathForAppending: undefined } as object);
}
