import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { MIB, utf8 } from "../../../src/index.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";
import { Workplace, codeOf } from "./fixture.ts";

const text = { name: "text", value: utf8 } as const;

/** Adds a row of 10 kB. */
function add(backend: KeyedStateBackend, key: number): void {
  const state = backend.valueState(text);
  backend.withKey(key, () => state.update(`${key}`.repeat(10_000).slice(0, 10_000)));
}

/** Adds rows from a key on until one is refused. Returns the first key that is not in. */
function fillUp(backend: KeyedStateBackend, first: number = 0): number {
  for (let key = first; key < 100_000; key++) {
    try {
      add(backend, key);
    } catch (error) {
      assert.equal(codeOf(error), "VARVE_BACK_PRESSURE");
      return key;
    }
  }
  return assert.fail("never full");
}

describe("a full memory backend", () => {
  test("refuses the record before it changed anything, and still lists its keys", async () => {
    const backend = await new Workplace().open({ backend: "memory", memoryBudgetBytes: 16 * MIB });
    const full = fillUp(backend);
    assert.ok(full > 1000, `${full} rows`);
    assert.equal(backend.currentKey(), undefined);
    assert.equal(backend.signal.aborted, false);
    assert.equal(backend.stats().bufferedRows, full);
    let count = 0;
    for await (const _ of backend.valueState(text).keys()) count++;
    assert.equal(count, full);
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

  test("has room again once rows are removed, which has to be before it is full", async () => {
    const options = { backend: "memory", memoryBudgetBytes: 16 * MIB } as const;
    const first = await new Workplace().open(options);
    const full = fillUp(first);
    const clear = (backend: KeyedStateBackend, key: number): void => {
      const state = backend.valueState(text);
      backend.withKey(key, () => state.clear());
    };
    // What a record does is not known when its key is set, so a removal is refused like the rest.
    assert.throws(() => clear(first, 0), { code: "VARVE_BACK_PRESSURE" });
    const backend = await new Workplace().open(options);
    for (let key = 0; key < full - 10; key++) add(backend, key);
    const removed = full >> 1;
    for (let key = 0; key < removed; key++) clear(backend, key);
    const again = fillUp(backend, full - 10);
    assert.ok(again - full >= removed * 0.9, `${again - full} rows in the room of ${removed}`);
    assert.equal(backend.signal.aborted, false);
  });
});
