// Value, reducing and aggregating state.
import assert from "node:assert/strict";
import { array, f64, i64, json, struct, utf8 } from "../index.ts";
import type { KeyedStateBackend } from "../index.ts";
import { range, throwsCode } from "./expect.ts";
import type { Suite } from "./job.ts";

const total = { name: "total", value: f64 } as const;
const text = { name: "text", value: utf8, namespaces: true } as const;
const sum = { name: "sum", value: i64, reduce: (a: number, b: number) => a + b } as const;
const windowed = { ...sum, name: "windowed", namespaces: true } as const;
/** Keeps and changes the accumulator that it is given. */
const mean = {
  name: "mean",
  accumulator: struct({ count: i64, sum: f64 }),
  namespaces: true,
  aggregate: {
    createAccumulator: () => ({ count: 0, sum: 0 }),
    add(accumulator: { count: number; sum: number }, value: number) {
      accumulator.count++;
      accumulator.sum += value;
      return accumulator;
    },
    getResult: (accumulator: { count: number; sum: number }) => accumulator.sum / accumulator.count,
    merge: (a: { count: number; sum: number }, b: { count: number; sum: number }) => ({
      count: a.count + b.count,
      sum: a.sum + b.sum,
    }),
  },
} as const;

export function defineValueSuite(suite: Suite): void {
  suite.describe("value state", () => {
    suite.test(
      "a value belongs to its key: updated, read and cleared under it alone",
      async (job) => {
        let backend = await job.open();
        const write = backend.valueState(total);
        for (const key of range(100)) backend.withKey(key, () => write.update(key * 1.5));
        for (const key of range(50)) backend.withKey(key * 2, () => write.clear());
        const check = (): void => {
          const state = backend.valueState(total);
          for (const key of range(110)) {
            const expected = key % 2 === 0 || key >= 100 ? undefined : key * 1.5;
            assert.equal(
              backend.withKey(key, () => state.value()),
              expected,
              `key ${key}`,
            );
          }
        };
        check();
        ({ backend } = await job.checkpointAndReopen(backend));
        check();
      },
    );

    suite.test("states of different names do not mix under one key", async (job) => {
      const backend = await job.open();
      const [a, b] = [backend.valueState(total), backend.valueState({ ...total, name: "other" })];
      backend.withKey("k", () => {
        a.update(1);
        assert.equal(b.value(), undefined);
        b.update(2);
        a.clear();
        assert.deepEqual([a.value(), b.value()], [undefined, 2]);
      });
    });

    suite.test("values of one key in different namespaces do not mix", async (job) => {
      let backend = await job.open();
      let state = backend.valueState(text);
      backend.setCurrentKey("k");
      for (const namespace of [1, 1n, "1", Uint8Array.of(1)]) {
        state.setCurrentNamespace(namespace);
        state.update(`in ${typeof namespace}`);
      }
      state.setCurrentNamespace(1n);
      state.clear();
      ({ backend } = await job.checkpointAndReopen(backend));
      state = backend.valueState(text);
      backend.setCurrentKey("k");
      const values = [1, 1n, "1", Uint8Array.of(1), 2].map((namespace) => {
        state.setCurrentNamespace(namespace);
        return state.value();
      });
      assert.deepEqual(values, ["in number", undefined, "in string", "in object", undefined]);
    });

    suite.test("undefined is refused and leaves the value as it was", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(total);
      backend.setCurrentKey("k");
      state.update(5);
      throwsCode(() => state.update(undefined as unknown as number), "VARVE_INVALID_ARGUMENT");
      assert.equal(state.value(), 5);
    });

    suite.test("what is returned and what was given belong to the caller", async (job) => {
      const backend = await job.open();
      const state = backend.valueState({ name: "list", value: array(f64) });
      backend.setCurrentKey("k");
      const given = [1, 2];
      state.update(given);
      given.push(3);
      state.value()!.push(4);
      assert.deepEqual(state.value(), [1, 2]);
    });

    suite.test("a value may shrink, grow and change its size again and again", async (job) => {
      let backend = await job.open();
      let state = backend.valueState({ name: "long", value: utf8 });
      const sizes = [0, 1, 100, 7, 5000, 300_000, 8, 400_000, 64];
      for (const size of sizes) {
        backend.withKey("k", () => state.update("x".repeat(size)));
        assert.equal(
          backend.withKey("k", () => state.value()?.length),
          size,
        );
        if (size === 400_000) {
          ({ backend } = await job.checkpointAndReopen(backend));
          state = backend.valueState({ name: "long", value: utf8 });
          assert.equal(
            backend.withKey("k", () => state.value()?.length),
            size,
          );
        }
      }
    });

    suite.test("a value too large for a row is refused and the one before stays", async (job) => {
      const backend = await job.open();
      const state = backend.valueState({ name: "long", value: utf8 });
      backend.setCurrentKey("k");
      state.update("before");
      throwsCode(() => state.update("x".repeat(17_000_000)), "VARVE_INVALID_ARGUMENT");
      assert.equal(state.value(), "before");
    });

    suite.test("a serializer that throws leaves the value as it was", async (job) => {
      const backend = await job.open();
      const state = backend.valueState({ name: "any", value: json<unknown>() });
      backend.setCurrentKey("k");
      state.update({ a: 1 });
      throwsCode(() => state.update({ a: 1n }), "VARVE_INVALID_ARGUMENT");
      assert.deepEqual(state.value(), { a: 1 });
    });
  });
  defineReducingSuite(suite);
  defineAggregatingSuite(suite);
}

