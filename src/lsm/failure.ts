// Failures of LevelDB and of the file system as our typed errors, and as plain data: properties of
// errors do not survive the way between threads.
import { unreachable } from "../common/assert.ts";
import {
  ClosedError,
  CorruptionError,
  InvalidArgumentError,
  InvariantViolation,
  LockedError,
  NoSpaceError,
  PoisonedError,
  StateBackendError,
  StorageError,
  UnsupportedFormatError,
} from "../errors.ts";
import type { ErrorCode } from "../errors.ts";

export interface FailureData {
  readonly code: ErrorCode;
  readonly message: string;
  /** `code` of the system's error, if that is the cause. */
  readonly systemCode?: string | undefined;
  readonly causeMessage?: string | undefined;
  /** Where the damage is, of a CorruptionError. */
  readonly file?: string | undefined;
  readonly offsetBytes?: number | undefined;
}

/** LevelDB passes the system's error on as text only. */
const noSpaceText = /No space left on device|Disk quota exceeded/;

/** A typed error for anything that was thrown while doing `what`; typed ones pass. */
export function typedFailure(error: unknown, what: string): StateBackendError {
  if (error instanceof StateBackendError) return error;
  if (isProgrammingError(error)) {
    return new InvariantViolation(`${what}: ${messageOf(error)}`, { cause: error });
  }
  const message = `${what}: ${deepMessageOf(error)}`;
  const code = systemCodeOf(error);
  if (code === "ENOSPC" || code === "EDQUOT" || noSpaceText.test(message)) {
    return new NoSpaceError(message, { cause: error });
  }
  if (code === "LEVEL_CORRUPTION") {
    return new CorruptionError(message, "a LevelDB database", 0, { cause: error });
  }
  return new StorageError(message, { cause: error });
}

export function describeFailure(error: StateBackendError): FailureData {
  const located = error instanceof CorruptionError ? error : undefined;
  return {
    code: error.code,
    message: error.message,
    systemCode: systemCodeOf(error.cause),
    causeMessage: error.cause === undefined ? undefined : deepMessageOf(error.cause),
    file: located?.file,
    offsetBytes: located?.offsetBytes,
  };
}

export function rebuildFailure(data: FailureData): StateBackendError {
  const { message } = data;
  const options = data.causeMessage === undefined ? {} : { cause: rebuiltCause(data) };
  switch (data.code) {
    case "VARVE_NO_SPACE":
      return new NoSpaceError(message, options);
    case "VARVE_CLOSED":
      return new ClosedError(message, options);
    case "VARVE_POISONED":
      return new PoisonedError(message, options);
    case "VARVE_LOCKED":
      return new LockedError(message, options);
    case "VARVE_INVALID_ARGUMENT":
      return new InvalidArgumentError(message, options);
    case "VARVE_INVARIANT":
      return new InvariantViolation(message, options);
    case "VARVE_UNSUPPORTED_FORMAT":
      return new UnsupportedFormatError(message, "another version", "its own", options);
    case "VARVE_CORRUPTION":
      return new CorruptionError(message, data.file ?? "", data.offsetBytes ?? 0, options);
    case "VARVE_STORAGE":
    case "VARVE_FENCED":
    case "VARVE_INCOMPATIBLE_SERIALIZER":
    case "VARVE_CHECKPOINT_ABORTED":
    case "VARVE_CHECKPOINT_NOT_FOUND":
    case "VARVE_BACK_PRESSURE":
      return new StorageError(message, options); // Only the first is ever sent.
    default:
      return unreachable(data.code);
  }
}

/** `code` of a system error or of LevelDB's, looking through wrappers. */
export function systemCodeOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code: unknown = "code" in at ? at.code : undefined;
    if (at.cause instanceof Error && code === "LEVEL_DATABASE_NOT_OPEN") continue;
    if (typeof code === "string") return code;
  }
  return undefined;
}

function rebuiltCause(data: FailureData): Error {
  const cause = new Error(data.causeMessage);
  if (data.systemCode !== undefined) Object.assign(cause, { code: data.systemCode });
  return cause;
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
