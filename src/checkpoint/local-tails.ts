// Local names of changelog segments that grow in the storage: a link, where both are on one file system,
// or a copy that gets what the storage has more of it.
//   T1. Calls for one segment run one after the other. A copy only ever gets longer. After a failure nothing
//       more is written, and every call is told, until the segment is forgotten: what is there is not known.
//   T2. Nothing is synced: what a crash leaves counts only with the hash that the metadata names.
import type { FileSystem, WritableFile } from "../api/environment.ts";
import { MIB } from "../common/units.ts";
import { linkRefusals } from "../environment/link-refusals.ts";
import { systemCodeOf } from "../environment/typed-error.ts";
import { StorageError } from "../errors.ts";

interface Tail {
  /** Undefined: a link, which grows by itself. */
  copy: WritableFile | undefined;
  /** Of the copy. */
  lengthBytes: number;
  /** Of the calls so far (T1). */
  work: Promise<void>;
}

export class LocalTails {
  readonly #fileSystem: FileSystem;
  readonly #tails = new Map<string, Tail>();

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  /** Resolves when `localPath` has the first `lengthBytes` of the stored segment. Rejects with what failed. */
  keep(id: string, storedPath: string, localPath: string, lengthBytes: number): Promise<void> {
    const known = this.#tails.get(id);
    const tail = known ?? { copy: undefined, lengthBytes: 0, work: Promise.resolve() };
    this.#tails.set(id, tail);
    tail.work = tail.work.then(async () => {
      if (known === undefined) await this.#begin(tail, storedPath, localPath);
      if (tail.copy !== undefined) await this.#extend(tail, tail.copy, storedPath, lengthBytes);
    });
    return tail.work;
  }

  async #begin(tail: Tail, storedPath: string, localPath: string): Promise<void> {
    try {
      await this.#fileSystem.link(storedPath, localPath);
    } catch (cause) {
      if (!linkRefusals.has(systemCodeOf(cause) ?? "")) throw cause;
      tail.copy = await this.#fileSystem.create(localPath);
    }
  }

  async #extend(
    tail: Tail,
    copy: WritableFile,
    storedPath: string,
    lengthBytes: number,
  ): Promise<void> {
    const stored = await this.#fileSystem.open(storedPath);
    try {
      while (tail.lengthBytes < lengthBytes) {
        const wanted = Math.min(MIB, lengthBytes - tail.lengthBytes);
        const piece = await stored.read(tail.lengthBytes, wanted);
        if (piece.length === 0) throw new StorageError(`${storedPath} has become shorter`);
        await copy.write(piece);
        tail.lengthBytes += piece.length; // T1
      }
    } finally {
      await stored.close();
    }
  }

  /** The local name is about to be removed. */
  async forget(id: string): Promise<void> {
    const tail = this.#tails.get(id);
    this.#tails.delete(id);
    await tail?.work.catch(() => undefined); // Told to those who called.
    await tail?.copy?.close();
  }

  async close(): Promise<void> {
    for (const id of this.#tails.keys()) await this.forget(id);
  }
}
