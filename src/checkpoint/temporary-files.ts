// Files that get their final name only once they are whole. Their own begins with a dot: no reader
// looks at it. A crash may leave one.
//   T1. Those of earlier writers are noted when a writer opens the storage, and removed by name once
//       it has completed a checkpoint. Until then a paused owner may be about to link one; one that
//       appears later is somebody else's. No clock decides.
//   T2. Only names that this library makes are touched, and only regular files.
import { dirname, join } from "node:path";
import type { Environment, FileSystem } from "../api/environment.ts";
import { systemCodeOf } from "../environment/typed-error.ts";
import { toHex } from "../format/hex.ts";
import { METADATA_PREFIX } from "./layout.ts";

const namePattern = /^\.temporary-[0-9a-f]{32}$/;
/** Where objects are created or replaced: not among the data files, which are many. */
const folders = ["", METADATA_PREFIX];

/** Whether a writer of this library may have left such a file: no reader looks at it. */
export function isTemporaryName(name: string): boolean {
  return namePattern.test(name);
}

export class TemporaryFiles {
  readonly #environment: Environment;
  readonly #fileSystem: FileSystem;
  #left: readonly string[] = [];

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#fileSystem = environment.fileSystem;
  }

  /** A new path in the directory of `path`. */
  beside(path: string): string {
    return join(dirname(path), `.temporary-${toHex(this.#environment.random.bytes(16))}`);
  }

  /** Notes what earlier writers have left under `root` (T1). */
  async note(root: string): Promise<void> {
    const left: string[] = [];
    for (const folder of folders) {
      for (const name of await this.#namesIn(join(root, folder))) {
        const path = join(root, folder, name);
        if (!isTemporaryName(name)) continue;
        if ((await this.#fileSystem.stat(path))?.kind === "file") left.push(path); // T2
      }
    }
    this.#left = left;
  }

  /**
   * Removes what was noted. Not durably: what a power loss brings back goes the next time. Rejects
   * with the first failure, having tried all; what failed stays noted.
   */
  async removeNoted(): Promise<void> {
    const failures = new Map<string, unknown>();
    for (const path of this.#left) {
      try {
        await this.#fileSystem.unlink(path); //# fail point: temporaries.one-gone
      } catch (cause) {
        if (systemCodeOf(cause) !== "ENOENT") failures.set(path, cause); // Else its writer did it.
      }
    }
    this.#left = [...failures.keys()];
    for (const cause of failures.values()) throw cause as Error;
  }

  async #namesIn(folder: string): Promise<string[]> {
    try {
      return await this.#fileSystem.readDirectory(folder);
    } catch (cause) {
      if (systemCodeOf(cause) === "ENOENT") return [];
      throw cause;
    }
  }
}
