// The file system of Node, with the modes, flags and sync calls that durability and hostile input
// ask for. Knows no format.
//   F1. Files are 0600 and directories 0700 whatever the umask is.
//   F2. Nothing opened for reading is reached through a symbolic link in its last component, and
//       nothing but a regular file is opened: a pipe would block a thread of the pool for ever.
//   F3. Every descriptor is closed on every path, failed ones included.
import { type Stats, constants } from "node:fs";
import { dirname } from "node:path";
import type { FileStat, FileSystem, ReadableFile, WritableFile } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { type NodeCalls, type NodeHandle, promiseCalls } from "./node-calls.ts";
import { compareNames, systemError } from "./system-error.ts";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const OTHERS_WRITE = 0o022;
const CREATE_FLAGS =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const COPY_PIECE_BYTES = 1_048_576;

class NodeWritableFile implements WritableFile {
  readonly path: string;
  readonly #handle: NodeHandle;
  #isClosed = false;

  constructor(path: string, handle: NodeHandle) {
    this.path = path;
    this.#handle = handle;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      // A write may be short, near a quota for example.
      const { bytesWritten } = await this.#handle.write(bytes, at, bytes.length - at, null);
      at += bytesWritten;
    }
  }

  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async syncData(): Promise<void> {
    await this.#handle.datasync();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#handle.close();
  }
}

class NodeReadableFile implements ReadableFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #handle: NodeHandle;
  #isClosed = false;

  constructor(path: string, sizeBytes: number, handle: NodeHandle) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#handle = handle;
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    // By what is there, not by what was asked: `length` may come from a damaged file.
    const wanted = Math.max(0, Math.min(length, this.sizeBytes - offset));
    const buffer = into?.subarray(0, wanted) ?? new Uint8Array(wanted);
    assert(buffer.length === wanted, "the array to read into is too short");
    let at = 0;
    while (at < wanted) {
      const { bytesRead } = await this.#handle.read(buffer, at, wanted - at, offset + at);
      if (bytesRead === 0) break; // Truncated since it was opened.
      at += bytesRead;
    }
    return at === wanted ? buffer : buffer.subarray(0, at);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#handle.close();
  }
}

const own = new WeakSet<FileSystem>();

/** Whether this is Node's file system itself and no wrapper: any thread may use one of its own then. */
export function isNodeFileSystem(fileSystem: FileSystem): boolean {
  return own.has(fileSystem);
}

export class NodeFileSystem implements FileSystem {
  readonly isNative = true;
  /** Not `#`: wrappers made by Object.create have this one in their prototype. */
  private readonly _calls: NodeCalls;

  constructor(calls: NodeCalls = promiseCalls) {
    this._calls = calls;
    own.add(this);
  }

  async create(path: string): Promise<WritableFile> {
    const handle = await this._calls.open(path, CREATE_FLAGS, FILE_MODE);
    try {
      await settingMode(() => handle.chmod(FILE_MODE)); // F1
    } catch (cause) {
      await handle.close(); // F3
      throw cause;
    }
    return new NodeWritableFile(path, handle);
  }

  async open(path: string): Promise<ReadableFile> {
    const { handle, sizeBytes } = await openRegular(this._calls, path);
    return new NodeReadableFile(path, sizeBytes, handle);
  }

  async readFile(path: string): Promise<Uint8Array> {
    const file = await this.open(path);
    try {
      return await file.read(0, file.sizeBytes);
    } finally {
      await file.close();
    }
  }

  async link(existing: string, path: string): Promise<void> {
    await this._calls.link(existing, path);
  }

  async copyFile(source: string, path: string): Promise<void> {
    await requireRegular(this._calls, source); // F2: copying follows links.
    try {
      await this._calls.copyFile(
        source,
        path,
        constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE,
      );
    } catch (cause) {
      // Some file systems cannot set the copy's mode or attributes; libuv then removes the copy.
      if (!isModeRefusal(cause)) throw cause;
      await this.#copyBytes(source, path);
      return;
    }
    await settingMode(() => this._calls.chmod(path, FILE_MODE)); // F1
  }

