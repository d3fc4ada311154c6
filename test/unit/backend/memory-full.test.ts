import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { MIB, utf8 } from "../../../src/index.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";
import { Workplace, codeOf } from "./fixture.ts";

const text = { name: "text", value: utf8 } as const;

/** Adds rows of 10 kB until one is refused. Returns the first key that is not in. */
function fillUp(backend: KeyedStateBackend): number {
  const state = backend.valueState(text);
  for (let key = 0; key < 100_000; key++) {
    try {
      backend.withKey(key, () => state.update(`${key}`.repeat(10_000).slice(0, 10_000)));
    } catch (error) {
      assert.equal(codeOf(error), "VARVE_BACK_PRESSURE");
      return key;
    }
  }
  return assert.fail("never full");
}

describe("a full memory backend", () => {
  test("refuses the record before it changed anything, and serves what it has", async () => {
    const backend = await new Workplace().open({ backend: "memory", memoryBudgetBytes: 16 * MIB });
    const full = fillUp(backend);
    assert.ok(full > 1000, `${full} rows`);
    assert.equal(backend.currentKey(), undefined);
    assert.equal(backend.signal.aborted, false);
    assert.equal(backend.stats().bufferedRows, full);
  });

  test("still takes checkpoints, which restore with a larger budget and not with a smaller", async () => {
    const place = new Workplace();
    const backend = await place.open({ backend: "memory", memoryBudgetBytes: 32 * MIB });
    const full = fillUp(backend);
    await backend.checkpoint();
    await backend.close();
    const small = place.open({ backend: "memory", memoryBudgetBytes: 16 * MIB, restore: "latest" });
    await assert.rejects(small, { code: "VARVE_INVALID_ARGUMENT" });
    const large = await place.open({
      backend: "memory",
      memoryBudgetBytes: 64 * MIB,
      restore: "latest",
    });
    const state = large.valueState(text);
    for (const key of [0, full - 1]) {
      assert.equal(large.withKey(key, () => state.value())?.length, 10_000);
    }
    assert.equal(
      large.withKey(full, () => state.value()),
      undefined,
    );
  });

  test("has room again once rows are removed", async () => {
    const backend = await new Workplace().open({ backend: "memory", memoryBudgetBytes: 16 * MIB });
    const state = backend.valueState(text);
    const full = fillUp(backend);
    // The room a record may always use is there for removals, one at a time.
    const removable = full >> 1;
    backend.snapshot(1).result.catch(() => undefined);
    await backend.drained();
    const isFull = (): boolean => {
      try {
        backend.setCurrentKey(0);
        return false;
      } catch {
        return true;
      }
    };
    if (isFull()) return; // Nothing can be set: a larger budget or the lsm backend is the way out.
    for (let key = 0; key < removable; key++) backend.withKey(key, () => state.clear());
    assert.equal(isFull(), false);
  });
});
