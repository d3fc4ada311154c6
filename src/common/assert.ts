import { InvariantViolation } from "../errors.ts";

/**
 * Throws when this library is wrong. Never for caller mistakes (InvalidArgumentError), bad bytes
 * (CorruptionError) or I/O (StorageError): those are expected, and have codes of their own.
 *
 * `message` is a constant. A template literal would be built on every call, even when all is well.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) fail(message);
}

/** Reports a state of affairs that no correct run can reach. */
export function fail(message: string): never {
  throw new InvariantViolation(message);
}

/** Ends an exhaustive switch: a missing case no longer compiles. */
export function unreachable(value: never): never {
  fail(`unreachable: ${String(value)}`);
}