  async #copyBytes(source: string, path: string): Promise<void> {
    const from = await this.open(source);
    try {
      const to = await this.create(path);
      try {
        const piece = new Uint8Array(Math.min(COPY_PIECE_BYTES, from.sizeBytes));
        for (let at = 0; at < from.sizeBytes; at += piece.length) {
          await to.write(await from.read(at, piece.length, piece));
        }
      } catch (cause) {
        await this._calls.rm(path, { force: true });
        throw cause;
      } finally {
        await to.close();
      }
    } finally {
      await from.close();
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this._calls.rename(from, to);
  }

  async unlink(path: string): Promise<void> {
    await this._calls.unlink(path);
  }

  async removeTree(path: string): Promise<void> {
    await this._calls.rm(path, { recursive: true, force: true });
  }

  async makeDirectory(path: string): Promise<void> {
    // One by one and not `recursive`, because a narrow umask would lock us out of a parent (F1).
    try {
      await this._calls.mkdir(path, DIRECTORY_MODE);
    } catch (cause) {
      const code = codeOf(cause);
      if (code === "EEXIST" || code === "EISDIR") {
        if ((await this._calls.stat(path)).isDirectory()) return;
        throw cause;
      }
      const parent = dirname(path);
      if (code !== "ENOENT" || parent === path) throw cause;
      await this.makeDirectory(parent);
      await this.makeDirectory(path);
      return;
    }
    await settingMode(() => this._calls.chmod(path, DIRECTORY_MODE));
  }

  async readDirectory(path: string): Promise<string[]> {
    return (await this._calls.readdir(path)).sort(compareNames);
  }

  async stat(path: string): Promise<FileStat | undefined> {
    try {
      const stat = await this._calls.lstat(path);
      const kind = stat.isFile() ? "file" : stat.isDirectory() ? "directory" : "other";
      return { kind, sizeBytes: stat.size, isPrivate: isPrivate(stat) };
    } catch (cause) {
      const code = codeOf(cause);
      if (code === "ENOENT" || code === "ENOTDIR") return undefined;
      throw cause;
    }
  }

  async freeBytes(path: string): Promise<number | undefined> {
    const { blocks, bavail, bsize } = await this._calls.statfs(path);
    return blocks === 0 ? undefined : bavail * bsize; // Some network file systems report no size.
  }

  async realPath(path: string): Promise<string> {
    return await this._calls.realpath(path);
  }

  async syncFile(path: string): Promise<void> {
    const { handle } = await openRegular(this._calls, path);
    await syncAndClose(handle);
  }

  async syncDirectory(path: string): Promise<void> {
    await syncAndClose(await this._calls.open(path, constants.O_RDONLY | constants.O_DIRECTORY));
  }
}

function isPrivate({ uid, mode }: Pick<Stats, "uid" | "mode">): boolean | undefined {
  const user = process.geteuid?.(); // Windows has none.
  return user === undefined ? undefined : uid === user && (mode & OTHERS_WRITE) === 0;
}

async function syncAndClose(handle: NodeHandle): Promise<void> {
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function openRegular(
  calls: NodeCalls,
  path: string,
): Promise<{ handle: NodeHandle; sizeBytes: number }> {
  const handle = await calls.open(path, OPEN_FLAGS);
  try {
    const stat = await handle.stat();
    if (stat.isDirectory()) throw systemError("EISDIR", "open", path);
    if (!stat.isFile()) throw systemError("EINVAL", "open", path);
    return { handle, sizeBytes: stat.size };
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

async function requireRegular(calls: NodeCalls, path: string): Promise<void> {
  const stat = await calls.lstat(path);
  if (stat.isFile()) return;
  const code = stat.isSymbolicLink() ? "ELOOP" : stat.isDirectory() ? "EISDIR" : "EINVAL";
  throw systemError(code, "copyfile", path);
}

/** File systems without modes refuse to set one. What was created has at most the mode asked for. */
async function settingMode(chmod: () => Promise<void>): Promise<void> {
  try {
    await chmod();
  } catch (cause) {
    if (!isModeRefusal(cause)) throw cause;
  }
}

function isModeRefusal(cause: unknown): boolean {
  const code = codeOf(cause);
  return code === "EPERM" || code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENOSYS";
}

function codeOf(cause: unknown): string | undefined {
  return (cause as NodeJS.ErrnoException).code;
}
