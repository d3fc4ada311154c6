// Goal: what fails in another thread arrives as the typed error that it was, and says the same.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import * as errors from "../../../src/errors.ts";
import { fromErrorData, toErrorData } from "../../../src/workers/error-data.ts";

const cause = Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO", errno: -5 });

function there(error: unknown): Error & { code?: string; errno?: number } {
  return fromErrorData(structuredClone(toErrorData(error)));
}

describe("an error that went between threads", () => {
  test.each<[string, errors.StateBackendError]>([
    ["NoSpaceError", new errors.NoSpaceError("full", { cause })],
    ["ClosedError", new errors.ClosedError("closed", { cause })],
    ["PoisonedError", new errors.PoisonedError("poisoned", { cause })],
    ["LockedError", new errors.LockedError("locked", { cause })],
    ["InvalidArgumentError", new errors.InvalidArgumentError("wrong", { cause })],
    ["InvariantViolation", new errors.InvariantViolation("broken", { cause })],
    ["StorageError", new errors.StorageError("storage", { cause })],
    ["StorageError", new errors.StorageError("busy", { cause, retriable: true })],
    ["CorruptionError", new errors.CorruptionError("damaged", "000005.ldb", 77, { cause })],
    ["UnsupportedFormatError", new errors.UnsupportedFormatError("metadata", "9", "1", { cause })],
  ])("is the %s that it was", (_name, error) => {
    const other = there(error);
    assert.equal(other.constructor, error.constructor);
    assert.deepEqual(Object.entries(other), Object.entries(error));
    assert.equal(other.message, error.message);
    const why = other.cause as typeof cause;
    assert.deepEqual([why.message, why.code, why.errno], [cause.message, "EIO", -5]);
  });

  test("of the system keeps code and number, of a bug its text", () => {
    const system = there(cause);
    assert.deepEqual([system.message, system.code, system.errno], [cause.message, "EIO", -5]);
    const bug = there(new TypeError("x is not a function"));
    assert.deepEqual([bug.message, "code" in bug], ["x is not a function", false]);
    assert.equal(there("text").message, "text");
  });

  test("of a kind that no thread makes keeps its code and what it said", () => {
    const other = there(new errors.FencedError("a newer attempt"));
    assert.deepEqual([other.code, other.message], ["VARVE_FENCED", "a newer attempt"]);
  });

  test("tells causes four deep, and not for ever", () => {
    let error = new Error("0");
    for (let depth = 1; depth <= 9; depth++) error = new Error(String(depth), { cause: error });
    const messages: string[] = [];
    for (let at: unknown = there(error); at instanceof Error; at = at.cause)
      messages.push(at.message);
    assert.deepEqual(messages, ["9", "8", "7", "6", "5"]);
    assert.equal(there(new Error("a")).cause, undefined);
  });
});
