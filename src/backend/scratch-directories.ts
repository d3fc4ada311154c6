// Directories in a working directory, each under a new name.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import { makeDirectory, removeDirectory } from "../environment/typed-error.ts";
import { toHex } from "../format/hex.ts";

export class ScratchDirectories {
  readonly #environment: Environment;
  readonly #workingDirectory: string;

  constructor(environment: Environment, workingDirectory: string) {
    this.#environment = environment;
    this.#workingDirectory = workingDirectory;
  }

  newPath(kind: string): string {
    const suffix = toHex(this.#environment.random.bytes(8));
    return join(this.#workingDirectory, `${kind}-${suffix}`);
  }

  /** A new directory for fetched files; the caller removes it. */
  async makeFetch(): Promise<string> {
    const directory = this.newPath("fetch");
    await makeDirectory(this.#environment.fileSystem, directory);
    return directory;
  }

  /** Gives `work` a new directory and removes it afterwards, whatever came of it. */
  async withFetch<T>(work: (directory: string) => Promise<T>): Promise<T> {
    const directory = await this.makeFetch();
    try {
      return await work(directory);
    } finally {
      await removeDirectory(this.#environment.fileSystem, directory);
    }
  }
}
