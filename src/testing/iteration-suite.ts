// Iteration over map state while the map changes, and the end of an iterator's life.
import assert from "node:assert/strict";
import { range, throwsCode } from "./expect.ts";
import type { Suite } from "./job.ts";
import { counts, countsOf } from "./map-suite.ts";

const sizes = [10, 3000] as const;

export function defineIterationSuite(suite: Suite): void {
  suite.describe("map iteration", () => {
    for (const size of sizes) {
      suite.test(`the current one of ${size} entries may be removed`, async (job) => {
        const backend = await job.open();
        const state = backend.mapState(counts);
        backend.setCurrentKey("k");
        for (const key of range(size)) state.put(key, key);
        const seen: number[] = [];
        for (const [key] of state) {
          seen.push(key);
          if (key % 3 !== 0) state.remove(key);
        }
        assert.deepEqual(seen, range(size));
        const left = range(size).filter((key) => key % 3 === 0);
        assert.deepEqual([...state.mapKeys()], left);
      });

      suite.test(`all of ${size} entries may be removed one after the other`, async (job) => {
        const backend = await job.open();
        const state = backend.mapState(counts);
        backend.setCurrentKey("k");
        for (const key of range(size)) state.put(key, key);
        let count = 0;
        for (const [key] of state) {
          state.remove(key);
          count++;
        }
        assert.deepEqual([count, state.isEmpty()], [size, true]);
      });

      suite.test(
        `each of ${size} entries present throughout comes once, whatever else changes`,
        async (job) => {
          const backend = await job.open();
          const state = backend.mapState(counts);
          backend.setCurrentKey("k");
          const staying = range(size).map((index) => index * 10);
          for (const key of staying) state.put(key, 0);
          const seen = new Map<number, number>();
          let step = 0;
          for (const [key] of state) {
            seen.set(key, (seen.get(key) ?? 0) + 1);
            // Others come and go before and behind; values of those that stay change.
            step++;
            if (step % 2 === 0) state.put(Math.max(0, key - 5), step);
            if (step % 3 === 0 && step < size * 2) state.put(key + 3, step);
            if (step % 5 === 0) state.remove(key + 3);
            if (step % 7 === 0) state.put(staying[(step * 31) % size]!, step);
          }
          for (const key of staying) assert.equal(seen.get(key), 1, `entry ${key}`);
          for (const [key, times] of seen) assert.equal(times, 1, `entry ${key}`);
        },
      );

      suite.test(`clearing a map of ${size} entries ends its iteration`, async (job) => {
        const backend = await job.open();
        const state = backend.mapState(counts);
        backend.setCurrentKey("k");
        for (const key of range(size)) state.put(key, key);
        let count = 0;
        for (const _ of state) {
          count++;
          state.clear();
        }
        assert.deepEqual([count, state.isEmpty()], [1, true]);
      });
    }

    suite.test("an iterator shows values as they are when it comes to them", async (job) => {
      const backend = await job.open();
      const state = backend.mapState(counts);
      backend.setCurrentKey("k");
      for (const key of range(5)) state.put(key, 0);
      const values: number[] = [];
      for (const [key, value] of state) {
        values.push(value);
        state.put(key + 1 < 5 ? key + 1 : 4, key + 100);
      }
      assert.deepEqual(values, [0, 100, 101, 102, 103]);
    });

    suite.test("two iterators over one map do not disturb each other", async (job) => {
      const backend = await job.open();
      const state = backend.mapState(counts);
      backend.setCurrentKey("k");
      for (const key of range(300)) state.put(key, key);
      let pairs = 0;
      const other = state.mapKeys();
      for (const [key] of state) {
        assert.equal(other.next().value, key);
        pairs++;
      }
      assert.deepEqual([pairs, other.next().done], [300, true]);
    });

    suite.test("an iterator that has ended stays ended", async (job) => {
      const backend = await job.open();
      const state = backend.mapState(counts);
      backend.setCurrentKey("k");
      state.put(1, 1);
      const iterator = state.entries();
      assert.deepEqual([iterator.next().done, iterator.next().done], [false, true]);
      state.put(2, 2);
      assert.equal(iterator.next().done, true);
      const stopped = state.entries();
      stopped.return?.();
      assert.equal(stopped.next().done, true);
    });

    suite.test("an iterator does not outlive its key", async (job) => {
      const backend = await job.open();
      const state = backend.mapState(counts);
      const iterator = backend.withKey("k", () => {
        for (const key of range(10)) state.put(key, key);
        const entries = state.entries();
        entries.next();
        return { entries };
      });
      throwsCode(() => iterator.entries.next(), "VARVE_INVALID_ARGUMENT");
      throwsCode(() => state.entries(), "VARVE_INVALID_ARGUMENT");
      assert.equal(countsOf(backend, "k").length, 10);
    });

    suite.test("an iterator does not outlive its namespace", async (job) => {
      const backend = await job.open();
      const state = backend.mapState({ ...counts, namespaces: true, name: "windows" });
      backend.setCurrentKey("k");
      state.setCurrentNamespace(1);
      state.put(1, 1);
      state.put(2, 2);
      const entries = state.entries();
      entries.next();
      state.setCurrentNamespace(2);
      throwsCode(() => entries.next(), "VARVE_INVALID_ARGUMENT");
    });
  });
}
