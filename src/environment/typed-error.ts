// Turns what the file system throws into errors of this library, once, at the layer that knows
// what was being done.
import type { FileSystem } from "../api/environment.ts";
import { NoSpaceError, StateBackendError, StorageError } from "../errors.ts";

/** Errors that pass: too many open files, a busy device, a signal. Never those of a sync. */
const passing = new Set(["EMFILE", "ENFILE", "EAGAIN", "EBUSY", "EINTR", "ENOMEM", "ETIMEDOUT"]);

/** The system's code, such as `ENOENT`; undefined if this is no error of the system. */
export function systemCodeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  const { code } = cause as NodeJS.ErrnoException;
  return typeof code === "string" ? code : undefined;
}

/** Whether trying the same operation again may succeed, as far as its code tells. */
export function isPassing(cause: unknown): boolean {
  return passing.has(systemCodeOf(cause) ?? "");
}

/** NoSpaceError or StorageError with `cause`; an error of this library is returned as it is. */
export function typedFileError(action: string, cause: unknown): StateBackendError {
  if (cause instanceof StateBackendError) return cause;
  const code = systemCodeOf(cause);
  const message = `cannot ${action}: ${cause instanceof Error ? cause.message : String(cause)}`;
  if (code === "ENOSPC" || code === "EDQUOT") return new NoSpaceError(message, { cause });
  return new StorageError(message, { cause, retriable: isPassing(cause) });
}

/** Makes a directory, with those above it. What fails is an error of this library. */
export async function makeDirectory(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.makeDirectory(path);
  } catch (cause) {
    throw typedFileError(`create ${path}`, cause);
  }
}

/** Removes a directory and everything in it. What fails is an error of this library. */
export async function removeDirectory(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.removeTree(path);
  } catch (cause) {
    throw typedFileError(`remove ${path}`, cause);
  }
}
