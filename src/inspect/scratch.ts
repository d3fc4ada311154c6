// A directory for what does not fit into memory. Made when it is first asked for.
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment, FileSystem } from "../api/environment.ts";
import { makeDirectory } from "../environment/typed-error.ts";
import { toHex } from "../format/hex.ts";

/** In the system's directory for such things. */
export function systemPrefix(): string {
  return join(tmpdir(), "varve-inspect-");
}

export class Scratch {
  readonly fileSystem: FileSystem;
  /** Of the directory. */
  readonly path: string;
  #made: Promise<void> | undefined = undefined;
  #names = 0;

  /** `prefix` begins the path of the directory. */
  constructor({ fileSystem, random }: Environment, prefix: string) {
    this.fileSystem = fileSystem;
    this.path = `${prefix}${toHex(random.bytes(8))}`;
  }

  /** Makes the directory, if that was not done yet. */
  make(): Promise<void> {
    this.#made ??= makeDirectory(this.fileSystem, this.path);
    return this.#made;
  }

  /** A name that nothing in the directory has. */
  newName(): string {
    return `${this.#names++}`;
  }

  /** Removes everything. */
  async close(): Promise<void> {
    const made = this.#made;
    this.#made = undefined;
    if (made === undefined) return;
    await made.catch(() => undefined); // Told already.
    await this.fileSystem.removeTree(this.path);
  }
}
