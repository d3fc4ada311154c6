// Watches the file system of a storage and fails when the order of its calls is one that a crash, or another
// owner, would find wrong (docs/guarantees.md). An environment around another one.
//   R1. Metadata gets its name after each file that it names is there, synced, and its name is; of a
//       segment that others go on appending to, as far as the metadata names it.
//   R2. No file is deleted that a checkpoint with metadata names.
//   R3. No object is written twice under one name, but for the hint.
//   R5. No segment is deleted that a checkpoint with metadata names: R2 of segments.
//   R6. No table gets another name, for a checkpoint, that MANIFEST of its database never named: it may not be
//       whole. A real database is captured by a thread, which no wrapper sees: there C1 of src/lsm/capture.ts holds.
//   R7. Nobody opens, links or copies LevelDB's LOCK.
//   R8. Nothing is touched outside the given roots.
// R4, that output is committed after metadata, is seen in the output itself (test/reliability/crash).
import assert from "node:assert/strict";
import { posix } from "node:path";
import { decodeFileList } from "../../src/format/file-list.ts";
import { loadFrameChecksum } from "../../src/format/frame-checksum.ts";
import { decodeMetadata } from "../../src/format/metadata.ts";
import type { Environment, FileSystem, WritableFile } from "../../src/index.ts";
import { loadCodec } from "../../src/workers/codec.ts";
import { isNamedByManifest } from "./linked-tables.ts";

const metadataPattern = /^(.*)\/metadata\/\d{10}$/;
const objectPattern = /\/(files\/[0-9a-f]{32}|metadata\/\d{10})$/;
const filePattern = /^(.*)\/files\/([0-9a-f]{32})$/;

/** What a path's file and its name are known to be. */
interface Tracked {
  /** How long it is, and how much of that is synced; other names of the file share it. */
  file: { bytes: number; syncedBytes: number };
  isNamed: boolean;
}

/** Told besides the caller, who may take it for a failure of the disk and go on. */
type OnViolation = (error: Error) => void;

/** Nobody can go on after it: whichever test or part runs, it fails. */
const endLoudly: OnViolation = (error) => {
  queueMicrotask(() => {
    throw error;
  });
};

class OrderChecker {
  readonly #inner: FileSystem;
  readonly #roots: readonly string[];
  readonly #tracked = new Map<string, Tracked>();
  /** Of directories: what was given names there since they were synced last. */
  readonly #unnamed = new Map<string, Tracked[]>();
  /** Metadata to the files that it names. */
  readonly #named = new Map<string, readonly string[]>();

  /** What was opened: files of earlier owners among it. */
  readonly seen: Set<string> = new Set();

  readonly #onViolation: OnViolation;

  constructor(inner: FileSystem, roots: readonly string[], onViolation: OnViolation) {
    this.#inner = inner;
    this.#roots = roots;
    this.#onViolation = onViolation;
  }

