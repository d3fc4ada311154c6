// Storages that differ in some of their calls.
import { type CheckpointStorage, fileSystemStorage } from "../../src/index.ts";

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

export interface StoppableStorage {
  readonly storage: CheckpointStorage;
  /** Resolves when an upload stands still. */
  readonly atGate: Promise<void>;
  readonly release: () => void;
}

/** A storage whose uploads stand still, while `stops`, until `release` is called. */
export function stoppableStorage(
  root: string,
  stops: () => boolean = () => true,
): StoppableStorage {
  const inner = fileSystemStorage(root);
  let release = (): void => undefined;
  let reached = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const atGate = new Promise<void>((resolve) => (reached = resolve));
  const stop = async (): Promise<void> => {
    if (!stops()) return;
    reached();
    await gate;
  };
  const storage = storageWith(inner, {
    putFile: async (...call) => {
      await stop();
      await inner.putFile(...call);
    },
    putBytes: async (...call) => {
      await stop();
      await inner.putBytes(...call);
    },
  });
  return { storage, atGate, release: () => release() };
}
