// A file system in memory that can lose power. Same semantics as the one of Node: one contract
// suite runs on both (test/unit/environment). What a crash leaves is decided in memory-tree.ts.
import { posix } from "node:path";
import type { FileStat, FileSystem, ReadableFile, WritableFile } from "../api/environment.ts";
import { DirectoryNode, FileNode, SymbolicLinkNode } from "./memory-tree.ts";
import type { RandomNumber, TreeNode } from "./memory-tree.ts";
import { compareNames, systemError } from "./system-error.ts";

export type FileOperation =
  Exclude<keyof FileSystem, "isNative" | "stat" | "freeBytes" | "realPath"> | "write" | "sync";

/** Called before or after the operation numbered `index`, counted from 0. May throw. */
export type OperationHook = (operation: FileOperation, path: string, index: number) => void;

export interface MemoryFileSystemOptions {
  /** Called before an operation; what it throws is the operation's failure, without effect. */
  readonly onOperation?: OperationHook | undefined;
  /** Called after an operation took effect; what it throws is reported all the same. */
  readonly afterOperation?: OperationHook | undefined;
}

/**
 * What survives a power loss. `synced-only`: nothing that was not synced. A function, returning
 * numbers from 0 to 1: it decides for each unsynced name and block.
 */
export type CrashMode = "synced-only" | RandomNumber;

const linkDepthMax = 40; // As Linux.

interface Place {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: TreeNode | undefined;
}

export class MemoryFileSystem implements FileSystem {
  readonly isNative = false;
  onOperation: OperationHook | undefined;
  afterOperation: OperationHook | undefined;
  /** What `freeBytes` tells. Nothing is refused for it: throw ENOSPC in `onOperation`. */
  availableBytes: number | undefined = undefined;
  #root = new DirectoryNode();
  #operationCount = 0;

  constructor(options: MemoryFileSystemOptions = {}) {
    this.onOperation = options.onOperation;
    this.afterOperation = options.afterOperation;
  }

  /** Operations so far; looking (`stat`, `freeBytes`, `realPath`) is not counted. */
  get operationCount(): number {
    return this.#operationCount;
  }

  /** A file system as the disk could look after a power loss now. This one goes on unharmed. */
  crash(mode: CrashMode): MemoryFileSystem {
    const survivor = new MemoryFileSystem();
    survivor.#root = this.#root.afterCrash(mode === "synced-only" ? undefined : mode);
    return survivor;
  }

  /** Makes everything durable, as if it had always been there. */
  syncAll(): void {
    this.#root.syncAll();
  }

  /** Replaces a file's bytes behind everybody's back, through all its names. */
  damage(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const file = this.#file(path, "open");
    file.damage(change(file.read(0, file.sizeBytes)));
  }

  /** A symbolic link, durable at once: for tests of hostile directories. */
  symbolicLink(target: string, path: string): void {
    const { directory, name } = this.#vacant(path, "symlink");
    directory.change([[name, new SymbolicLinkNode(target)]]);
    directory.sync();
  }

