// List state. Sizes cross the limits at which this package's backends change how a list is stored.
import assert from "node:assert/strict";
import { array, i64, utf8 } from "../index.ts";
import type { KeyedStateBackend } from "../index.ts";
import { range, throwsCode } from "./expect.ts";
import type { Suite } from "./job.ts";

const numbers = { name: "numbers", element: i64 } as const;
const strings = { name: "strings", element: utf8 } as const;
const windowed = { name: "windowed", element: i64, namespaces: true } as const;

function read(backend: KeyedStateBackend, key: string): number[] {
  const state = backend.listState(numbers);
  return backend.withKey(key, () => state.get());
}

export function defineListSuite(suite: Suite): void {
  suite.describe("list state", () => {
    suite.test("elements keep their order, under their key alone", async (job) => {
      let backend = await job.open();
      const state = backend.listState(numbers);
      for (const value of range(30)) backend.withKey(value % 3, () => state.add(value));
      backend.withKey(1, () => state.addAll([100, 101]));
      backend.withKey(2, () => state.clear());
      const check = (at: KeyedStateBackend): void => {
        const list = at.listState(numbers);
        const of = (key: number): number[] => at.withKey(key, () => list.get());
        assert.deepEqual(
          of(0),
          range(10).map((value) => value * 3),
        );
        assert.deepEqual(of(1), [...range(10).map((value) => value * 3 + 1), 100, 101]);
        assert.deepEqual([of(2), of(3)], [[], []]);
        assert.deepEqual(
          [1, 2].map((key) => at.withKey(key, () => list.isEmpty())),
          [false, true],
        );
      };
      check(backend);
      ({ backend } = await job.checkpointAndReopen(backend));
      check(backend);
    });

    suite.test(
      "update replaces, an empty update clears, an empty addAll changes nothing",
      async (job) => {
        const backend = await job.open();
        const state = backend.listState(numbers);
        backend.setCurrentKey("k");
        state.addAll([1, 2, 3]);
        state.update([4, 5]);
        state.addAll([]);
        assert.deepEqual(state.get(), [4, 5]);
        state.update(new Set([6]));
        assert.deepEqual(state.get(), [6]);
        state.update([]);
        assert.deepEqual([state.get(), state.isEmpty()], [[], true]);
      },
    );

    suite.test("an element that cannot be held is refused and the list stays", async (job) => {
      const backend = await job.open();
      const state = backend.listState(numbers);
      backend.setCurrentKey("k");
      state.addAll([1, 2]);
      const none = undefined as unknown as number;
      const calls = [
        () => state.add(none),
        () => state.add(0.5),
        () => state.addAll([3, none]),
        () => state.update([3, none]),
        () => state.addAll(undefined as unknown as number[]),
        () => state.update(null as unknown as number[]),
        () => state.addAll(5 as unknown as number[]),
      ];
      for (const call of calls) {
        throwsCode(call, "VARVE_INVALID_ARGUMENT");
        assert.deepEqual(state.get(), [1, 2]);
      }
    });

    suite.test("an element too large for a row is refused and the list stays", async (job) => {
      const backend = await job.open();
      const state = backend.listState(strings);
      backend.setCurrentKey("k");
      state.add("a");
      throwsCode(() => state.add("x".repeat(17_000_000)), "VARVE_INVALID_ARGUMENT");
      throwsCode(() => state.update(["b", "x".repeat(17_000_000)]), "VARVE_INVALID_ARGUMENT");
      assert.deepEqual(state.get(), ["a"]);
    });

    suite.test("returned arrays and elements belong to the caller", async (job) => {
      const backend = await job.open();
      const state = backend.listState({ name: "nested", element: array(i64) });
      backend.setCurrentKey("k");
      state.add([1]);
      const list = state.get();
      list.push([9]);
      list[0]!.push(9);
      assert.deepEqual(state.get(), [[1]]);
    });

    suite.test("empty strings are elements", async (job) => {
      let backend = await job.open();
      backend.withKey("k", () => backend.listState(strings).addAll(["", "a", ""]));
      ({ backend } = await job.checkpointAndReopen(backend));
      const state = backend.listState(strings);
      assert.deepEqual(
        backend.withKey("k", () => state.get()),
        ["", "a", ""],
      );
      assert.equal(
        backend.withKey("k", () => state.isEmpty()),
        false,
      );
    });

    suite.test("the iterable given may use the state itself", async (job) => {
      const backend = await job.open();
      const state = backend.listState(numbers);
      backend.setCurrentKey("k");
      state.addAll([1, 2]);
      const doubled = function* (): Generator<number> {
        for (const value of state.get()) yield value * 2;
      };
      state.addAll(doubled());
      assert.deepEqual(state.get(), [1, 2, 2, 4]);
      state.update(doubled());
      assert.deepEqual(state.get(), [2, 4, 4, 8]);
    });

    suite.test("a list grows by single elements to any length and shrinks again", async (job) => {
      let backend = await job.open();
      const expected: number[] = [];
      for (const round of range(4)) {
        const state = backend.listState(numbers);
        for (const value of range(1500, round * 1500)) {
          backend.withKey("k", () => state.add(value));
          expected.push(value);
          if (value % 500 === 0) assert.deepEqual(read(backend, "k"), expected);
        }
        ({ backend } = await job.checkpointAndReopen(backend));
      }
      assert.deepEqual(read(backend, "k"), expected);
      const state = backend.listState(numbers);
      backend.withKey("k", () => state.update([7]));
      assert.deepEqual(read(backend, "k"), [7]);
      backend.withKey("k", () => state.addAll(range(5000)));
      assert.deepEqual(read(backend, "k"), [7, ...range(5000)]);
      backend.withKey("k", () => state.clear());
      ({ backend } = await job.checkpointAndReopen(backend));
      assert.deepEqual(read(backend, "k"), []);
      backend.withKey("k", () => backend.listState(numbers).add(1));
      assert.deepEqual(read(backend, "k"), [1]);
    });

    suite.test(
      "elements added to a restored list that was not read come after the old ones",
      async (job) => {
        let backend = await job.open();
        const expected = range(2000);
        backend.withKey("k", () => backend.listState(numbers).addAll(expected));
        backend.withKey("small", () => backend.listState(numbers).add(-1));
        for (const round of range(5)) {
          ({ backend } = await job.checkpointAndReopen(backend));
          const state = backend.listState(numbers);
          for (const value of range(10, round * 10)) {
            backend.withKey("k", () => state.add(value));
            expected.push(value);
            backend.withKey("small", () => state.add(value));
          }
          if (round % 2 === 0) await backend.checkpoint();
        }
        assert.deepEqual(read(backend, "k"), expected);
        assert.deepEqual(read(backend, "small"), [-1, ...range(50)]);
      },
    );

    suite.test("long elements of a list survive, each up to hundreds of kilobytes", async (job) => {
      let backend = await job.open();
      const elements = [10, 5000, 300_000, 0, 4096, 127, 128, 129, 400_000].map((size) =>
        String.fromCharCode(97 + (size % 26)).repeat(size),
      );
      for (const element of elements) {
        backend.withKey("k", () => backend.listState(strings).add(element));
      }
      ({ backend } = await job.checkpointAndReopen(backend));
      const state = backend.listState(strings);
      assert.deepEqual(
        backend.withKey("k", () => state.get()),
        elements,
      );
    });

    for (const sizes of [
      [0, 0, 0],
      [3, 0, 0],
      [0, 2, 1],
      [3, 2, 1],
      [3000, 10, 2000],
    ] as const) {
      suite.test(
        `merging namespaces of ${sizes.join(", ")} elements appends them to the target`,
        async (job) => {
          let backend = await job.open();
          let state = backend.listState(windowed);
          const names = ["target", "a", "b"];
          const filled = sizes.map((size, index) => range(size, index * 10_000));
          backend.setCurrentKey("k");
          for (const [index, name] of names.entries()) {
            state.setCurrentNamespace(name);
            state.addAll(filled[index]!);
          }
          ({ backend } = await job.checkpointAndReopen(backend));
          state = backend.listState(windowed);
          backend.setCurrentKey("k");
          state.mergeNamespaces("target", ["a", "b"]);
          const lists = names.map((name) => {
            state.setCurrentNamespace(name);
            return state.get();
          });
          assert.deepEqual(lists, [filled.flat(), [], []]);
        },
      );
    }
  });
}
