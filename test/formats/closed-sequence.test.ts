import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { encodeClosed, isClosed } from "../../src/format/closed-sequence.ts";

describe("the closing mark", () => {
  const epochId = "0123456789abcdef0123456789abcdef";
  const bytes = encodeClosed(42, epochId);

  test("has these bytes", () => {
    assert.equal(
      Buffer.from(bytes).toString("latin1"),
      `varve-closed-1 0000000042 ${epochId} 46907f2f92caf81d\n`,
    );
  });

  test("is told from everything else", () => {
    assert.ok(isClosed(bytes, 42));
    assert.ok(!isClosed(bytes, 43));
    for (let at = 0; at < bytes.length; at++) {
      const other = Uint8Array.from(bytes);
      other[at]! ^= 1;
      assert.ok(!isClosed(other, 42), `byte ${at}`);
      assert.ok(!isClosed(bytes.subarray(0, at), 42));
    }
    assert.ok(!isClosed(Buffer.concat([bytes, bytes]), 42));
  });
});