  async create(path: string): Promise<WritableFile> {
    return this.#operate("create", path, () => {
      const { directory, name } = this.#vacant(path, "open");
      const file = new FileNode();
      directory.change([[name, file]]);
      return this.#writable(path, file);
    });
  }

  async open(path: string): Promise<ReadableFile> {
    return this.#operate("open", path, () => readable(path, this.#file(path, "open")));
  }

  async readFile(path: string): Promise<Uint8Array> {
    return this.#operate("readFile", path, () => {
      const file = this.#file(path, "open");
      return file.read(0, file.sizeBytes);
    });
  }

  async link(existing: string, path: string): Promise<void> {
    this.#operate("link", path, () => {
      const source = this.#present(existing, "link").node;
      const { directory, name } = this.#vacant(path, "link");
      if (source.kind === "directory") throw systemError("EPERM", "link", existing);
      directory.change([[name, source]]);
    });
  }

  async copyFile(source: string, path: string): Promise<void> {
    this.#operate("copyFile", path, () => {
      const file = this.#file(source, "copyfile");
      const { directory, name } = this.#vacant(path, "copyfile");
      const copy = new FileNode();
      copy.append(file.read(0, file.sizeBytes));
      directory.change([[name, copy]]);
    });
  }

  async rename(from: string, to: string): Promise<void> {
    this.#operate("rename", to, () => {
      const source = this.#present(from, "rename");
      const target = this.#place(to, "rename");
      if (source.node === target.node) return; // POSIX: two names of one file both stay.
      if (target.node?.kind === "directory") {
        if (source.node.kind !== "directory") throw systemError("EISDIR", "rename", to);
        if (target.node.entries.size > 0) throw systemError("ENOTEMPTY", "rename", to);
      } else if (source.node.kind === "directory" && target.node !== undefined) {
        throw systemError("ENOTDIR", "rename", to);
      }
      if (source.directory === target.directory) {
        source.directory.change([
          [source.name, undefined],
          [target.name, source.node],
        ]);
      } else {
        target.directory.change([[target.name, source.node]]);
        source.directory.change([[source.name, undefined]]);
      }
    });
  }

  async unlink(path: string): Promise<void> {
    this.#operate("unlink", path, () => {
      const { directory, name, node } = this.#present(path, "unlink");
      if (node.kind === "directory") throw systemError("EISDIR", "unlink", path);
      directory.change([[name, undefined]]);
    });
  }

  async removeTree(path: string): Promise<void> {
    this.#operate("removeTree", path, () => {
      const place = this.#look(path);
      if (place?.node !== undefined) place.directory.change([[place.name, undefined]]);
    });
  }

  async makeDirectory(path: string): Promise<void> {
    this.#operate("makeDirectory", path, () => {
      const parts = partsOf(path);
      for (let count = 1; count <= parts.length; count++) {
        const prefix = `/${parts.slice(0, count).join("/")}`;
        const { directory, name, node } = this.#place(prefix, "mkdir");
        const followed = node?.kind === "link" ? this.#follow(prefix, "mkdir") : node;
        if (followed === undefined) directory.change([[name, new DirectoryNode()]]);
        else if (followed.kind !== "directory") {
          throw systemError(count === parts.length ? "EEXIST" : "ENOTDIR", "mkdir", path);
        }
      }
    });
  }

  async readDirectory(path: string): Promise<string[]> {
    return this.#operate("readDirectory", path, () =>
      [...this.#directory(path, "scandir").entries.keys()].sort(compareNames),
    );
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const node = partsOf(path).length === 0 ? this.#root : this.#look(path)?.node;
    if (node === undefined) return undefined;
    if (node.kind === "file") return { kind: "file", sizeBytes: node.sizeBytes };
    return { kind: node.kind === "directory" ? "directory" : "other", sizeBytes: 0 };
  }

  async freeBytes(path: string): Promise<number | undefined> {
    this.#directory(path, "statfs");
    return this.availableBytes;
  }

  async realPath(path: string): Promise<string> {
    return this.#resolve(path, "realpath", true).path;
  }

  async syncFile(path: string): Promise<void> {
    this.#operate("syncFile", path, () => this.#file(path, "open").sync());
  }

  async syncDirectory(path: string): Promise<void> {
    this.#operate("syncDirectory", path, () => this.#directory(path, "open").sync());
  }

  #operate<T>(operation: FileOperation, path: string, work: () => T): T {
    const index = this.#operationCount++;
    this.onOperation?.(operation, path, index);
    const result = work();
    this.afterOperation?.(operation, path, index);
    return result;
  }

  #writable(path: string, file: FileNode): WritableFile {
    let isClosed = false;
    const checkOpen = (): void => {
      if (isClosed) throw systemError("EBADF", "write", path);
    };
    const sync = async (): Promise<void> => {
      checkOpen();
      this.#operate("sync", path, () => file.sync());
    };
    return {
      path,
      write: async (bytes) => {
        checkOpen();
        this.#operate("write", path, () => file.append(bytes));
      },
      sync,
      syncData: sync,
      close: async () => {
        isClosed = true;
      },
    };
  }

  /** Walks the path, following links in all components but the last, and there if `follow`. */
  #resolve(path: string, syscall: string, follow: boolean): Place & { readonly path: string } {
    let pending = partsOf(path);
    let walked: string[] = [];
    let chain: DirectoryNode[] = [this.#root];
    let depth = 0;
    while (pending.length > 0) {
      const [name = "", ...rest] = pending;
      const directory = chain.at(-1)!;
      const node = directory.entries.get(name);
      const isLast = rest.length === 0;
      if (node?.kind === "link" && (!isLast || follow)) {
        if (++depth > linkDepthMax) throw systemError("ELOOP", syscall, path);
        const target = posix.resolve(`/${walked.join("/")}`, node.target);
        pending = [...partsOf(target), ...rest];
        walked = [];
        chain = [this.#root];
        continue;
      }
      if (isLast && !follow) return { directory, name, node, path: join(walked, name) };
      if (node === undefined) throw systemError("ENOENT", syscall, path);
      if (isLast) return { directory, name, node, path: join(walked, name) };
      if (node.kind !== "directory") throw systemError("ENOTDIR", syscall, path);
      walked.push(name);
      chain.push(node);
      pending = rest;
    }
    return { directory: this.#root, name: "", node: this.#root, path: "/" };
  }

  #place(path: string, syscall: string): Place {
    return this.#resolve(path, syscall, false);
  }

  #follow(path: string, syscall: string): TreeNode {
    return this.#resolve(path, syscall, true).node!;
  }

  #look(path: string): Place | undefined {
    try {
      return this.#place(path, "lstat");
    } catch {
      return undefined; // A missing parent, or one that is a file: nothing has that name.
    }
  }

  #vacant(path: string, syscall: string): Place {
    const place = this.#place(path, syscall);
    if (place.node !== undefined) throw systemError("EEXIST", syscall, path);
    return place;
  }

  #present(path: string, syscall: string): Place & { readonly node: TreeNode } {
    const place = this.#place(path, syscall);
    if (place.node === undefined) throw systemError("ENOENT", syscall, path);
    return { ...place, node: place.node };
  }

  #file(path: string, syscall: string): FileNode {
    const { node } = this.#present(path, syscall);
    if (node.kind === "directory") throw systemError("EISDIR", syscall, path);
    if (node.kind === "link") throw systemError("ELOOP", syscall, path);
    return node;
  }

  #directory(path: string, syscall: string): DirectoryNode {
    const node = this.#follow(path, syscall);
    if (node.kind !== "directory") throw systemError("ENOTDIR", syscall, path);
    return node;
  }
}

function readable(path: string, file: FileNode): ReadableFile {
  let isClosed = false;
  return {
    path,
    sizeBytes: file.sizeBytes,
    read: async (offset, length, into) => {
      if (isClosed) throw systemError("EBADF", "read", path);
      const bytes = file.read(offset, length);
      if (into === undefined) return bytes;
      into.set(bytes);
      return into.subarray(0, bytes.length);
    },
    close: async () => {
      isClosed = true;
    },
  };
}

/** Absolute, with nothing to resolve. */
const plainPath = /^(?:\/[^/.][^/]*)+$/;

function partsOf(path: string): string[] {
  const resolved = plainPath.test(path) ? path : posix.resolve("/", path);
  return resolved.split("/").filter((part) => part !== "");
}

function join(walked: readonly string[], name: string): string {
  return `/${[...walked, name].join("/")}`;
}
