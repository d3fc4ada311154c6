// A job with every kind of state, and what a reader of its checkpoints must find.
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type Key,
  type KeyedStateBackend,
  type KeyedStateBackendOptions,
  type ListState,
  MIB,
  type MapState,
  type ReducingState,
  type ValueState,
  bigint64,
  f64,
  fileSystemStorage,
  i64,
  json,
  openKeyedStateBackend,
  optional,
  struct,
  u32,
  utf8,
} from "../../src/index.ts";
import type { CheckpointView } from "../../src/inspect/index.ts";
import { isLong } from "./long-tests.ts";

export const KEYS: readonly Key[] = [
  1,
  -2.5,
  0,
  "1",
  "Zürich\u0000",
  "",
  "prefix-a",
  "prefix-b",
  "prefix-\u0000",
  1n,
  -(10n ** 30n),
  new Uint8Array([0, 1, 255]),
  ...Array.from({ length: 60 }, (_none, index) => `key ${index}`),
];
export const NAMESPACES: readonly Key[] = [0, "xa", "a", 5n];

export interface InspectedStates {
  readonly value: ValueState<number>;
  readonly row: ValueState<{ id: number; label: string | undefined; big: bigint }>;
  readonly list: ListState<string>;
  readonly byNumber: MapState<number, { n: number }>;
  readonly byText: MapState<string, number>;
  readonly sum: ReducingState<number>;
  readonly window: ValueState<number>;
  readonly windowList: ListState<number>;
  readonly windowMap: MapState<number, number>;
}

export function openJob(
  folder: string,
  options: Partial<KeyedStateBackendOptions> = {},
): Promise<KeyedStateBackend> {
  return openKeyedStateBackend({
    workingDirectory: join(folder, "work"),
    checkpointStorage: fileSystemStorage(join(folder, "checkpoints")),
    memoryBudgetBytes: 48 * MIB,
    restore: "latest-or-new",
    ...options,
  });
}

export function statesOf(backend: KeyedStateBackend): InspectedStates {
  return {
    value: backend.valueState({ name: "value", value: f64 }),
    row: backend.valueState({
      name: "row",
      value: struct({ id: u32, label: optional(utf8), big: bigint64 }),
    }),
    list: backend.listState({ name: "list", element: utf8 }),
    byNumber: backend.mapState({ name: "by number", key: i64, value: json<{ n: number }>() }),
    byText: backend.mapState({ name: "by-text", key: utf8, value: f64 }),
    sum: backend.reducingState({ name: "sum", value: i64, reduce: (a, b) => a + b }),
    window: backend.valueState({ name: "window", value: i64, namespaces: true }),
    windowList: backend.listState({ name: "window list", element: i64, namespaces: true }),
    windowMap: backend.mapState({ name: "window map", key: i64, value: i64, namespaces: true }),
  };
}

const sizes = [0, 1, 7, 300, 1500, 4000];
/** Some of every size are enough where the tests are not long. */
const furtherSizes = isLong ? sizes : [0, 1, 7, 30, 0, 1];

/** Elements of the collections of a key: none, packed, and spread over more and more rows. */
function sizeOf(index: number): number {
  const size = (index < 12 ? sizes : furtherSizes)[index % 6]!;
  return index === 5 ? size * 6 : size;
}

/** Writes everything for some of the keys. */
export function write(backend: KeyedStateBackend, version: number, every: number = 1): void {
  const states = statesOf(backend);
  for (const [index, key] of KEYS.entries()) {
    if (index % every !== 0) continue;
    backend.withKey(key, () => {
      states.value.update(index / 3 + version);
      const label = index % 2 === 0 ? undefined : `label ${index}`;
      states.row.update({ id: index, label, big: BigInt(index) - 5n });
      const size = sizeOf(index);
      states.list.addAll(Array.from({ length: size }, (_none, at) => `element ${at} ${version}`));
      for (let at = 0; at < size; at++) {
        states.byNumber.put(at - 3, { n: at + version });
        if (at % 3 === 0) states.byText.put(`entry ${at}`, at + version);
      }
      states.sum.add(index);
      for (const [count, namespace] of NAMESPACES.entries()) {
        states.window.setCurrentNamespace(namespace);
        states.window.update(index * 10 + count);
        states.windowList.setCurrentNamespace(namespace);
        states.windowList.addAll(
          Array.from({ length: sizeOf(index + count) % 2000 }, (_n, at) => at),
        );
        states.windowMap.setCurrentNamespace(namespace);
        for (let at = 0; at < sizeOf(index + count) % 700; at++) states.windowMap.put(at, -at);
      }
    });
  }
}

