// Small files that get their name with whole content: metadata, hints. What a storage does with them, on
// the calling thread or on the file thread.
//   W1. A name has whole content at every instant: bytes are written and synced under the temporary
//       name first (S2 of file-system-storage.ts). What fails leaves no temporary file, unless the process dies.
//   W2. The directory is synced last, also where the name was there already: whoever learns that will
//       rely on it. A failure of that sync is told apart from any other (Y2 of directory-syncs.ts).
import { dirname } from "node:path";
import type { FileSystem } from "../api/environment.ts";
import { systemCodeOf } from "../environment/typed-error.ts";
import { writeSynced } from "../environment/write-synced.ts";
import { StorageError } from "../errors.ts";

export interface WholeFile {
  readonly path: string;
  /** In the same directory; new. */
  readonly temporary: string;
  readonly bytes: Uint8Array;
  /** A file that is read once the name is durable. */
  readonly thenRead?: { readonly path: string; readonly maxBytes: number } | undefined;
}

export interface Named {
  readonly outcome: "created" | "exists";
  /** Bytes of `thenRead`; undefined if they could not be read. */
  readonly read?: Uint8Array | undefined;
  /** Why the directory could not be synced, if it could not: the name may not survive a power loss. */
  readonly unsynced: Error | undefined;
}

/** Rejects with what the file system throws. */
export interface WholeFiles {
  /** Gives the file its name, which stays whose it is if it exists. */
  create(file: WholeFile): Promise<Named>;
  /** Gives the file its name, whoever had it. */
  replace(file: WholeFile): Promise<Named>;
  /** All bytes of a file. StorageError if it has more than `maxBytes`. */
  read(path: string, maxBytes: number): Promise<Uint8Array>;
}

export class DirectWholeFiles implements WholeFiles {
  readonly #fileSystem: FileSystem;

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  async create({ path, temporary, bytes, thenRead }: WholeFile): Promise<Named> {
    let outcome: Named["outcome"] = "created";
    try {
      await writeSynced(this.#fileSystem, temporary, bytes);
      await this.#fileSystem.link(temporary, path); // W1 //# fail point: storage.name-linked
    } catch (cause) {
      await this.#unlinkQuietly(temporary);
      if (systemCodeOf(cause) !== "EEXIST") throw cause;
      outcome = "exists";
    }
    if (outcome === "created") await this.#fileSystem.unlink(temporary); //# fail point: storage.temporary-unlinked
    const unsynced = await this.#syncFailure(path);
    if (thenRead === undefined) return { outcome, unsynced };
    const read = await this.read(thenRead.path, thenRead.maxBytes).catch(() => undefined);
    return { outcome, unsynced, read };
  }

  async replace({ path, temporary, bytes }: WholeFile): Promise<Named> {
    try {
      await writeSynced(this.#fileSystem, temporary, bytes);
      await this.#fileSystem.rename(temporary, path); // W1 //# fail point: storage.renamed
    } catch (cause) {
      await this.#unlinkQuietly(temporary);
      throw cause;
    }
    return { outcome: "created", unsynced: await this.#syncFailure(path) };
  }

  async read(path: string, maxBytes: number): Promise<Uint8Array> {
    const file = await this.#fileSystem.open(path);
    try {
      if (file.sizeBytes > maxBytes) {
        throw new StorageError(`${path} has ${file.sizeBytes} bytes, more than ${maxBytes}`);
      }
      return await file.read(0, file.sizeBytes);
    } finally {
      await file.close();
    }
  }

  /** W2 */
  async #syncFailure(path: string): Promise<Error | undefined> {
    try {
      await this.#fileSystem.syncDirectory(dirname(path)); //# fail point: storage.name-synced
      return undefined;
    } catch (cause) {
      return cause as Error;
    }
  }

  async #unlinkQuietly(path: string): Promise<void> {
    try {
      await this.#fileSystem.unlink(path);
    } catch {
      // The failure that brought us here is the one to report; no reader sees a temporary file.
    }
  }
}
