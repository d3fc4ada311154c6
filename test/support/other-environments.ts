// Environments that differ in some of their file system's calls.
import type { Environment, FileSystem } from "../../src/index.ts";

/** The environment with other functions in the place of its file system's own. */
export function environmentWith(environment: Environment, calls: Partial<FileSystem>): Environment {
  const fileSystem = new Proxy(environment.fileSystem, {
    get(target, name) {
      const value: unknown = Reflect.get(calls, name) ?? Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { ...environment, fileSystem };
}
