// Goal: what keys() pins is given back, however its iterator is treated, and is bounded until then.
// Method: the folders of enumerations in the working directory are what an iterator holds on to.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { describe, test } from "vitest";
import { ENUMERATIONS_MAX } from "../../../src/backend/enumerations.ts";
import type { Key, ValueState } from "../../../src/index.ts";
import { Workplace, codeOf, total, writeAll } from "./fixture.ts";

/** Folders that enumerations have in the working directory. */
function heldBy(place: Workplace): string[] {
  return readdirSync(place.workingDirectory).filter((name) => /^(scan|view)-/.test(name));
}

/** Folders go in the background: awaits that at most `most` are left. */
async function untilHeldAtMost(place: Workplace, most: number): Promise<void> {
  for (let turn = 0; heldBy(place).length > most; turn++) {
    assert.ok(turn < 1000, `${heldBy(place).length} folders are left`);
    await delay(5);
  }
}

/** keys() as a user calls it who heeds back-pressure. */
async function keysOf(state: ValueState<number>): Promise<AsyncIterableIterator<Key>> {
  for (let turn = 0; turn < 1000; turn++) {
    try {
      return state.keys();
    } catch (error) {
      assert.equal(codeOf(error), "VARVE_BACK_PRESSURE");
      await delay(5);
    }
  }
  return assert.fail("nothing is given back");
}

async function countOf(keys: AsyncIterable<Key>): Promise<number> {
  let count = 0;
  for await (const _ of keys) count++;
  return count;
}

for (const backendKind of ["lsm", "memory"] as const) {
  describe(`an enumeration: ${backendKind}`, () => {
    test("that is returned before it was begun gives back what it holds", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      writeAll(backend, 100, 1);
      const keys = backend.valueState(total).keys();
      await keys.return?.();
      assert.deepEqual(heldBy(place), []);
      assert.deepEqual(await keys.next(), { done: true, value: undefined });
    });

    test("that fails or ends gives back what it holds", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      writeAll(backend, 100, 1);
      const state = backend.valueState(total);
      assert.equal(await countOf(state.keys()), 100);
      await assert.rejects(async () => {
        for await (const _ of state.keys()) throw new Error("the loop's own");
      }, /own/);
      assert.deepEqual(heldBy(place), []);
    });

    test("that was dropped is ended by newer ones, which are whole", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      const state = backend.valueState(total);
      writeAll(backend, 100, 1);
      const neverBegun = state.keys();
      const begun = state.keys();
      await begun.next();
      const later = [];
      for (let index = 0; index < ENUMERATIONS_MAX; index++) later.push(state.keys());
      await assert.rejects(neverBegun.next(), { code: "VARVE_CLOSED" });
      await assert.rejects(begun.next(), { code: "VARVE_CLOSED" });
      await untilHeldAtMost(place, ENUMERATIONS_MAX);
      const counts = [];
      for (const keys of later) counts.push(await countOf(keys));
      assert.deepEqual([...new Set(counts)], [100]);
      await untilHeldAtMost(place, 0);
    });

    test("that is read goes on while others are dropped", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      const state = backend.valueState(total);
      writeAll(backend, 100, 1);
      let count = 0;
      for await (const _ of state.keys()) {
        count++;
        if (count <= 30) await keysOf(state);
        assert.ok(heldBy(place).length <= 2 * ENUMERATIONS_MAX);
      }
      assert.equal(count, 100);
    });

    test("is refused while earlier ones have not been given back", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      const state = backend.valueState(total);
      writeAll(backend, 100, 1);
      const expected = { code: "VARVE_BACK_PRESSURE", retriable: true };
      assert.throws(() => {
        for (let index = 0; index < 1000; index++) state.keys();
      }, expected);
      assert.equal(await countOf(await keysOf(state)), 100);
      await untilHeldAtMost(place, ENUMERATIONS_MAX);
    });

    test("that is being given back when the backend closes is awaited", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      const state = backend.valueState(total);
      writeAll(backend, 100, 1);
      const [begun, neverBegun] = [state.keys(), state.keys()];
      await begun.next();
      void begun.return?.();
      void neverBegun.return?.();
      await backend.close();
      assert.deepEqual(heldBy(place), []);
    });

    test("that stands still when the backend closes throws, and leaves nothing", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      const state = backend.valueState(total);
      writeAll(backend, 100, 1);
      const neverBegun = state.keys();
      const begun = state.keys();
      await begun.next();
      await backend.close();
      assert.deepEqual(heldBy(place), []);
      await assert.rejects(neverBegun.next(), { code: "VARVE_CLOSED" });
      await assert.rejects(begun.next(), { code: "VARVE_CLOSED" });
    });
  });
}
