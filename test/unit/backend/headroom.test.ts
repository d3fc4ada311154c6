// Goal: a record that changes more than the write buffer's headroom poisons the backend in its middle,
// with a typed error, and what is restored holds nothing of it (G8).
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { MIB, u32, utf8 } from "../../../src/index.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";
import { Workplace, codeOf, readOne, total, writeAll } from "./fixture.ts";

const big = { name: "big", key: u32, value: utf8 } as const;
const VALUE_BYTES = 400_000;

/** Changes rows within one record until that fails. Returns how many were, and why it failed. */
function overrun(backend: KeyedStateBackend): { readonly puts: number; readonly failure: unknown } {
  const [sum, map] = [backend.valueState(total), backend.mapState(big)];
  let puts = 0;
  try {
    backend.withKey(3, () => {
      sum.update(999);
      for (; puts < 1000; puts++) map.put(puts, String(puts % 10).repeat(VALUE_BYTES));
    });
  } catch (failure) {
    return { puts, failure };
  }
  return assert.fail("a record of 400 MB fits 16 MiB");
}

for (const backendKind of ["lsm", "memory"] as const) {
  describe(`a record larger than the headroom: ${backendKind}`, () => {
    const options = { backend: backendKind, memoryBudgetBytes: 16 * MIB };

    test("poisons, and a restore holds what was before it", async () => {
      const place = new Workplace();
      const backend = await place.open(options);
      writeAll(backend, 100, 1);
      backend.withKey(3, () => backend.mapState(big).put(7, "small"));
      await backend.checkpoint("before");
      writeAll(backend, 100, 2);
      const { puts, failure } = overrun(backend);
      assert.ok(puts > 4, `${puts} rows of 400 kB fitted`);
      assert.equal(codeOf(failure), "VARVE_POISONED");
      assert.equal(codeOf((failure as Error).cause), "VARVE_INVALID_ARGUMENT");
      assert.equal(backend.signal.reason, failure);
      assert.throws(() => backend.setCurrentKey(1), { code: "VARVE_POISONED" });
      await assert.rejects(backend.checkpoint("torn"), { code: "VARVE_POISONED" });
      assert.throws(() => backend.valueState(total).keys(), { code: "VARVE_POISONED" });
      await backend.close();
      const restored = await place.open({ ...options, restore: "latest" });
      assert.equal(restored.restored?.metadata, "before");
      for (let key = 0; key < 100; key++) assert.equal(readOne(restored, key), 1);
      const entries = restored.withKey(3, () => [...restored.mapState(big)]);
      assert.deepEqual(entries, [[7, "small"]]);
      await restored.checkpoint("after");
    });

    test("aborts a checkpoint under way, which holds nothing of it if it completed", async () => {
      const place = new Workplace();
      const backend = await place.open(options);
      writeAll(backend, 100, 1);
      const running = backend.checkpoint("cut before").then(
        () => "completed",
        (error: unknown) => codeOf(error),
      );
      overrun(backend);
      const outcome = await running;
      await backend.close();
      const restored = await place.open(options);
      if (outcome === "completed") assert.equal(readOne(restored, 3), 1);
      else {
        assert.deepEqual([outcome, restored.restored], ["VARVE_POISONED", undefined]);
        assert.equal(readOne(restored, 3), undefined);
      }
      assert.deepEqual(
        restored.withKey(3, () => [...restored.mapState(big)]),
        [],
      );
    });
  });
}
