// Goal: pieces hold what was written, whatever its sizes, and memory that is used again shows nothing of before.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { PieceWriter } from "../../../src/changelog/piece-writer.ts";
import { MIB } from "../../../src/index.ts";

function write(out: PieceWriter, length: number, value: number): void {
  out.reserve(length);
  const { current, offset } = out;
  current.fill(value, offset, offset + length);
  out.advanceTo(offset + length);
}

function all(out: PieceWriter): Buffer {
  return Buffer.concat([...out.handOut()]);
}

describe("a piece writer", () => {
  test("keeps the order of what is written and of what is filled in later", () => {
    const out = new PieceWriter();
    const head = out.skip(4);
    write(out, 3, 1);
    out.skip(2).fill(2);
    head.fill(9);
    assert.deepEqual([...all(out)], [9, 9, 9, 9, 1, 1, 1, 2, 2]);
  });

  test("begins a piece where one is full, also for what is longer than any", () => {
    const out = new PieceWriter();
    const expected: Buffer[] = [];
    for (const [value, length] of [1.5 * MIB, 1.5 * MIB, 10, 5 * MIB, 10].entries()) {
      write(out, length, value);
      expected.push(Buffer.alloc(length, value));
    }
    assert.ok(out.handOut().length >= 3);
    assert.ok(all(out).equals(Buffer.concat(expected)));
  });

  test("begins with nothing after a release", () => {
    const out = new PieceWriter();
    write(out, 100, 1);
    out.release();
    assert.equal(all(out).length, 0);
    assert.throws(() => write(out, 3, 2), { code: "VARVE_INVARIANT" }); // They are being read.
    out.release();
    write(out, 3, 2);
    assert.deepEqual([...all(out)], [2, 2, 2]);
  });
});
