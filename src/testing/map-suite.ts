// Map state: contents. Sizes cross the limits at which this package's backends change how a map is
// stored.
import assert from "node:assert/strict";
import { array, i64, u32, utf8 } from "../index.ts";
import type { KeyedStateBackend, MapState, MapStateDescriptor } from "../index.ts";
import { range, throwsCode } from "./expect.ts";
import type { Suite } from "./job.ts";

export const counts: MapStateDescriptor<number, number> = { name: "counts", key: u32, value: i64 };
const names = { name: "names", key: utf8, value: utf8 } as const;

export function countsOf(backend: KeyedStateBackend, key: string): [number, number][] {
  const state = backend.mapState(counts);
  return backend.withKey(key, () => [...state]);
}

export function defineMapSuite(suite: Suite): void {
  suite.describe("map state", () => {
    suite.test("entries are put, got, found and removed under their key alone", async (job) => {
      let backend = await job.open();
      const state = backend.mapState(names);
      backend.withKey(1, () => {
        state.put("b", "2");
        state.put("a", "1");
        state.putAll([
          ["c", "3"],
          ["b", "20"],
        ]);
        state.remove("c");
        state.remove("never there");
      });
      backend.withKey(2, () => state.put("a", "other"));
      const check = (at: KeyedStateBackend): void => {
        const map = at.mapState(names);
        at.setCurrentKey(1);
        assert.deepEqual([map.get("a"), map.get("b"), map.get("c")], ["1", "20", undefined]);
        assert.deepEqual([map.contains("a"), map.contains("c")], [true, false]);
        assert.deepEqual(
          [...map.entries()],
          [
            ["a", "1"],
            ["b", "20"],
          ],
        );
        assert.deepEqual(
          [[...map.mapKeys()], [...map.values()]],
          [
            ["a", "b"],
            ["1", "20"],
          ],
        );
        at.setCurrentKey(2);
        assert.deepEqual([...map], [["a", "other"]]);
        at.setCurrentKey(3);
        assert.deepEqual([[...map], map.isEmpty(), map.get("a")], [[], true, undefined]);
      };
      check(backend);
      ({ backend } = await job.checkpointAndReopen(backend));
      check(backend);
    });

    suite.test("a map without entries is empty, whichever way it became so", async (job) => {
      let backend = await job.open();
      const state = backend.mapState(counts);
      backend.setCurrentKey("removed");
      assert.equal(state.isEmpty(), true);
      for (const key of range(500)) state.put(key, key);
      assert.equal(state.isEmpty(), false);
      for (const key of range(500)) state.remove(key);
      assert.equal(state.isEmpty(), true);
      backend.setCurrentKey("cleared");
      state.putAll(range(500).map((key) => [key, key]));
      state.clear();
      assert.equal(state.isEmpty(), true);
      ({ backend } = await job.checkpointAndReopen(backend));
      assert.deepEqual([countsOf(backend, "removed"), countsOf(backend, "cleared")], [[], []]);
    });

    suite.test("what cannot be a key or value is refused and the map stays", async (job) => {
      const backend = await job.open();
      const state = backend.mapState(counts);
      backend.setCurrentKey("k");
      state.put(1, 10);
      const none = undefined as unknown as number;
      const calls = [
        () => state.put(1, none),
        () => state.put(none, 1),
        () => state.put(2, 0.5),
        () => state.put(-1, 1),
        () => state.get(none),
        () => state.contains(-1),
        () => state.remove(none),
        () =>
          state.putAll([
            [2, 20],
            [3, none],
          ]),
        () =>
          state.putAll([
            [2, 20],
            [-1, 3],
          ]),
        () => state.putAll(undefined as unknown as []),
        () => state.putAll([2 as unknown as [number, number]]),
      ];
      for (const [index, call] of calls.entries()) {
        throwsCode(call, "VARVE_INVALID_ARGUMENT", `call ${index}`);
        assert.deepEqual([...state], [[1, 10]]);
      }
    });

    suite.test("keys and values beyond the limits are refused and the map stays", async (job) => {
      const backend = await job.open();
      const state = backend.mapState(names);
      backend.setCurrentKey("k");
      state.put("a", "1");
      throwsCode(() => state.put("x".repeat(70_000), "1"), "VARVE_INVALID_ARGUMENT");
      throwsCode(() => state.put("a", "x".repeat(17_000_000)), "VARVE_INVALID_ARGUMENT");
      assert.deepEqual([...state], [["a", "1"]]);
    });

    suite.test("returned keys and values belong to the caller", async (job) => {
      const backend = await job.open();
      const state = backend.mapState({ name: "nested", key: utf8, value: array(i64) });
      backend.setCurrentKey("k");
      const given = [1];
      state.put("a", given);
      given.push(2);
      state.get("a")!.push(3);
      for (const [, value] of state) value.push(4);
      assert.deepEqual(state.get("a"), [1]);
    });

    suite.test("values of any length take turns under one key", async (job) => {
      let backend = await job.open();
      let state = backend.mapState(names);
      const sizes = [10, 0, 3000, 127, 128, 300_000, 5, 2048, 2040, 100_000, 1];
      const model = new Map<string, string>();
      for (const [index, size] of sizes.entries()) {
        const value = String(index).repeat(size).slice(0, size);
        for (const key of ["a", `k${index % 4}`, "z"]) {
          backend.withKey("k", () => state.put(key, value));
          model.set(key, value);
        }
        if (index % 4 !== 3) continue;
        ({ backend } = await job.checkpointAndReopen(backend));
        state = backend.mapState(names);
      }
      const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual(
        backend.withKey("k", () => [...state]),
        sorted,
      );
    });
  });
  defineLargeMapSuite(suite);
}