function defineReducingSuite(suite: Suite): void {
  suite.describe("reducing state", () => {
    suite.test(
      "adds reduce under their key; nothing is undefined again after clear",
      async (job) => {
        let backend = await job.open();
        let state = backend.reducingState(sum);
        for (const value of range(100)) backend.withKey(value % 3, () => state.add(value));
        backend.withKey(2, () => state.clear());
        ({ backend } = await job.checkpointAndReopen(backend));
        state = backend.reducingState(sum);
        assert.equal(
          backend.withKey(0, () => state.get()),
          1683,
        );
        assert.equal(
          backend.withKey(1, () => state.get()),
          1617,
        );
        assert.equal(
          backend.withKey(2, () => state.get()),
          undefined,
        );
        backend.withKey(1, () => state.add(1));
        backend.withKey(2, () => state.add(7));
        assert.equal(
          backend.withKey(1, () => state.get()),
          1618,
        );
        assert.equal(
          backend.withKey(2, () => state.get()),
          7,
        );
      },
    );

    const cases: readonly (readonly [
      string,
      Readonly<Record<string, number>>,
      string[],
      number | undefined,
    ])[] = [
      ["no source", { target: 1 }, [], 1],
      ["an empty source", { target: 1 }, ["a"], 1],
      ["one source into nothing", { a: 2 }, ["a"], 2],
      ["several sources into something", { target: 1, a: 2, b: 3 }, ["a", "b", "c"], 6],
      ["a source named twice", { target: 1, a: 2 }, ["a", "a"], 3],
      ["the target among the sources", { target: 1, a: 2 }, ["target", "a"], 3],
      ["nothing at all", {}, ["a", "b"], undefined],
    ];
    for (const [name, before, sources, expected] of cases) {
      suite.test(`merging namespaces with ${name} moves everything to the target`, async (job) => {
        const backend = await job.open();
        const state = backend.reducingState(windowed);
        backend.setCurrentKey("other");
        state.setCurrentNamespace("a");
        state.add(100);
        backend.setCurrentKey("k");
        for (const [namespace, value] of Object.entries(before)) {
          state.setCurrentNamespace(namespace);
          state.add(value);
        }
        state.setCurrentNamespace("elsewhere");
        state.mergeNamespaces("target", sources);
        assert.equal(state.get(), undefined, "the current namespace stays");
        state.setCurrentNamespace("target");
        assert.equal(state.get(), expected);
        for (const namespace of ["a", "b"]) {
          state.setCurrentNamespace(namespace);
          assert.equal(state.get(), sources.includes(namespace) ? undefined : before[namespace]);
        }
        backend.setCurrentKey("other");
        state.setCurrentNamespace("a");
        assert.equal(state.get(), 100);
      });
    }
  });
}

function defineAggregatingSuite(suite: Suite): void {
  suite.describe("aggregating state", () => {
    suite.test(
      "an accumulator that is changed in place does not leak between keys",
      async (job) => {
        let backend = await job.open();
        const read = (key: string, namespace: string): number | undefined => {
          const state = backend.aggregatingState(mean);
          backend.setCurrentKey(key);
          state.setCurrentNamespace(namespace);
          return state.get();
        };
        const add = (at: KeyedStateBackend, key: string, value: number): void => {
          const state = at.aggregatingState(mean);
          at.setCurrentKey(key);
          state.setCurrentNamespace("w");
          state.add(value);
        };
        add(backend, "a", 1);
        add(backend, "b", 10);
        add(backend, "a", 3);
        assert.deepEqual([read("a", "w"), read("b", "w"), read("c", "w")], [2, 10, undefined]);
        ({ backend } = await job.checkpointAndReopen(backend));
        add(backend, "a", 5);
        assert.deepEqual([read("a", "w"), read("b", "w"), read("a", "v")], [3, 10, undefined]);
      },
    );

    suite.test("merging namespaces merges accumulators, not results", async (job) => {
      const backend = await job.open();
      const state = backend.aggregatingState(mean);
      backend.setCurrentKey("k");
      for (const [namespace, values] of [
        ["a", [1, 2, 3]],
        ["b", [10]],
      ] as const) {
        state.setCurrentNamespace(namespace);
        for (const value of values) state.add(value);
      }
      state.mergeNamespaces("target", ["a", "b"]);
      state.setCurrentNamespace("target");
      assert.equal(state.get(), 4);
      state.setCurrentNamespace("a");
      assert.equal(state.get(), undefined);
      state.setCurrentNamespace("target");
      state.clear();
      assert.equal(state.get(), undefined);
    });
  });
}
