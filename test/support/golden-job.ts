// The content of the golden checkpoints: every state type and key type, lists and maps of both shapes.
// Never change what an existing release wrote: add a new release's function instead.
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
} from "../../src/index.ts";
import type { Key, KeyedStateBackend } from "../../src/index.ts";

const KEYS: readonly Key[] = [
  1,
  -2.5,
  "1",
  "Zürich\u0000",
  1n,
  -(10n ** 30n),
  new Uint8Array([0, 1, 255]),
];
const LONG = 2000;

function statesOf01(backend: KeyedStateBackend) {
  return {
    value: backend.valueState({ name: "value", value: f64 }),
    row: backend.valueState({
      name: "row",
      value: struct({
        a: i64,
        b: optional(utf8),
        c: tuple(u32, bool),
        d: array(bigint64),
        e: bytes,
      }),
    }),
    list: backend.listState({ name: "list", element: utf8 }),
    map: backend.mapState({ name: "map", key: i64, value: json<{ n: number }>() }),
    reducing: backend.reducingState({ name: "reducing", value: i64, reduce: (a, b) => a + b }),
    window: backend.valueState({ name: "window", value: i64, namespaces: true }),
  };
}

const rowOf = (index: number) => ({
  a: index,
  b: index % 2 === 0 ? undefined : `b${index}`,
  c: [index, index % 3 === 0] as [number, boolean],
  d: [BigInt(index), -1n],
  e: new Uint8Array([index]),
});

/** What release 0.1 wrote. */
export function writeGolden01(backend: KeyedStateBackend): void {
  const states = statesOf01(backend);
  for (const [index, key] of KEYS.entries()) {
    backend.withKey(key, () => {
      states.value.update(index / 3);
      states.row.update(rowOf(index));
      const length = index === 0 ? LONG : index;
      for (let at = 0; at < length; at++) {
        states.list.add(`element ${at}`);
        states.map.put(at - 3, { n: at });
      }
      states.reducing.add(index);
      states.reducing.add(100);
      states.window.setCurrentNamespace(index);
      states.window.update(index);
    });
  }
}

export function checkGolden01(backend: KeyedStateBackend): void {
  const states = statesOf01(backend);
  for (const [index, key] of KEYS.entries()) {
    backend.withKey(key, () => {
      assert.equal(states.value.value(), index / 3);
      assert.deepEqual(states.row.value(), rowOf(index));
      const length = index === 0 ? LONG : index;
      const numbers = Array.from({ length }, (_none, at) => at);
      assert.deepEqual(
        states.list.get(),
        numbers.map((at) => `element ${at}`),
      );
      assert.deepEqual(
        [...states.map],
        numbers.map((at) => [at - 3, { n: at }]),
      );
      assert.equal(states.reducing.get(), index + 100);
      states.window.setCurrentNamespace(index);
      assert.equal(states.window.value(), index);
    });
  }
}