  #require(condition: boolean, message: string): void {
    if (condition) return;
    const error = new assert.AssertionError({ message });
    this.#onViolation(error);
    throw error;
  }

  touch(path: string): void {
    const isInside = this.#roots.some((root) => path === root || path.startsWith(`${root}/`));
    this.#require(isInside, `R8: ${path} is outside`);
    this.#require(posix.basename(path) !== "LOCK", `R7: ${path}`);
  }

  created(path: string): void {
    const isAgain = objectPattern.test(path) && this.#tracked.has(path);
    this.#require(!isAgain, `R3: ${path} is written twice`);
    this.#track(path, { bytes: 0, syncedBytes: -1 });
  }

  #track(path: string, file: Tracked["file"]): void {
    const tracked = { file, isNamed: false };
    this.#tracked.set(path, tracked);
    const directory = posix.dirname(path);
    const unnamed = this.#unnamed.get(directory);
    if (unnamed === undefined) this.#unnamed.set(directory, [tracked]);
    else unnamed.push(tracked);
  }

  written(path: string, bytes: number): void {
    const known = this.#tracked.get(path);
    if (known !== undefined) known.file.bytes += bytes;
  }

  /** Up to so many bytes: those that were written when the call began. */
  synced(path: string, bytes: number): void {
    const known = this.#tracked.get(path);
    if (known === undefined) return;
    known.file.syncedBytes = Math.max(known.file.syncedBytes, bytes);
  }

  bytesOf(path: string): number {
    return this.#tracked.get(path)?.file.bytes ?? 0;
  }

  directorySynced(path: string): void {
    for (const known of this.#unnamed.get(path) ?? []) known.isNamed = true;
    this.#unnamed.delete(path);
  }

  /** R6, before the table is given it. */
  async namingTable(existing: string): Promise<void> {
    const isNamed = await isNamedByManifest(this.#inner, existing);
    this.#require(isNamed, `R6: ${existing} is linked, and MANIFEST never named it`);
  }

  linked(from: string, to: string): void {
    const isAgain = objectPattern.test(to) && this.#tracked.has(to);
    this.#require(!isAgain, `R3: ${to} is written twice`);
    const file = this.#tracked.get(from)?.file ?? { bytes: 0, syncedBytes: 0 }; // There before all this.
    this.#track(to, file);
  }

  moved(from: string, to: string): void {
    const known = this.#tracked.get(from);
    this.#tracked.delete(from);
    if (known !== undefined) this.#track(to, known.file);
  }

  /** R1, before the name is given. The files that it names. */
  async beforeMetadata(bytes: Uint8Array, path: string): Promise<readonly string[]> {
    const [, root = ""] = metadataPattern.exec(path) ?? [];
    if (!Buffer.from(bytes.subarray(0, 8)).equals(Buffer.from("VARVECHK"))) return [];
    const files = await this.#filesOf(bytes, root, path);
    for (const [file, namedBytes] of files) {
      const known = this.#tracked.get(file);
      if (known === undefined) continue; // Of an earlier owner: it was there when this one began.
      const { bytes: length, syncedBytes } = known.file;
      this.#require(
        syncedBytes >= (namedBytes ?? length),
        `R1: ${path} names ${file}, which is not synced`,
      );
      this.#require(known.isNamed, `R1: ${path} names ${file}, whose name is not synced`);
    }
    return [...files.keys()];
  }

  metadataNamed(path: string, files: readonly string[]): void {
    this.#named.set(path, files);
  }

  /** Paths, with the bytes of each that the metadata names; undefined: all. */
  async #filesOf(
    bytes: Uint8Array,
    root: string,
    path: string,
  ): Promise<ReadonlyMap<string, number | undefined>> {
    const checksum = await loadFrameChecksum();
    const tools = { checksum, codec: loadCodec() };
    const { handles } = decodeMetadata(bytes, checksum, path);
    const files = new Map<string, number | undefined>();
    const add = (id: string, namedBytes?: number): void => {
      files.set(`${root}/files/${id}`, namedBytes);
    };
    for (const { base, log } of handles) {
      add(base.fileList.id);
      for (const { id, lengthBytes } of log?.segments ?? []) add(id, lengthBytes);
      const list = await this.#listIn(`${root}/files/${base.fileList.id}`, path);
      if (list === undefined) continue;
      for (const { id } of decodeFileList(list, tools, base.fileList.id).files) add(id);
    }
    return files;
  }

  /** Undefined if a later owner has deleted it: what a paused one then creates is fenced. */
  async #listIn(listPath: string, path: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#inner.readFile(listPath);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      const wasThere = this.#tracked.has(listPath) || this.seen.has(listPath);
      this.#require(wasThere, `R1: ${path} names ${listPath}, which was never there`);
      return undefined;
    }
  }

  /** R2, before the name goes. */
  async unlinking(path: string): Promise<void> {
    if (metadataPattern.test(path)) this.#named.delete(path);
    if (!filePattern.test(path)) return;
    for (const [metadata, files] of this.#named) {
      if (!files.includes(path)) continue;
      const isGone = (await this.#inner.stat(metadata)) === undefined; // By another owner.
      this.#require(isGone, `R2: ${path} is deleted, and ${metadata} names it`);
    }
  }

  watched(file: WritableFile): WritableFile {
    const sync = async (work: () => Promise<void>): Promise<void> => {
      const bytes = this.bytesOf(file.path);
      await work();
      this.synced(file.path, bytes);
    };
    return {
      path: file.path,
      write: (bytes) => {
        this.written(file.path, bytes.length);
        return file.write(bytes);
      },
      sync: () => sync(() => file.sync()),
      syncData: () => sync(() => file.syncData()),
      close: () => file.close(),
    };
  }
}

/** The environment, with an order of calls that is checked. `roots`: where it may do anything. */
export function orderChecked(
  environment: Environment,
  roots: readonly string[],
  onViolation: OnViolation = endLoudly,
): Environment {
  const inner = environment.fileSystem;
  const checker = new OrderChecker(inner, roots, onViolation);
  const checked: Partial<FileSystem> = {
    async create(path) {
      checker.touch(path);
      const file = await inner.create(path);
      checker.created(path);
      return checker.watched(file);
    },
    async link(existing, path) {
      checker.touch(existing);
      checker.touch(path);
      // A name that is taken gives no new one: the call fails, as it has to.
      const isGiven = metadataPattern.test(path) && (await inner.stat(path)) === undefined;
      const bytes = isGiven ? await inner.readFile(existing) : undefined;
      const files = bytes && (await checker.beforeMetadata(bytes, path));
      await checker.namingTable(existing);
      await inner.link(existing, path);
      checker.linked(existing, path);
      if (files !== undefined) checker.metadataNamed(path, files);
    },
    async copyFile(source, path) {
      checker.touch(source);
      checker.touch(path);
      await checker.namingTable(source);
      await inner.copyFile(source, path);
      checker.created(path);
    },
    async rename(from, to) {
      checker.touch(from);
      checker.touch(to);
      await inner.rename(from, to);
      checker.moved(from, to);
    },
    async unlink(path) {
      checker.touch(path);
      await checker.unlinking(path);
      await inner.unlink(path);
    },
    async open(path) {
      checker.touch(path);
      const file = await inner.open(path);
      checker.seen.add(path);
      return file;
    },
    async syncFile(path) {
      const bytes = checker.bytesOf(path);
      await inner.syncFile(path);
      checker.synced(path, bytes);
    },
    async syncDirectory(path) {
      await inner.syncDirectory(path);
      checker.directorySynced(path);
    },
  };
  const fileSystem = new Proxy(inner, {
    get(target, name) {
      const key = name as keyof FileSystem;
      const value: unknown = checked[key] ?? target[key];
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { ...environment, fileSystem };
}
