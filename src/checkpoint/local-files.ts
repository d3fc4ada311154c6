// Local recovery: a second name, in the working directory, of each file of the newest confirmed
// checkpoint, so that a restore on the same machine need not fetch it.
//   L1. A file is known by its random id, and counts only with the length and SHA-256 that the stored
//       metadata or file list names. Nothing else says what is here or whether it is whole: no list,
//       no marker.
//   L2. The stored file is the truth: it is looked for, by its length, also where the local one is
//       used. What differs from it is removed, and the stored one is used.
//   L3. Keeping a file never fails a checkpoint or a restore: it is then simply not here.
//   L4. In use are the files of the newest confirmed checkpoint, or of the restored one before that,
//       of attempts under way, and changelog segments that the next attempt will name. All others go, in
//       the background.
//   L5. Of a changelog segment there may be more here than a checkpoint names, or less: what counts is
//       the hash of what it names.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import type { SegmentHandle, SharedFile } from "../api/keyed-state-backend.ts";
import { publishLocalRecovery } from "../diagnostics.ts";
import { linkRefusals } from "../environment/link-refusals.ts";
import { makeOwnDirectory } from "../environment/own-directory.ts";
import { systemCodeOf, typedFileError } from "../environment/typed-error.ts";
import { ClosedError, CorruptionError, NoSpaceError, StateBackendError } from "../errors.ts";
import type { TableClaims } from "../format/leveldb-table-walk.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { Verification } from "./base-reader.ts";
import type { FileSink } from "./base-writer.ts";
import { FILES_PREFIX, fileName } from "./layout.ts";
import { LOCAL_FILES_NAME, isFileId } from "./local-directory.ts";
import { LocalTails } from "./local-tails.ts";

/** A file list or a small file: hashed within the time that a trip to a worker takes. */
const SMALL_BYTES = 65_536;

export interface LocalVerification {
  readonly verification: Verification;
  /** Of a table, besides its hash. */
  readonly table?: TableClaims | undefined;
}

export interface LocalFilesStats {
  /** Files that a restore used without fetching them. */
  readonly localFiles: number;
  /** Files that were not what the checkpoint says. */
  readonly localRejectedFiles: number;
  /** Files that could not be kept, used or removed. */
  readonly localFailures: number;
}

export class LocalFiles {
  readonly #environment: Environment;
  readonly #pool: WorkerPool;
  readonly #directory: string;
  /** Ids of the files that are here. */
  readonly #ids: Set<string>;
  /** L4: of the newest confirmed checkpoint, or of the restored one. */
  #confirmed = new Set<string>();
  /** Of uploads whose snapshot is not complete. */
  readonly #uploading = new Set<string>();
  /** Of snapshots whose checkpoint is not confirmed, by its id. */
  readonly #attempts = new Map<number, ReadonlySet<string>>();
  /** Segments that were kept since the last snapshot, and since the one before. */
  #young = new Set<string>();
  #old: ReadonlySet<string> = new Set();
  readonly #tails: LocalTails;
  #sweeps: Promise<void> = Promise.resolve();
  #keeps: Promise<void> = Promise.resolve();
  #localFiles = 0;
  #rejectedFiles = 0;
  #failures = 0;

  private constructor(
    environment: Environment,
    pool: WorkerPool,
    directory: string,
    ids: readonly string[],
  ) {
    this.#environment = environment;
    this.#pool = pool;
    this.#directory = directory;
    this.#ids = new Set(ids);
    this.#tails = new LocalTails(environment.fileSystem);
  }

  /** Under the lock of the working directory. StorageError, NoSpaceError. */
  static async open(
    environment: Environment,
    workingDirectory: string,
    pool: WorkerPool,
  ): Promise<LocalFiles> {
    const { fileSystem } = environment;
    const directory = join(workingDirectory, LOCAL_FILES_NAME);
    try {
      await makeOwnDirectory(environment, directory);
      const names = await fileSystem.readDirectory(directory);
      return new LocalFiles(environment, pool, directory, names.filter(isFileId));
    } catch (cause) {
      throw typedFileError(`open ${directory}`, cause);
    }
  }

  stats(): LocalFilesStats {
    return {
      localFiles: this.#localFiles,
      localRejectedFiles: this.#rejectedFiles,
      localFailures: this.#failures,
    };
  }

