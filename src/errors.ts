// Every error class and code this library can throw. Codes are API, messages are not: a new code
// exists only where a caller would react differently. docs/operations.md says what to do for each.

export type ErrorCode =
  | "VARVE_INVALID_ARGUMENT" // fix the call or the configuration
  | "VARVE_CLOSED" // open a new backend
  | "VARVE_FENCED" // a newer attempt owns this state; stop
  | "VARVE_STORAGE" // I/O failed; repeat the call if `retriable`
  | "VARVE_NO_SPACE" // a disk is full; make room
  | "VARVE_CORRUPTION" // restore an older checkpoint
  | "VARVE_UNSUPPORTED_FORMAT" // use a version that knows the format
  | "VARVE_INCOMPATIBLE_SERIALIZER" // migrate, or use the serializer the state was written with
  | "VARVE_CHECKPOINT_ABORTED" // wait for the next checkpoint
  | "VARVE_CHECKPOINT_NOT_FOUND" // name one that exists, or start anew on purpose
  | "VARVE_POISONED" // close, and restore from the latest checkpoint
  | "VARVE_LOCKED" // another instance uses the working directory
  | "VARVE_BACK_PRESSURE" // await what the message names, then repeat the call
  | "VARVE_INVARIANT"; // a bug in this library; report it

export abstract class StateBackendError extends Error {
  abstract readonly code: ErrorCode;
  /** Whether repeating the same call on the same backend may succeed. */
  readonly retriable: boolean = false;
}

/** The caller passed something this call cannot take. Nothing was changed. */
export class InvalidArgumentError extends StateBackendError {
  override readonly name = "InvalidArgumentError";
  readonly code = "VARVE_INVALID_ARGUMENT";
}

/** The backend, host or iterator was closed. */
export class ClosedError extends StateBackendError {
  override readonly name = "ClosedError";
  readonly code = "VARVE_CLOSED";
}

/** A newer attempt has written checkpoints to this storage: this one must stop. */
export class FencedError extends StateBackendError {
  override readonly name = "FencedError";
  readonly code = "VARVE_FENCED";
}

/** The system refused a file operation. `cause` is the system's error. */
export class StorageError extends StateBackendError {
  override readonly name = "StorageError";
  readonly code = "VARVE_STORAGE";
  override readonly retriable: boolean;

  constructor(message: string, options?: ErrorOptions & { readonly retriable?: boolean }) {
    super(message, options);
    this.retriable = options?.retriable ?? false;
  }
}

export interface NoSpaceErrorOptions extends ErrorOptions {
  readonly neededBytes?: number | undefined;
  readonly availableBytes?: number | undefined;
}

/** A disk or quota is full (ENOSPC, EDQUOT), or would be. */
export class NoSpaceError extends StateBackendError {
  override readonly name = "NoSpaceError";
  readonly code = "VARVE_NO_SPACE";
  override readonly retriable = true;
  /** What the refused call needs, if it was refused before it began. */
  readonly neededBytes: number | undefined;
  /** What there was then. */
  readonly availableBytes: number | undefined;

  constructor(message: string, options?: NoSpaceErrorOptions) {
    super(message, options);
    this.neededBytes = options?.neededBytes;
    this.availableBytes = options?.availableBytes;
  }
}

/** Persisted bytes are not what their page in docs/formats says they must be. */
export class CorruptionError extends StateBackendError {
  override readonly name = "CorruptionError";
  readonly code = "VARVE_CORRUPTION";
  readonly file: string;
  readonly offsetBytes: number;

  constructor(message: string, file: string, offsetBytes: number, options?: ErrorOptions) {
    super(`${message} (${file}, byte ${offsetBytes})`, options);
    this.file = file;
    this.offsetBytes = offsetBytes;
  }
}

/** The bytes are intact, but written in a format this version does not know. */
export class UnsupportedFormatError extends StateBackendError {
  override readonly name = "UnsupportedFormatError";
  readonly code = "VARVE_UNSUPPORTED_FORMAT";
  readonly found: string;
  readonly supported: string;

  constructor(message: string, found: string, supported: string, options?: ErrorOptions) {
    super(`${message}: found ${found}, this version reads ${supported}`, options);
    this.found = found;
    this.supported = supported;
  }
}

/** A state is used with another type or serializer than it was written with. */
export class IncompatibleSerializerError extends StateBackendError {
  override readonly name = "IncompatibleSerializerError";
  readonly code = "VARVE_INCOMPATIBLE_SERIALIZER";
  readonly state: string;
  readonly was: string;
  readonly now: string;

  constructor(state: string, was: string, now: string) {
    super(`state "${state}" was written as ${was} and is used as ${now}`);
    this.state = state;
    this.was = was;
    this.now = now;
  }
}

export type CheckpointAbortReason = "expired" | "declined" | "superseded" | "storage" | "shutdown";

/** One checkpoint did not complete. The job goes on; the next one may succeed. */
export class CheckpointAbortedError extends StateBackendError {
  override readonly name = "CheckpointAbortedError";
  readonly code = "VARVE_CHECKPOINT_ABORTED";
  override readonly retriable = true;
  readonly checkpointId: number;
  readonly reason: CheckpointAbortReason;

  constructor(checkpointId: number, reason: CheckpointAbortReason, options?: ErrorOptions) {
    super(`checkpoint ${checkpointId} was aborted: ${reason}${causeOf(options)}`, options);
    this.checkpointId = checkpointId;
    this.reason = reason;
  }
}

/** The checkpoint to restore does not exist, or none exists at all. */
export class CheckpointNotFoundError extends StateBackendError {
  override readonly name = "CheckpointNotFoundError";
  readonly code = "VARVE_CHECKPOINT_NOT_FOUND";
}

/** An earlier failure left the local state untrustworthy. `cause` is that failure. */
export class PoisonedError extends StateBackendError {
  override readonly name = "PoisonedError";
  readonly code = "VARVE_POISONED";
}

/** Another process, or another backend of this process, uses the working directory. */
export class LockedError extends StateBackendError {
  override readonly name = "LockedError";
  readonly code = "VARVE_LOCKED";
}

/**
 * The disk does not keep up: the write buffer is full, or too many calls are under way. The refused
 * call changed nothing; the message says what to await before it is repeated.
 */
export class BackPressureError extends StateBackendError {
  override readonly name = "BackPressureError";
  readonly code = "VARVE_BACK_PRESSURE";
  override readonly retriable = true;
}

/** This library broke one of its own rules. */
export class InvariantViolation extends StateBackendError {
  override readonly name = "InvariantViolation";
  readonly code = "VARVE_INVARIANT";
}

function causeOf(options: ErrorOptions | undefined): string {
  return options?.cause instanceof Error ? ` (${options.cause.message})` : "";
}