/** Removes from some of the keys: values, whole collections, and parts of them. */
export function remove(backend: KeyedStateBackend): void {
  const states = statesOf(backend);
  for (const [index, key] of KEYS.entries()) {
    backend.withKey(key, () => {
      if (index % 5 === 0) states.value.clear();
      if (index % 7 === 0) states.list.clear();
      if (index % 4 === 0) for (let at = 0; at < 250; at++) states.byNumber.remove(at);
      if (index % 9 === 0) states.byText.clear();
      states.window.setCurrentNamespace("a");
      if (index % 2 === 0) states.window.clear();
      states.windowMap.setCurrentNamespace(0);
      if (index % 3 === 0) states.windowMap.clear();
    });
  }
}

export type Contents = Map<string, Map<string, unknown>>;

export function keyText(key: Key, namespace?: Key): string {
  const one = (part: Key): string =>
    part instanceof Uint8Array
      ? `bytes ${Buffer.from(part).toString("hex")}`
      : `${typeof part} ${part}`;
  return namespace === undefined ? one(key) : `${one(key)} in ${one(namespace)}`;
}

/** What the backend itself serves. */
export function served(backend: KeyedStateBackend, keys: readonly Key[] = KEYS): Contents {
  const states = statesOf(backend);
  const contents: Contents = new Map();
  const note = (state: string, key: string, value: unknown): void => {
    const entries = contents.get(state) ?? new Map<string, unknown>();
    contents.set(state, entries);
    const isNothing = value === undefined || (Array.isArray(value) && value.length === 0);
    if (!isNothing) entries.set(key, value);
  };
  for (const key of keys) {
    backend.withKey(key, () => {
      note("value", keyText(key), states.value.value());
      note("row", keyText(key), states.row.value());
      note("list", keyText(key), states.list.get());
      note("by number", keyText(key), [...states.byNumber]);
      note("by-text", keyText(key), [...states.byText]);
      note("sum", keyText(key), states.sum.get());
      for (const namespace of NAMESPACES) {
        const text = keyText(key, namespace);
        for (const state of [states.window, states.windowList, states.windowMap]) {
          state.setCurrentNamespace(namespace);
        }
        note("window", text, states.window.value());
        note("window list", text, states.windowList.get());
        note("window map", text, [...states.windowMap]);
      }
    });
  }
  return contents;
}

/** What a view finds by scanning every state. */
export async function scanned(view: CheckpointView): Promise<Contents> {
  const contents: Contents = new Map();
  for (const { name, isDecodable } of view.states()) {
    assert.ok(isDecodable);
    const entries = new Map<string, unknown>();
    contents.set(name, entries);
    for await (const { key, namespace, value, isDecoded } of view.scan(name)) {
      assert.ok(isDecoded);
      assert.ok(!entries.has(keyText(key, namespace)), "no entry comes twice");
      entries.set(keyText(key, namespace), value);
    }
  }
  return contents;
}

/** Equal, whatever the order of states and entries. */
export function assertSame(found: Contents, expected: Contents): void {
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
  for (const [state, entries] of expected) {
    const own = found.get(state)!;
    assert.deepEqual([...own.keys()].sort(), [...entries.keys()].sort(), state);
    for (const [key, value] of entries) assert.deepEqual(own.get(key), value, `${state} ${key}`);
  }
}
