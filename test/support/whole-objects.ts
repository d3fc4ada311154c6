// A storage of files as one that takes whole objects only, as object stores are.
import type { CheckpointStorage } from "../../src/index.ts";

export function wholeObjects(storage: CheckpointStorage): CheckpointStorage {
  return new Proxy(storage, {
    get(target, name) {
      if (name === "pathForAppending") return undefined;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
