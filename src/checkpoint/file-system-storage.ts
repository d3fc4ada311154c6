// Checkpoints in a directory. Page: docs/formats/directory-layout.md.
//   S1. A promise that resolves means durable: bytes synced first, then the directory with the name.
//   S2. A name made by createIfAbsent or replace has whole content at every instant (whole-files.ts). A
//       crash leaves at most a temporary file: temporary-files.ts.
//   S3. Symbolic links of the root are resolved once. An object that is a symbolic link is refused, and
//       so is one in a folder that is.
import { basename, dirname, join, resolve } from "node:path";
import type {
  CheckpointStorage,
  PutOptions,
  ReadAfter,
  StorageStats,
} from "../api/checkpoint-storage.ts";
import type { Environment, FileSystem } from "../api/environment.ts";
import { refuseUnknownOptions } from "../common/options.ts";
import { InvalidArgumentError, StorageError } from "../errors.ts";
import { linkRefusals } from "../environment/link-refusals.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { shortCallsOf } from "../environment/short-calls.ts";
import { systemCodeOf, typedFileError } from "../environment/typed-error.ts";
import { writeSynced } from "../environment/write-synced.ts";
import { DirectorySyncs, syncWithAncestors } from "./directory-syncs.ts";
import { wholeFilesByThread } from "./file-thread.ts";
import { checkObjectName, isObjectName } from "./object-name.ts";
import { RealFolders } from "./real-folders.ts";
import { TemporaryFiles } from "./temporary-files.ts";
import { DirectWholeFiles, type Named, type WholeFile, type WholeFiles } from "./whole-files.ts";

export interface FileSystemStorageOptions {
  /**
   * How local files get into the storage and back. `link`: as hard links where the file system
   * can, else as copies; costs nothing, but a file then shares its damage with the working
   * directory. `copy`: always as copies.
   * @defaultValue "link"
   */
  readonly transfer?: "link" | "copy" | undefined;
}

/**
 * Checkpoints in the directory `root`, which is created if need be. `environment` is for tests: the
 * one that the backend is given.
 */
export function fileSystemStorage(
  root: string,
  options: FileSystemStorageOptions = {},
  environment: Environment = nodeEnvironment(),
): CheckpointStorage {
  if (typeof root !== "string" || root === "" || root.includes("\0")) {
    throw new InvalidArgumentError("fileSystemStorage: the root must be a path");
  }
  refuseUnknownOptions("fileSystemStorage", options, ["transfer"]);
  const transfer = options.transfer ?? "link";
  if (transfer !== "link" && transfer !== "copy") {
    throw new InvalidArgumentError(
      `fileSystemStorage: transfer must be "link" or "copy", got ${JSON.stringify(transfer)}`,
    );
  }
  return new FileSystemStorage(resolve(root), transfer, environment);
}

/** What is copied in no longer than a call takes anyway: the hint, footers. */
const SHORT_RANGE_BYTES = 65_536;

class FileSystemStorage implements CheckpointStorage {
  readonly description: string;
  readonly #root: string;
  readonly #transfer: "link" | "copy";
  readonly #environment: Environment;
  readonly #fileSystem: FileSystem;
  readonly #shortCalls: FileSystem;
  readonly #syncs: DirectorySyncs;
  readonly #temporaries: TemporaryFiles;
  readonly #directories = new Map<string, Promise<void>>();
  readonly #folders: RealFolders;
  readonly #directFiles: WholeFiles;
  #realRoot: string | undefined;
  #linkedFiles = 0;
  #copiedFiles = 0;
  constructor(root: string, transfer: "link" | "copy", environment: Environment) {
    this.description = `directory ${root}`;
    this.#root = root;
    this.#transfer = transfer;
    this.#environment = environment;
    this.#fileSystem = environment.fileSystem;
    this.#shortCalls = shortCallsOf(environment.fileSystem);
    this.#syncs = new DirectorySyncs(environment.fileSystem);
    this.#temporaries = new TemporaryFiles(environment);
    this.#folders = new RealFolders(environment.fileSystem);
    this.#directFiles = new DirectWholeFiles(environment.fileSystem);
  }