  // -- while restoring ---------------------------------------------------------------------------

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /**
   * Makes the file available as `path`, verified as asked, but where a reader would verify it here;
   * false if it is not here or is not that file.
   */
  async take(
    file: SharedFile,
    path: string,
    how: LocalVerification,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!this.#ids.has(file.id)) return false;
    return this.#attempt(file.id, signal, async () => {
      await this.#requireFile(file);
      await this.#linkOrCopy(this.#pathOf(file.id), path);
      try {
        await this.#verify(file, path, how, signal);
      } catch (cause) {
        await this.#environment.fileSystem.unlink(path); // The stored one takes its place.
        throw cause;
      }
    });
  }

  /** The bytes, verified; undefined if they are not here. For what fits memory. */
  async read(file: SharedFile): Promise<Uint8Array | undefined> {
    if (!this.#ids.has(file.id)) return undefined;
    const path = this.#pathOf(file.id);
    let bytes: Uint8Array | undefined;
    await this.#attempt(file.id, undefined, async () => {
      await this.#requireFile(file);
      await this.#verify(file, path, { verification: "now" }, undefined);
      bytes = await this.#environment.fileSystem.readFile(path);
    });
    return bytes;
  }

  /**
   * What `use` makes of the changelog segment, which it verifies; undefined if it is not here, or `use`
   * finds that it is not what it should be. It stays where it is.
   */
  async takeSegment<T>(
    id: string,
    use: (path: string) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T | undefined> {
    if (!this.#ids.has(id)) return undefined;
    let used: T | undefined;
    await this.#attempt(id, signal, async () => {
      used = await use(this.#pathOf(id));
    });
    return used;
  }

  /** The file turned out to be damaged while it was in use: the next restore takes the stored one. */
  async reject(id: string, error: unknown): Promise<void> {
    if (!this.#ids.has(id)) return;
    this.#rejectedFiles++;
    publishLocalRecovery({ file: fileName(id), outcome: "rejected", error });
    await this.#remove(id);
  }

  /** All that was restored has been taken or kept: what is not of it goes. */
  restored(): void {
    this.#sweep();
  }

  // -- while checkpoints are taken ---------------------------------------------------------------

  /** The sink, which also keeps every file that goes into it. */
  keeping(sink: FileSink): FileSink {
    return {
      putFile: (name, localPath, options) => {
        const id = idOfFileName(name);
        this.#uploading.add(id);
        return both(
          this.#keep(id, (path) => this.#linkOrCopy(localPath, path)),
          sink.putFile(name, localPath, options),
        );
      },
      putBytes: (name, bytes, options) => {
        const id = idOfFileName(name);
        this.#uploading.add(id);
        return both(
          this.#keep(id, (path) => this.#write(path, bytes)),
          sink.putBytes(name, bytes, options),
        );
      },
    };
  }

  /** Keeps a fetched file of what is restored. Never rejects (L3). */
  async keepFile(id: string, localPath: string): Promise<void> {
    this.#confirmed.add(id);
    await this.#keep(id, (path) => this.#linkOrCopy(localPath, path));
  }

  async keepBytes(id: string, bytes: Uint8Array): Promise<void> {
    this.#confirmed.add(id);
    await this.#keep(id, (path) => this.#write(path, bytes));
  }

  /** Keeps a changelog segment that is stored as a whole object. Never rejects (L3). */
  keepSegment(id: string, bytes: Uint8Array): Promise<void> {
    this.#young.add(id);
    return this.#tracked(this.#keep(id, (path) => this.#write(path, bytes)));
  }

  /** Keeps what a changelog segment has so far, which is stored as a file that grows. Never rejects (L3). */
  keepGrowing({ id, lengthBytes }: SegmentHandle, storedPath: string): Promise<void> {
    this.#young.add(id);
    const kept = this.#tails.keep(id, storedPath, this.#pathOf(id), lengthBytes).then(
      () => void this.#ids.add(id),
      (cause: unknown) => {
        this.#failed(id, cause);
        return this.#remove(id);
      },
    );
    return this.#tracked(kept);
  }

  /** Never rejects. */
  #tracked(work: Promise<void>): Promise<void> {
    this.#keeps = this.#keeps.then(() => work);
    return work;
  }

  /** The snapshot has all its files. */
  captured(checkpointId: number, files: readonly SharedFile[]): void {
    const ids = new Set(files.map(({ id }) => id));
    for (const id of ids) this.#uploading.delete(id);
    this.#attempts.set(checkpointId, ids);
    this.#old = this.#young; // Some may have been kept after the cut.
    this.#young = new Set();
  }

  /** These files will be of no checkpoint. */
  discard(ids: readonly string[]): void {
    for (const id of ids) this.#uploading.delete(id);
    this.#sweep();
  }

  complete(checkpointId: number): void {
    const confirmed = this.#attempts.get(checkpointId);
    if (confirmed === undefined) return; // One that was given up, and has taken effect after all.
    this.#confirmed = new Set(confirmed);
    for (const id of this.#attempts.keys()) if (id <= checkpointId) this.#attempts.delete(id);
    this.#sweep();
  }

  abort(checkpointId: number): void {
    if (this.#attempts.delete(checkpointId)) this.#sweep();
  }

  /** Awaits what runs in the background. */
  async close(): Promise<void> {
    await this.#keeps;
    await this.#sweeps;
    await this.#tails.close();
  }

  // -- files -------------------------------------------------------------------------------------

  #pathOf(id: string): string {
    return join(this.#directory, id);
  }

  /** Runs what uses a local file; false, and rid of the file if it was at fault, unless it succeeds. */
  async #attempt(
    id: string,
    signal: AbortSignal | undefined,
    work: () => Promise<void>,
  ): Promise<boolean> {
    try {
      await work();
      this.#confirmed.add(id);
      this.#localFiles++;
      return true;
    } catch (cause) {
      if (signal?.aborted === true || isOfCaller(cause)) throw cause;
      const error = typedFileError(`use the local file ${id}`, cause);
      if (error instanceof NoSpaceError) this.#failed(id, error);
      else await this.reject(id, error);
      return false;
    }
  }

  async #requireFile({ id, lengthBytes }: SharedFile): Promise<void> {
    const stat = await this.#environment.fileSystem.stat(this.#pathOf(id));
    if (stat?.kind === "file" && stat.sizeBytes === lengthBytes) return;
    const found = stat === undefined ? "is gone" : `is a ${stat.kind} of ${stat.sizeBytes} bytes`;
    throw new CorruptionError(`the local file ${found}`, fileName(id), 0);
  }

  async #verify(
    { id, lengthBytes, sha256 }: SharedFile,
    path: string,
    { verification, table }: LocalVerification,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const file = fileName(id);
    if (verification === "behind") {
      const request = { files: [{ path, lengthBytes, file }] };
      await this.#pool.submit("checkTables", request, { signal, isSmall: true });
      return;
    }
    const isSmall = lengthBytes <= SMALL_BYTES;
    const request = { path, lengthBytes, sha256, file, table };
    await this.#pool.submit("verifyFile", request, { signal, isSmall });
  }

  async #keep(id: string, make: (path: string) => Promise<void>): Promise<void> {
    if (this.#ids.has(id)) return;
    const path = this.#pathOf(id);
    try {
      await make(path);
      this.#ids.add(id);
    } catch (cause) {
      this.#failed(id, cause); // L3
      await this.#environment.fileSystem.removeTree(path).catch(() => undefined); // Part of a copy.
    }
  }

  async #linkOrCopy(source: string, path: string): Promise<void> {
    const { fileSystem } = this.#environment;
    try {
      await fileSystem.link(source, path);
    } catch (cause) {
      if (!linkRefusals.has(systemCodeOf(cause) ?? "")) throw cause;
      await fileSystem.copyFile(source, path);
    }
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const file = await this.#environment.fileSystem.create(path);
    try {
      await file.write(bytes);
    } finally {
      await file.close();
    }
  }

  #failed(id: string, error: unknown): void {
    this.#failures++;
    publishLocalRecovery({ file: fileName(id), outcome: "failed", error });
  }

  /** Removes in the background what is not in use (L4). */
  #sweep(): void {
    this.#sweeps = this.#sweeps.then(async () => {
      const used = [this.#confirmed, this.#uploading, this.#young, this.#old];
      used.push(...this.#attempts.values());
      const unused = [...this.#ids].filter((id) => !used.some((ids) => ids.has(id)));
      for (const id of unused) await this.#remove(id);
    });
  }

  async #remove(id: string): Promise<void> {
    this.#ids.delete(id);
    try {
      await this.#tails.forget(id);
      await this.#environment.fileSystem.removeTree(this.#pathOf(id));
    } catch (cause) {
      this.#ids.add(id); // The next sweep tries again.
      this.#failed(id, cause);
    }
  }
}

function idOfFileName(name: string): string {
  return name.slice(FILES_PREFIX.length);
}

/** Told to stop, or a bug: nothing that another file would change. */
function isOfCaller(error: unknown): boolean {
  if (error instanceof ClosedError) return true;
  return !(error instanceof StateBackendError) && systemCodeOf(error) === undefined;
}

/** The upload is what counts; keeping never rejects. The local file is not read after both ended. */
async function both(keeping: Promise<void>, upload: Promise<void>): Promise<void> {
  const [, uploaded] = await Promise.allSettled([keeping, upload]);
  if (uploaded.status === "rejected") throw uploaded.reason as Error;
}
