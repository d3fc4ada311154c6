// The calls of Node's `fs` that the file system needs: on libuv's threads, or on the calling one.
//   N1. Both do the same system calls in the same order, and fail with the same errors.
import * as fs from "node:fs";
import * as promises from "node:fs/promises";

/** An open file, or directory. */
export interface NodeHandle {
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: null,
  ): Promise<{ readonly bytesWritten: number }>;
  read(
    into: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  stat(): Promise<fs.Stats>;
  chmod(mode: number): Promise<void>;
  sync(): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/** As in `node:fs/promises`. */
export interface NodeCalls {
  open(path: string, flags: number, mode?: number): Promise<NodeHandle>;
  link(existing: string, path: string): Promise<void>;
  copyFile(source: string, path: string, mode: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rm(path: string, options: fs.RmOptions): Promise<void>;
  mkdir(path: string, mode: number): Promise<unknown>;
  chmod(path: string, mode: number): Promise<void>;
  readdir(path: string): Promise<string[]>;
  stat(path: string): Promise<fs.Stats>;
  lstat(path: string): Promise<fs.Stats>;
  statfs(path: string): Promise<fs.StatsFs>;
  realpath(path: string): Promise<string>;
}

/** Each call is a turn of the event loop, at least. */
export const promiseCalls: NodeCalls = promises;

/**
 * Each call blocks its thread and is over when it returns; a promise that it returns is settled. For a
 * thread that has nothing else to do: a call costs no turn of the event loop.
 */
export const blockingCalls: NodeCalls = {
  open: async (path, flags, mode) => new BlockingHandle(fs.openSync(path, flags, mode)),
  link: async (existing, path) => fs.linkSync(existing, path),
  copyFile: async (source, path, mode) => fs.copyFileSync(source, path, mode),
  rename: async (from, to) => fs.renameSync(from, to),
  unlink: async (path) => fs.unlinkSync(path),
  rm: async (path, options) => fs.rmSync(path, options),
  mkdir: async (path, mode) => fs.mkdirSync(path, mode),
  chmod: async (path, mode) => fs.chmodSync(path, mode),
  readdir: async (path) => fs.readdirSync(path),
  stat: async (path) => fs.statSync(path),
  lstat: async (path) => fs.lstatSync(path),
  statfs: async (path) => fs.statfsSync(path),
  realpath: async (path) => fs.realpathSync.native(path),
};

export class BlockingHandle implements NodeHandle {
  protected readonly _descriptor: number;

  constructor(descriptor: number) {
    this._descriptor = descriptor;
  }

  async write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: null,
  ): Promise<{ readonly bytesWritten: number }> {
    return { bytesWritten: fs.writeSync(this._descriptor, bytes, offset, length, position) };
  }

  async read(
    into: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }> {
    return { bytesRead: fs.readSync(this._descriptor, into, offset, length, position) };
  }

  async stat(): Promise<fs.Stats> {
    return fs.fstatSync(this._descriptor);
  }

  async chmod(mode: number): Promise<void> {
    fs.fchmodSync(this._descriptor, mode);
  }

  async sync(): Promise<void> {
    fs.fsyncSync(this._descriptor);
  }

  async datasync(): Promise<void> {
    fs.fdatasyncSync(this._descriptor);
  }

  async close(): Promise<void> {
    fs.closeSync(this._descriptor);
  }
}
