// A directory for what does not fit into memory. Made when it is first asked for.
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment, FileSystem } from "../api/environment.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { toHex } from "../format/hex.ts";

/** In the system's directory for such things. */
export function systemPrefix(): string {
  return join(tmpdir(), "varve-inspect-");
}

export class Scratch {
  readonly #environment: Environment;
  readonly #prefix: string;
  #directory: Promise<string> | undefined = undefined;
  #names = 0;

  /** `prefix` begins the path of the directory. */
  constructor(environment: Environment, prefix: string) {
    this.#environment = environment;
    this.#prefix = prefix;
  }

  get fileSystem(): FileSystem {
    return this.#environment.fileSystem;
  }

  /** The directory, which exists then. */
  directory(): Promise<string> {
    this.#directory ??= this.#make();
    return this.#directory;
  }

  /** A path in it that nobody else has. */
  async newPath(): Promise<string> {
    return join(await this.directory(), this.newName());
  }

  newName(): string {
    return `scratch-${this.#names++}`;
  }

  async #make(): Promise<string> {
    const path = `${this.#prefix}${toHex(this.#environment.random.bytes(8))}`;
    try {
      await this.fileSystem.makeDirectory(path);
      return path;
    } catch (cause) {
      throw typedFileError(`make the temporary directory ${path}`, cause);
    }
  }

  /** Removes everything. */
  async close(): Promise<void> {
    const directory = this.#directory;
    this.#directory = undefined;
    if (directory !== undefined) await this.fileSystem.removeTree(await directory);
  }
}
