// Errors on their way between threads. Structured cloning loses their classes and fields, so they
// cross as data and are rebuilt.
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
import { systemCodeOf } from "../environment/typed-error.ts";

export interface ErrorData {
  /** Code of this library, or of the system; undefined for any other error. */
  readonly code: string | undefined;
  readonly message: string;
  readonly retriable: boolean;
  readonly file: string | undefined;
  readonly offsetBytes: number | undefined;
  readonly found: string | undefined;
  readonly supported: string | undefined;
  readonly errno: number | undefined;
  readonly cause: ErrorData | undefined;
}

interface ErrorFields {
  readonly file?: string;
  readonly offsetBytes?: number;
  readonly found?: string;
  readonly supported?: string;
  readonly errno?: number;
}

const causeDepthMax = 4;

export function toErrorData(error: unknown, depth: number = 0): ErrorData {
  const fields = error as ErrorFields;
  const isError = error instanceof Error;
  return {
    code: systemCodeOf(error),
    message: isError ? error.message : String(error),
    retriable: error instanceof StateBackendError && error.retriable,
    file: isError ? fields.file : undefined,
    offsetBytes: isError ? fields.offsetBytes : undefined,
    found: isError ? fields.found : undefined,
    supported: isError ? fields.supported : undefined,
    errno: isError ? fields.errno : undefined,
    cause:
      isError && error.cause !== undefined && depth < causeDepthMax
        ? toErrorData(error.cause, depth + 1)
        : undefined,
  };
}

/** The error again. One that is not of this library is one of the system, or a bug. */
export function fromErrorData(data: ErrorData): Error {
  const error = construct(data);
  error.message = data.message; // Constructors add to it, and have done so on the other side.
  return error;
}

function construct(data: ErrorData): Error {
  const options = data.cause === undefined ? {} : { cause: fromErrorData(data.cause) };
  switch (data.code) {
    case "VARVE_CORRUPTION":
      return new CorruptionError("", data.file ?? "", data.offsetBytes ?? 0, options);
    case "VARVE_UNSUPPORTED_FORMAT":
      return new UnsupportedFormatError("", data.found ?? "", data.supported ?? "", options);
    case "VARVE_STORAGE":
      return new StorageError("", { ...options, retriable: data.retriable });
    case "VARVE_NO_SPACE":
      return new NoSpaceError("", options);
    case "VARVE_INVALID_ARGUMENT":
      return new InvalidArgumentError("", options);
    case "VARVE_CLOSED":
      return new ClosedError("", options);
    case "VARVE_POISONED":
      return new PoisonedError("", options);
    case "VARVE_LOCKED":
      return new LockedError("", options);
    case "VARVE_INVARIANT":
      return new InvariantViolation("", options);
    case undefined:
    default: {
      const error = new Error("", options);
      if (data.code === undefined) return error;
      return Object.assign(error, { code: data.code, errno: data.errno });
    }
  }
}
