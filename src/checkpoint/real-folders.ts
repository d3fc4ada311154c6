// The folders of a storage in a directory: none is a symbolic link, which could lead anywhere.
import { join } from "node:path";
import type { FileSystem } from "../api/environment.ts";
import { StorageError } from "../errors.ts";

export class RealFolders {
  readonly #fileSystem: FileSystem;
  /** Those that were looked at. */
  readonly #real = new Set<string>();

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  /** The path of an object, or of a folder that ends in `/`. StorageError if it is reached by a link. */
  async pathOf(root: string, name: string): Promise<string> {
    for (let at = name.indexOf("/"); at > 0; at = name.indexOf("/", at + 1)) {
      const folder = name.slice(0, at);
      if (this.#real.has(folder)) continue;
      const stat = await this.#fileSystem.stat(join(root, folder));
      if (stat === undefined) break; // Whoever uses the path finds nothing.
      if (stat.kind !== "directory") throw new StorageError(`${folder} is not a directory`);
      this.#real.add(folder);
    }
    return join(root, name);
  }
}
