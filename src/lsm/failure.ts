// Failures of LevelDB and of the file system as our typed errors.
import {
  CorruptionError,
  InvariantViolation,
  NoSpaceError,
  StateBackendError,
  StorageError,
} from "../errors.ts";

/** LevelDB passes the system's error on as text only. */
const noSpaceText = /No space left on device|Disk quota exceeded/;

/** A typed error for anything that was thrown while doing `what`; typed ones pass. */
export function typedFailure(error: unknown, what: string): StateBackendError {
  if (error instanceof StateBackendError) return error;
  if (isProgrammingError(error)) {
    return new InvariantViolation(`${what}: ${messageOf(error)}`, { cause: error });
  }
  const message = `${what}: ${deepMessageOf(error)}`;
  const code = levelCodeOf(error);
  if (code === "ENOSPC" || code === "EDQUOT" || noSpaceText.test(message)) {
    return new NoSpaceError(message, { cause: error });
  }
  if (code === "LEVEL_CORRUPTION") {
    return new CorruptionError(message, "a LevelDB database", 0, { cause: error });
  }
  return new StorageError(message, { cause: error });
}

/** `code` of a system error or of LevelDB's, looking through wrappers. */
export function levelCodeOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code: unknown = "code" in at ? at.code : undefined;
    if (at.cause instanceof Error && code === "LEVEL_DATABASE_NOT_OPEN") continue;
    if (typeof code === "string") return code;
  }
  return undefined;
}

function isProgrammingError(error: unknown): boolean {
  return (
    error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
  );
}

function deepMessageOf(error: unknown): string {
  const messages: string[] = [];
  for (let at = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    messages.push(messageOf(at));
  }
  return messages.join(": ");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
