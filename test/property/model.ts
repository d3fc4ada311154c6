// Random operations on all kinds of state, done to a backend and to plain objects alike.
import assert from "node:assert/strict";
import type {
  Key,
  KeyedStateBackend,
  ListState,
  MapState,
  ReducingState,
  ValueState,
} from "../../src/index.ts";
import { array, f64, i64, u32, utf8 } from "../../src/index.ts";

/** What one key has, as plain objects. */
interface Row {
  number: number | undefined;
  text: string | undefined;
  sum: number | undefined;
  list: string[];
  map: Map<number, string>;
  windows: Map<number, number[]>;
}

export const modelKeys: readonly Key[] = [
  0,
  1,
  -2.5,
  "a",
  "key b",
  "ü",
  7n,
  Uint8Array.of(1, 0, 2),
  "1",
  1n,
  2 ** 40,
  "x".repeat(70),
];
/** Keys in use at a time, and operations until one of them is another: the rest grows cold. */
const hotKeys = 3;
const stepsPerMove = 40;
const windows = [1, 2, 3];

export type Random = (below: number) => number;

interface States {
  readonly number: ValueState<number>;
  readonly text: ValueState<string>;
  readonly sum: ReducingState<number>;
  readonly list: ListState<string>;
  readonly map: MapState<number, string>;
  readonly windows: ListState<number>;
  readonly filler: ValueState<number[]>;
}

/** Declares the model's states at a backend. */
export function declareStates(backend: KeyedStateBackend): States {
  return {
    number: backend.valueState({ name: "number", value: f64 }),
    text: backend.valueState({ name: "text", value: utf8 }),
    sum: backend.reducingState({ name: "sum", value: i64, reduce: (a, b) => a + b }),
    list: backend.listState({ name: "list", element: utf8 }),
    map: backend.mapState({ name: "map", key: u32, value: utf8 }),
    windows: backend.listState({ name: "windows", element: f64, namespaces: true }),
    filler: backend.valueState({ name: "filler", value: array(f64) }),
  };
}

type Operation = (states: States, row: Row, random: Random) => void;

function textOf(random: Random, max: number): string {
  const size = random(4) === 0 ? random(max) : random(30);
  return String.fromCharCode(97 + random(26)).repeat(size);
}

const operations: Readonly<Record<string, readonly [weight: number, run: Operation]>> = {
  updateNumber: [6, (s, row, random) => s.number.update((row.number = random(1000) / 8))],
  clearNumber: [
    2,
    (s, row) => {
      s.number.clear();
      row.number = undefined;
    },
  ],
  incrementNumber: [
    6,
    (s, row) => {
      row.number = (row.number ?? 0) + 1;
      s.number.update((s.number.value() ?? 0) + 1);
    },
  ],
  updateText: [5, (s, row, random) => s.text.update((row.text = textOf(random, 20_000)))],
  clearText: [
    2,
    (s, row) => {
      s.text.clear();
      row.text = undefined;
    },
  ],
  addSum: [
    5,
    (s, row, random) => {
      const value = random(1000) - 500;
      s.sum.add(value);
      row.sum = (row.sum ?? 0) + value;
    },
  ],
  clearSum: [
    1,
    (s, row) => {
      s.sum.clear();
      row.sum = undefined;
    },
  ],
  addList: [
    14,
    (s, row, random) => {
      const value = textOf(random, 3000);
      s.list.add(value);
      row.list.push(value);
    },
  ],
  addAllList: [
    4,
    (s, row, random) => {
      const values = Array.from({ length: random(60) }, () => textOf(random, 400));
      s.list.addAll(values);
      row.list.push(...values);
    },
  ],
  updateList: [
    2,
    (s, row, random) => {
      row.list = Array.from({ length: random(3) * random(40) }, () => textOf(random, 300));
      s.list.update(row.list);
    },
  ],
  clearList: [
    1,
    (s, row) => {
      s.list.clear();
      row.list = [];
    },
  ],
  getList: [2, (s, row) => assert.deepEqual(s.list.get(), row.list)],
  isEmptyList: [1, (s, row) => assert.equal(s.list.isEmpty(), row.list.length === 0)],
  putAllMap: [
    4,
    (s, row, random) => {
      const reach = random(3) === 0 ? 300 : 20;
      const entries = Array.from({ length: random(40) }, () => {
        return [random(reach), textOf(random, reach)] as const;
      });
      s.map.putAll(entries);
      for (const [key, value] of entries) row.map.set(key, value);
    },
  ],
  putMap: [
    10,
    (s, row, random) => {
      const [key, value] = [random(400), textOf(random, 1500)];
      s.map.put(key, value);
      row.map.set(key, value);
    },
  ],
  putManyMap: [
    3,
    (s, row, random) => {
      const first = random(400);
      for (let key = first; key < first + 40; key++) {
        const value = textOf(random, 100);
        s.map.put(key, value);
        row.map.set(key, value);
      }
    },
  ],
  removeMap: [
    6,
    (s, row, random) => {
      const key = random(440);
      s.map.remove(key);
      row.map.delete(key);
    },
  ],
  removeManyMap: [
    3,
    (s, row, random) => {
      const first = random(400);
      for (let key = first; key < first + 60; key++) {
        s.map.remove(key);
        row.map.delete(key);
      }
    },
  ],
  clearMap: [
    1,
    (s, row) => {
      s.map.clear();
      row.map.clear();
    },
  ],
  getMap: [
    4,
    (s, row, random) => {
      const key = random(440);
      assert.equal(s.map.get(key), row.map.get(key));
      assert.equal(s.map.contains(key), row.map.has(key));
    },
  ],
  iterateMap: [1, (s, row) => assert.deepEqual([...s.map], entriesOf(row))],
  removeWhileIterating: [
    1,
    (s, row, random) => {
      const seen: number[] = [];
      const keys = entriesOf(row).map(([key]) => key);
      for (const [key] of s.map) {
        seen.push(key);
        if (random(2) === 0) continue;
        s.map.remove(key);
        row.map.delete(key);
      }
      assert.deepEqual(seen, keys);
    },
  ],
  addWindow: [
    6,
    (s, row, random) => {
      const [window, value] = [windows[random(3)]!, random(100)];
      s.windows.setCurrentNamespace(window);
      s.windows.add(value);
      row.windows.set(window, [...(row.windows.get(window) ?? []), value]);
    },
  ],
  mergeWindows: [
    1,
    (s, row) => {
      s.windows.mergeNamespaces(1, [2, 3]);
      const all = windows.flatMap((window) => row.windows.get(window) ?? []);
      row.windows = new Map([[1, all]]);
    },
  ],
  check: [3, (s, row) => checkRow(s, row)],
};

