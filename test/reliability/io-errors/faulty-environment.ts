// An environment whose N-th call of the file system fails: before it takes effect, or after.
import type { Environment, FileSystem, ReadableFile, WritableFile } from "../../../src/index.ts";

export const ERROR_CODES = [
  "EIO",
  "ENOSPC",
  "EDQUOT",
  "EMFILE",
  "EACCES",
  "EROFS",
  "EXDEV",
  "EMLINK",
  "EBUSY",
  "ETIMEDOUT",
] as const;

export interface Fault {
  /** Counted from 0. */
  readonly call: number;
  readonly code: string;
  /** Every call from it on. */
  readonly isForEver: boolean;
  /** The call has taken effect: its outcome is not known. */
  readonly isAfter: boolean;
}

export interface FaultyEnvironment {
  readonly environment: Environment;
  /** Undefined: nothing fails any more. */
  fault: Fault | undefined;
  /** Calls so far, and what failed. */
  readonly calls: number;
  readonly failed: readonly string[];
}

/** Looking at one path is not counted: it answers, or the path is not there. */
const uncounted: ReadonlySet<keyof FileSystem> = new Set(["isNative", "realPath", "freeBytes"]);

export function faultyEnvironment(inner: Environment): FaultyEnvironment {
  let calls = 0;
  const failed: string[] = [];
  const operate = async <R>(
    what: string,
    work: () => Promise<R>,
    undo: (result: R) => Promise<void> = async () => undefined,
  ): Promise<R> => {
    const call = calls++;
    const { fault } = faulty;
    const isHit =
      fault !== undefined && (fault.isForEver ? call >= fault.call : call === fault.call);
    if (!isHit) return work();
    if (fault.isAfter) await undo(await work());
    failed.push(what);
    throw Object.assign(new Error(`${fault.code}: ${what}`), { code: fault.code });
  };
  const writable = (file: WritableFile): WritableFile => ({
    path: file.path,
    write: (bytes) => operate(`write ${file.path}`, () => file.write(bytes)),
    sync: () => operate(`sync ${file.path}`, () => file.sync()),
    syncData: () => operate(`syncData ${file.path}`, () => file.syncData()),
    close: () => file.close(),
  });
  const readable = (file: ReadableFile): ReadableFile => ({
    path: file.path,
    sizeBytes: file.sizeBytes,
    read: (...call) => operate(`read ${file.path}`, () => file.read(...call)),
    close: () => file.close(),
  });
  const { fileSystem: target } = inner;
  const fileSystem = new Proxy({} as FileSystem, {
    get(_self, name: keyof FileSystem) {
      const value: unknown = target[name];
      if (typeof value !== "function") return value;
      const method = (value as (...call: unknown[]) => Promise<unknown>).bind(target);
      if (uncounted.has(name)) return method;
      const run = async (call: readonly unknown[]): Promise<unknown> => {
        const result = await method(...call);
        if (name === "create") return writable(result as WritableFile);
        return name === "open" ? readable(result as ReadableFile) : result;
      };
      // An open file that nobody is told of would stay open.
      const isOpening = name === "create" || name === "open";
      const undo = async (result: unknown): Promise<void> => {
        if (isOpening) await (result as ReadableFile | WritableFile).close();
      };
      return (...call: readonly unknown[]) =>
        operate(`${name} ${call.join(" ")}`, () => run(call), undo);
    },
  });
  const faulty: FaultyEnvironment & { fault: Fault | undefined } = {
    environment: { ...inner, fileSystem },
    fault: undefined,
    get calls() {
      return calls;
    },
    failed,
  };
  return faulty;
}