  async open(): Promise<void> {
    await this.#doing(`create ${this.#root}`, async () => {
      await this.#fileSystem.makeDirectory(this.#root);
      this.#realRoot = await this.#fileSystem.realPath(this.#root); //# fail point: storage.root-made
      await syncWithAncestors(this.#fileSystem, this.#realRoot); //# fail point: storage.root-synced
      await this.#temporaries.note(this.#realRoot);
    });
  }

  async removeUnfinished(): Promise<void> {
    await this.#doing("remove temporary files", () => this.#temporaries.removeNoted());
  }

  async putFile(name: string, localPath: string, options?: PutOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    await this.#doing(`store ${localPath} as ${name}`, async () => {
      const path = await this.#pathForWriting(name);
      await this.#linkOrCopy(localPath, path); //# fail point: storage.file-linked
      await this.#fileSystem.syncFile(path); // S1 //# fail point: storage.file-synced
      await this.#syncs.sync(dirname(path));
    });
    options?.signal?.throwIfAborted();
  }

  async putBytes(name: string, bytes: Uint8Array, options?: PutOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    await this.#doing(`store ${name}`, async () => {
      const path = await this.#pathForWriting(name);
      await writeSynced(this.#fileSystem, path, bytes);
      await this.#syncs.sync(dirname(path));
    });
    options?.signal?.throwIfAborted();
  }

  pathForAppending(name: string): Promise<string> {
    return this.#doing(`begin ${name}`, () => this.#pathForWriting(name));
  }

  async createIfAbsent(
    name: string,
    bytes: Uint8Array,
    after?: ReadAfter,
  ): Promise<"created" | "exists"> {
    if (after !== undefined) checkObjectName(after.name);
    return this.#doing(`create ${name}`, async () => {
      const thenRead = after && {
        path: await this.#pathForReading(after.name),
        maxBytes: after.maxBytes,
      };
      const { outcome, read } = await this.#nameWhole("create", name, bytes, thenRead);
      if (after !== undefined) after.bytes = read;
      return outcome;
    });
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    await this.#doing(`replace ${name}`, () => this.#nameWhole("replace", name, bytes));
  }

  get #wholeFiles(): WholeFiles {
    return wholeFilesByThread(this.#fileSystem) ?? this.#directFiles;
  }

  /** S1, S2 */
  async #nameWhole(
    kind: "create" | "replace",
    name: string,
    bytes: Uint8Array,
    thenRead?: WholeFile["thenRead"],
  ): Promise<Named> {
    const path = await this.#pathForWriting(name);
    const file = { path, temporary: this.#temporaries.beside(path), bytes, thenRead };
    const work = (): Promise<Named> => this.#wholeFiles[kind](file);
    return this.#syncs.withSync(dirname(path), work);
  }

  async read(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    return this.#reading(name, (path) => this.#wholeFiles.read(path, maxBytes));
  }

  async readRange(name: string, offset: number, length: number): Promise<Uint8Array | undefined> {
    const fileSystem = length <= SHORT_RANGE_BYTES ? this.#shortCalls : this.#fileSystem;
    return this.#reading(name, async (path) => {
      const file = await fileSystem.open(path);
      try {
        return await file.read(offset, length);
      } finally {
        await file.close();
      }
    });
  }

  async size(name: string): Promise<number | undefined> {
    return this.#reading(name, async (path) => {
      const stat = await this.#fileSystem.stat(path);
      if (stat === undefined) return undefined;
      if (stat.kind !== "file") throw new StorageError(`${name} is not a regular file`);
      return stat.sizeBytes;
    });
  }

  async fetchFile(name: string, localPath: string, options?: PutOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    checkObjectName(name);
    await this.#doing(`fetch ${name} to ${localPath}`, async () => {
      const path = await this.#pathForReading(name);
      const stat = await this.#shortCalls.stat(path);
      // A hard link to a symbolic link would be one (S3).
      if (stat !== undefined && stat.kind !== "file") {
        throw new StorageError(`${name} is not a regular file`);
      }
      await this.#linkOrCopy(path, localPath); //# fail point: storage.fetched
    });
    options?.signal?.throwIfAborted();
  }

  async canLink(name: string, directory: string): Promise<boolean> {
    checkObjectName(name);
    if (this.#transfer === "copy") return false;
    return this.#doing(`link ${name} into ${directory}`, async () => {
      // Only trying tells: mounts of one file system refuse each other, and so may owners.
      const probe = this.#temporaries.beside(join(directory, "probe"));
      try {
        await this.#fileSystem.link(await this.#pathForReading(name), probe);
      } catch (cause) {
        const code = systemCodeOf(cause) ?? "";
        if (code === "ENOENT" || linkRefusals.has(code)) return false;
        throw cause;
      }
      await this.#fileSystem.unlink(probe);
      return true;
    });
  }

  async delete(names: readonly string[]): Promise<void> {
    for (const name of names) checkObjectName(name);
    const failures: unknown[] = [];
    const directories = new Set<string>();
    await this.#doing(`delete ${names.length} objects`, async () => {
      for (const name of names) {
        const path = await this.#pathForReading(name);
        try {
          await this.#fileSystem.unlink(path);
          directories.add(dirname(path));
        } catch (cause) {
          const code = systemCodeOf(cause);
          if (code !== "ENOENT" && code !== "ENOTDIR") failures.push(cause);
        }
      }
      for (const directory of directories) await this.#syncs.sync(directory); //# fail point: storage.deleted
      if (failures.length > 0) throw failures[0];
    });
  }

  async *list(prefix: string): AsyncIterable<string> {
    checkObjectName(prefix, true);
    const start = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    const pending = [start];
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
      const here = folder;
      const names = await this.#doing(`list ${here}`, () => this.#namesIn(here));
      for (const entry of names) {
        const name = `${folder}${entry}`;
        if (!isObjectName(name)) continue; // Temporary files, and what is not ours.
        const stat = await this.#reading(name, (path) => this.#fileSystem.stat(path));
        if (stat?.kind === "directory") pending.push(`${name}/`);
        else if (stat?.kind === "file" && name.startsWith(prefix)) yield name;
      }
    }
  }

  /** The path of an object, for people and for `restore`. Not part of CheckpointStorage. */
  locate(name: string): string {
    checkObjectName(name);
    return join(this.#root, name);
  }

  /** `<root>/metadata/<number>` names one checkpoint; a root, or its `latest`, the newest. */
  resolvePath(path: string): { readonly storage: CheckpointStorage; readonly name: string } {
    const full = resolve(path);
    const parent = dirname(full);
    const storageAt = (root: string): CheckpointStorage =>
      new FileSystemStorage(root, this.#transfer, this.#environment);
    if (basename(parent) === "metadata") {
      return { storage: storageAt(dirname(parent)), name: `metadata/${basename(full)}` };
    }
    const root = basename(full) === "latest" ? parent : full;
    return { storage: storageAt(root), name: "latest" };
  }

  stats(): StorageStats {
    return { linkedFiles: this.#linkedFiles, copiedFiles: this.#copiedFiles };
  }

  async #linkOrCopy(source: string, path: string): Promise<void> {
    if (this.#transfer === "link") {
      try {
        await this.#shortCalls.link(source, path);
        this.#linkedFiles++;
        return;
      } catch (cause) {
        if (!linkRefusals.has(systemCodeOf(cause) ?? "")) throw cause;
      }
    }
    await this.#fileSystem.copyFile(source, path);
    this.#copiedFiles++;
  }

  async #namesIn(folder: string): Promise<string[]> {
    try {
      return await this.#fileSystem.readDirectory(await this.#pathForReading(folder));
    } catch (cause) {
      if (systemCodeOf(cause) === "ENOENT") return [];
      throw cause;
    }
  }

  /** The path of a name whose directory exists durably. */
  async #pathForWriting(name: string): Promise<string> {
    checkObjectName(name);
    const root = await this.#resolvedRoot();
    const path = join(root, name);
    await this.#ensureDirectory(root, dirname(path)); //# fail point: storage.folder-ensured
    return path;
  }

  async #ensureDirectory(root: string, path: string): Promise<void> {
    if (path === root) return;
    let ensured = this.#directories.get(path);
    if (ensured === undefined) {
      ensured = this.#createDirectory(root, path);
      this.#directories.set(path, ensured);
    }
    try {
      await ensured;
    } catch (cause) {
      this.#directories.delete(path);
      throw cause;
    }
  }

  async #createDirectory(root: string, path: string): Promise<void> {
    await this.#ensureDirectory(root, dirname(path)); //# fail point: storage.folder-ensured-2
    await this.#fileSystem.makeDirectory(path); //# fail point: storage.folder-made
    // Makes sure that it is no symbolic link (S3): makeDirectory accepts one to a directory.
    const stat = await this.#fileSystem.stat(path);
    if (stat?.kind !== "directory") throw new StorageError(`${path} is not a directory`);
    await this.#syncs.sync(dirname(path));
  }

  /** Reading works without `open`, so that it works where nothing may be written. */
  async #resolvedRoot(): Promise<string> {
    this.#realRoot ??= await this.#fileSystem.realPath(this.#root); // S3
    return this.#realRoot;
  }

  /** S3 */
  async #pathForReading(name: string): Promise<string> {
    return this.#folders.pathOf(await this.#resolvedRoot(), name);
  }

  async #reading<T>(
    name: string,
    work: (path: string) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    checkObjectName(name);
    return this.#doing(`read ${name}`, async () => {
      try {
        return await work(await this.#pathForReading(name));
      } catch (cause) {
        const code = systemCodeOf(cause);
        if (code === "ENOENT" || code === "ENOTDIR") return undefined;
        throw cause;
      }
    });
  }

  async #doing<T>(action: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw typedFileError(`${action} in ${this.description}`, cause);
    }
  }
}
