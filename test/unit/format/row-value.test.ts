import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { RowKind, checkRowHeader } from "../../../src/format/row-value.ts";

describe("a stored row", () => {
  test("has one of the kinds of the page, which are never renumbered", () => {
    assert.deepEqual(RowKind, {
      value: 1,
      listPacked: 2,
      listDirectory: 3,
      listChunk: 4,
      mapPacked: 5,
      mapRoot: 6,
      mapLeaf: 7,
      mapInner: 8,
    });
    for (const kind of Object.values(RowKind))
      assert.equal(checkRowHeader(Uint8Array.of(kind)), kind);
  });

  test("of a kind that later versions may add is refused as an unknown format", () => {
    for (const header of [0, 9, 15, 16, 0x71, 0x81, 0xff]) {
      const check = (): unknown => checkRowHeader(Uint8Array.of(header, 0));
      assert.throws(check, { code: "VARVE_UNSUPPORTED_FORMAT" }, String(header));
    }
    assert.throws(() => checkRowHeader(new Uint8Array(0)), { code: "VARVE_CORRUPTION" });
  });
});
