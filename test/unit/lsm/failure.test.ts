// Goal: whatever LevelDB or the file system throws becomes the typed error that says what to do.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import * as errors from "../../../src/errors.ts";
import { levelCodeOf, typedFailure } from "../../../src/lsm/failure.ts";

function coded(message: string, code: unknown, cause?: unknown): Error {
  return Object.assign(new Error(message, cause === undefined ? {} : { cause }), { code });
}

describe("a typed failure", () => {
  test("that is one already stays the same", () => {
    const error = new errors.ClosedError("closed");
    assert.equal(typedFailure(error, "opening"), error);
  });

  test.each([
    ["TypeError", new TypeError("x is not a function")],
    ["RangeError", new RangeError("out of range")],
    ["ReferenceError", new ReferenceError("x is not defined")],
  ])("of a mistake in the program (%s) is a broken invariant", (_name, thrown) => {
    const error = typedFailure(thrown, "draining");
    assert.equal(error.code, "VARVE_INVARIANT");
    assert.equal(error.message, `draining: ${thrown.message}`);
    assert.equal(error.cause, thrown);
  });

  test.each([
    ["ENOSPC", coded("write", "ENOSPC")],
    ["EDQUOT", coded("write", "EDQUOT")],
    ["LevelDB's text", coded("IO error: 000005.log: No space left on device", "LEVEL_IO_ERROR")],
    ["LevelDB's text of a quota", coded("IO error: x: Disk quota exceeded", "LEVEL_IO_ERROR")],
    [
      "the cause's text",
      coded(
        "not open",
        "LEVEL_DATABASE_NOT_OPEN",
        coded("x: No space left on device", "LEVEL_IO_ERROR"),
      ),
    ],
  ])("of a full disk (%s) says so", (_name, thrown) => {
    const error = typedFailure(thrown, "writing");
    assert.equal(error.code, "VARVE_NO_SPACE");
    assert.match(error.message, /^writing: /);
  });

  test("of LevelDB's damage is corruption", () => {
    const thrown = coded("Corruption: bad record", "LEVEL_CORRUPTION");
    const hidden = coded("Database failed to open", "LEVEL_DATABASE_NOT_OPEN", thrown);
    for (const one of [thrown, hidden]) {
      const error = typedFailure(one, "reading");
      assert.equal(error.code, "VARVE_CORRUPTION");
      assert.match(error.message, /Corruption: bad record/);
    }
  });

  test.each([
    ["an error of the system", coded("EIO: i/o error", "EIO"), "writing: EIO: i/o error"],
    ["text", "gone", "writing: gone"],
    ["nothing", undefined, "writing: "],
    ["an error whose cause is text", new Error("a", { cause: "b" }), "writing: a: b"],
  ])("of %s is one of storage", (_name, thrown, message) => {
    const error = typedFailure(thrown, "writing");
    assert.equal(error.code, "VARVE_STORAGE");
    assert.equal(error.message, message);
  });
});

describe("the code of a failure", () => {
  test("is that of the first error that has one, LevelDB's wrapper apart", () => {
    const io = coded("io", "EIO");
    assert.equal(levelCodeOf(io), "EIO");
    assert.equal(levelCodeOf(new Error("a", { cause: io })), "EIO");
    assert.equal(levelCodeOf(coded("not open", "LEVEL_DATABASE_NOT_OPEN", io)), "EIO");
    assert.equal(levelCodeOf(coded("b", "ENOENT", io)), "ENOENT");
    assert.equal(
      levelCodeOf(coded("not open", "LEVEL_DATABASE_NOT_OPEN")),
      "LEVEL_DATABASE_NOT_OPEN",
    );
  });

  test("is none where nobody gave one", () => {
    for (const one of [
      undefined,
      "text",
      new Error("a"),
      coded("b", 5),
      new Error("c", { cause: "d" }),
    ]) {
      assert.equal(levelCodeOf(one), undefined);
    }
  });
});