/** Fills with odd keys first, so that the even ones land between them. */
function fill(state: MapState<number, number>, count: number): void {
  for (let key = 1; key < count; key += 2) state.put(key, key + 7);
  for (let key = 0; key < count; key += 2) state.put(key, key + 7);
}

function defineLargeMapSuite(suite: Suite): void {
  suite.describe("large maps", () => {
    suite.test("a map grows to thousands of entries and shrinks to none", async (job) => {
      let backend = await job.open();
      const count = 6000;
      backend.withKey("k", () => fill(backend.mapState(counts), count));
      const expected = new Map(range(count).map((key) => [key, key + 7] as const));
      const check = (at: KeyedStateBackend): void => {
        assert.deepEqual(countsOf(at, "k"), [...expected]);
        const state = at.mapState(counts);
        at.setCurrentKey("k");
        for (const key of [0, 1, 77, count - 1, count, 999_999]) {
          assert.equal(state.get(key), expected.get(key), `entry ${key}`);
          assert.equal(state.contains(key), expected.has(key));
        }
      };
      check(backend);
      for (const keep of [7, 31, 997]) {
        ({ backend } = await job.checkpointAndReopen(backend));
        const state = backend.mapState(counts);
        for (const key of range(count)) {
          if (key % keep === 0) continue;
          backend.withKey("k", () => state.remove(key));
          expected.delete(key);
        }
        check(backend);
      }
      ({ backend } = await job.checkpointAndReopen(backend));
      backend.withKey("k", () => backend.mapState(counts).clear());
      expected.clear();
      check(backend);
      backend.withKey("k", () => backend.mapState(counts).put(3, 4));
      expected.set(3, 4);
      ({ backend } = await job.checkpointAndReopen(backend));
      check(backend);
    });

    suite.test("a large map that is cleared leaves nothing for the next one", async (job) => {
      let backend = await job.open();
      backend.withKey("k", () => fill(backend.mapState(counts), 3000));
      ({ backend } = await job.checkpointAndReopen(backend));
      const state = backend.mapState(counts);
      backend.withKey("k", () => state.clear());
      backend.withKey("k", () => state.putAll(range(800).map((key) => [key * 10, key])));
      ({ backend } = await job.checkpointAndReopen(backend));
      assert.deepEqual(
        countsOf(backend, "k"),
        range(800).map((key) => [key * 10, key]),
      );
    });

    suite.test("entries are ordered by key, negative numbers first", async (job) => {
      const backend = await job.open();
      const state = backend.mapState({ name: "ordered", key: i64, value: u32 });
      backend.setCurrentKey("k");
      const keys = [0, -1, 1, -5_000_000_000, 5_000_000_000, 255, 256, -256, -255];
      for (const key of keys) state.put(key, 1);
      assert.deepEqual(
        [...state.mapKeys()],
        keys.sort((a, b) => a - b),
      );
    });

    suite.test("large maps of many keys and namespaces do not mix", async (job) => {
      let backend = await job.open();
      const descriptor = { name: "windows", key: u32, value: i64, namespaces: true } as const;
      let state = backend.mapState(descriptor);
      for (const [key, namespace] of [
        ["a", 1],
        ["a", 2],
        ["b", 1],
      ] as const) {
        backend.setCurrentKey(key);
        state.setCurrentNamespace(namespace);
        for (const entry of range(1000)) state.put(entry, entry * namespace + key.charCodeAt(0));
      }
      backend.setCurrentKey("a");
      state.setCurrentNamespace(2);
      state.clear();
      ({ backend } = await job.checkpointAndReopen(backend));
      state = backend.mapState(descriptor);
      const sizes = [
        ["a", 1],
        ["a", 2],
        ["b", 1],
        ["b", 2],
      ].map(([key, namespace]) => {
        backend.setCurrentKey(key!);
        state.setCurrentNamespace(namespace!);
        return [[...state].length, state.get(999)];
      });
      assert.deepEqual(sizes, [
        [1000, 1096],
        [0, undefined],
        [1000, 1097],
        [0, undefined],
      ]);
    });
  });
}
