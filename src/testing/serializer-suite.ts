// Every built-in serializer through every kind of state, and through a checkpoint.
import assert from "node:assert/strict";
import {
  array,
  bigint64,
  bool,
  bytes,
  f64,
  i64,
  json,
  optional,
  struct,
  tuple,
  u32,
  utf8,
  v8,
} from "../index.ts";
import type { KeyedStateBackend, Serializer } from "../index.ts";
import { throwsCode } from "./expect.ts";
import type { Suite } from "./job.ts";

interface Case {
  readonly name: string;
  readonly serializer: Serializer<unknown>;
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
}

function of<T>(
  name: string,
  serializer: Serializer<T>,
  good: readonly T[],
  bad: readonly unknown[],
): Case {
  return { name, serializer: serializer as Serializer<unknown>, good, bad };
}

const row = struct({ id: i64, label: utf8, tags: optional(array(utf8)), exact: bool });

const cases: readonly Case[] = [
  of("f64", f64, [0, -0, 1.5, -1e308, 5e-324, Infinity, -Infinity, NaN], ["1", null, 1n, true, {}]),
  of(
    "i64",
    i64,
    [
      0,
      1,
      -1,
      2 ** 31,
      -(2 ** 31),
      2 ** 32 - 1,
      2 ** 32,
      -(2 ** 32),
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
    ],
    [0.5, NaN, Infinity, 2 ** 53, -(2 ** 53), "1", 1n],
  ),
  of("u32", u32, [0, 1, 2 ** 31, 2 ** 32 - 1], [-1, 2 ** 32, 0.5, NaN, "1", 1n]),
  of(
    "bigint64",
    bigint64,
    [0n, -1n, 1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n, -(2n ** 32n)],
    [2n ** 63n, -(2n ** 63n) - 1n, 1, "1"],
  ),
  of("bool", bool, [true, false], [0, 1, "true", null]),
  of(
    "utf8",
    utf8,
    ["", "a", "ä€🙂", "\0", "\ufeff", "x".repeat(1000)],
    ["\ud800", "a\udc00", 1, null, {}],
  ),
  of(
    "bytes",
    bytes,
    [new Uint8Array(0), Uint8Array.of(0, 255, 7), new Uint8Array(1000).fill(3)],
    ["a", [1], new Uint16Array(1), new ArrayBuffer(1)],
  ),
  of(
    "json",
    json<unknown>(),
    [null, 1, "a", true, [], {}, { a: [1, { b: null }], ü: "🙂" }],
    [1n, { a: 1n }, () => 1, Symbol("s"), "\ud800"].filter((value) => typeof value !== "string"),
  ),
  of(
    "v8",
    v8<unknown>(),
    [null, 1n, new Map([[1, new Set(["a"])]]), new Date(5), { a: undefined }, [1, undefined]],
    [() => 1, Symbol("s")],
  ),
  of(
    "struct",
    row,
    [
      { id: 1, label: "", tags: undefined, exact: true },
      { id: -5, label: "x".repeat(200), tags: ["", "b"], exact: false },
    ],
    [
      null,
      5,
      {},
      { id: 1, label: "a", exact: true, tags: "a" },
      { id: 0.5, label: "", exact: true },
    ],
  ),
  of(
    "tuple",
    tuple(u32, utf8, f64),
    [
      [1, "a", 0.5],
      [0, "", NaN],
    ],
    [[], [1, "a"], [1, "a", 1, 1], "abc"],
  ),
  of("array", array(optional(i64)), [[], [1, undefined, 3]], [null, "a", [0.5], new Set([1])]),
  of("nested arrays", array(array(bool)), [[[]], [[true], [], [false, true]]], [[true], [[1]]]),
];

function statesOf(backend: KeyedStateBackend, serializer: Serializer<unknown>) {
  return {
    value: backend.valueState({ name: "value", value: serializer, namespaces: true }),
    list: backend.listState({ name: "list", element: serializer }),
    map: backend.mapState({ name: "map", key: u32, value: serializer }),
    last: backend.reducingState({ name: "last", value: serializer, reduce: (_, next) => next }),
  };
}

export function defineSerializerSuite(suite: Suite): void {
  suite.describe("serializers", () => {
    for (const { name, serializer, good, bad } of cases) {
      suite.test(`${name} gives back what it was given, in every kind of state`, async (job) => {
        let backend = await job.open();
        const states = statesOf(backend, serializer);
        backend.setCurrentKey("k");
        for (const [index, value] of good.entries()) {
          states.value.setCurrentNamespace(index);
          states.value.update(value);
          states.list.add(value);
          states.map.put(index, value);
          states.last.add(value);
        }
        ({ backend } = await job.checkpointAndReopen(backend));
        const { value, list, map, last } = statesOf(backend, serializer);
        backend.setCurrentKey("k");
        const values = good.map((_, index) => {
          value.setCurrentNamespace(index);
          return value.value();
        });
        assert.deepEqual(values, good);
        assert.deepEqual(list.get(), good);
        assert.deepEqual([...map.values()], good);
        assert.deepEqual(last.get(), good.at(-1));
      });

      suite.test(`${name} refuses what it cannot hold, and nothing is changed`, async (job) => {
        const backend = await job.open();
        const { value, list, map, last } = statesOf(backend, serializer);
        backend.setCurrentKey("k");
        value.setCurrentNamespace(0);
        const first = good[0];
        value.update(first);
        list.add(first);
        map.put(0, first);
        last.add(first);
        for (const [index, wrong] of bad.entries()) {
          const calls = [
            () => value.update(wrong),
            () => list.addAll([first, wrong]),
            () =>
              map.putAll([
                [0, first],
                [1, wrong],
              ]),
            () => last.add(wrong),
          ];
          for (const call of calls) throwsCode(call, "VARVE_INVALID_ARGUMENT", `value ${index}`);
        }
        assert.deepEqual([value.value(), last.get()], [first, first]);
        assert.deepEqual([list.get(), [...map]], [[first], [[0, first]]]);
      });
    }

    suite.test("map keys are ordered as their serializer orders values", async (job) => {
      const backend = await job.open();
      const orders = [
        [f64, [-Infinity, -1.5, -5e-324, 0, 5e-324, 1, Infinity]],
        [i64, [Number.MIN_SAFE_INTEGER, -(2 ** 32), -1, 0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]],
        [u32, [0, 1, 255, 256, 2 ** 31, 2 ** 32 - 1]],
        [bigint64, [-(2n ** 63n), -1n, 0n, 1n, 2n ** 63n - 1n]],
        [utf8, ["", "a", "a\0", "aa", "b", "ä", "\uffff", "🙂"]],
      ] as const;
      backend.setCurrentKey("k");
      for (const [serializer, keys] of orders) {
        const key = serializer as Serializer<unknown>;
        const state = backend.mapState({ name: `by ${key.fingerprint}`, key, value: bool });
        for (const one of keys.toReversed()) state.put(one, true);
        assert.deepEqual([...state.mapKeys()], [...keys]);
      }
      const state = backend.mapState({ name: "by f64", key: f64, value: bool });
      throwsCode(() => state.put(NaN, true), "VARVE_INVALID_ARGUMENT");
      assert.equal(state.get(-0), true);
    });
  });
}