const names = Object.entries(operations).flatMap(([name, [weight]]) =>
  Array.from({ length: weight }, () => name),
);

function entriesOf(row: Row): [number, string][] {
  return [...row.map].sort(([a], [b]) => a - b);
}

function checkRow(states: States, row: Row): void {
  assert.equal(states.number.value(), row.number, "number");
  assert.equal(states.text.value(), row.text, "text");
  assert.equal(states.sum.get(), row.sum, "sum");
  assert.deepEqual(states.list.get(), row.list, "list");
  assert.deepEqual([...states.map], entriesOf(row), "map");
  assert.equal(states.map.isEmpty(), row.map.size === 0, "map.isEmpty");
  for (const window of windows) {
    states.windows.setCurrentNamespace(window);
    assert.deepEqual(states.windows.get(), row.windows.get(window) ?? [], `window ${window}`);
  }
}

function copyOf(row: Row): Row {
  return {
    ...row,
    list: [...row.list],
    map: new Map(row.map),
    windows: new Map([...row.windows].map(([window, list]) => [window, [...list]])),
  };
}

export class Model {
  readonly #rows: Row[];
  #filler = 0;
  #steps = 0;

  constructor(rows?: readonly Row[]) {
    const empty = { number: undefined, text: undefined, sum: undefined };
    this.#rows = modelKeys.map(
      (_, index) => rows?.[index] ?? { ...empty, list: [], map: new Map(), windows: new Map() },
    );
  }

  /** The model as it is now, to be kept for a checkpoint. */
  copy(): Model {
    const model = new Model(this.#rows.map(copyOf));
    model.#filler = this.#filler;
    model.#steps = this.#steps;
    return model;
  }

  /** One random operation on one random key. Returns its name. */
  step(backend: KeyedStateBackend, states: States, random: Random): string {
    const name = names[random(names.length)]!;
    const first = Math.floor(this.#steps++ / stepsPerMove);
    const index = (first + random(hotKeys)) % modelKeys.length;
    const run = operations[name]![1];
    const row = this.#rows[index]!;
    backend.withKey(modelKeys[index]!, () => run(states, row, random));
    return `${name}(${index})`;
  }

  /** A row of some 8 bytes a number that pushes others out of memory. */
  fill(backend: KeyedStateBackend, states: States, numbers: number): void {
    const value = Array.from({ length: numbers }, (_, at) => at);
    backend.withKey(`filler ${this.#filler++ % 100}`, () => states.filler.update(value));
  }

  check(backend: KeyedStateBackend, states: States): void {
    for (const [index, key] of modelKeys.entries()) {
      backend.withKey(key, () => {
        try {
          checkRow(states, this.#rows[index]!);
        } catch (error) {
          if (error instanceof Error) error.message = `key ${index}: ${error.message}`;
          throw error;
        }
      });
    }
  }

  /** Names of keys that have something in the list state. */
  keysWithList(): Key[] {
    return modelKeys.filter((_, index) => this.#rows[index]!.list.length > 0);
  }
}
