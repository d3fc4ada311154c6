// The records of a job with state of every kind, and what they leave: the same in every run of a seed.
import assert from "node:assert/strict";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import { f64, i64, struct, utf8 } from "../../../src/index.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";

const KEYS = 48;
const MAP_ENTRIES = 300;
const WINDOWS = 3;
const LARGE_EVERY = 10;
const LARGE_CHARACTERS = 100_000;
const NOISE_CHARACTERS = 2_000_000;

export interface JobRecord {
  readonly key: string;
  readonly kind: number;
  readonly random: number;
}

/** A record by its position. */
export function recordAt(seed: number, offset: number): JobRecord {
  let mixed = Math.imul((offset + 1) ^ Math.imul(seed, 0x85ebca6b), 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  mixed = (mixed ^ (mixed >>> 16)) >>> 0;
  const random = Math.floor(mixed / (KEYS * 16));
  return { key: `key-${mixed % KEYS}`, kind: Math.floor(mixed / KEYS) % 16, random };
}

/** What a key holds. */
class Row {
  total = 0;
  text: string | undefined = undefined;
  list: number[] = [];
  readonly map: Map<number, string> = new Map();
  readonly windows: Map<string, number> = new Map();
  sum = 0;
  count = 0;
}

export class Model {
  readonly rows: Map<string, Row> = new Map();

  /** Applies a record, and returns the row of output that it makes. */
  apply(seed: number, offset: number): { readonly key: string; readonly total: number } {
    const { key, kind, random } = recordAt(seed, offset);
    const row = this.rows.get(key) ?? new Row();
    this.rows.set(key, row);
    row.total++;
    if (kind < 4) row.text = textOf(seed, offset, random);
    else if (kind === 4) row.text = undefined;
    else if (kind < 8) row.list.push(offset);
    else if (kind === 8) row.list = [];
    else if (kind < 12) row.map.set(random % MAP_ENTRIES, `${offset}:${"m".repeat(random % 60)}`);
    else if (kind === 12) row.map.delete(random % MAP_ENTRIES);
    else if (kind === 13) row.map.clear();
    else if (kind === 14) {
      const window = `w${random % WINDOWS}`;
      row.windows.set(window, (row.windows.get(window) ?? 0) + (random % 100));
    } else {
      row.sum += random % 1000;
      row.count++;
    }
    return { key, total: row.total };
  }
}

export function modelOf(seed: number, offset: number): Model {
  const model = new Model();
  for (let at = 0; at < offset; at++) model.apply(seed, at);
  return model;
}

/** In every tenth job texts are large: much of what a checkpoint changes is in a changelog before it. */
function textOf(seed: number, offset: number, random: number): string {
  if (seed % LARGE_EVERY === 3) return `${offset}:${largeText(random)}`;
  return `${offset}:${random.toString(36).repeat(random % 40 === 0 ? 700 : random % 30)}`;
}

let noise = "";

/** Nothing that could be compressed. */
function largeText(random: number): string {
  if (noise === "") {
    const next = seededRandom(1);
    while (noise.length < NOISE_CHARACTERS) noise += next().toString(36).slice(2);
  }
  const start = random % (NOISE_CHARACTERS - LARGE_CHARACTERS);
  return noise.slice(start, start + LARGE_CHARACTERS);
}

interface Mean {
  readonly sum: number;
  readonly count: number;
}

function declare(backend: KeyedStateBackend) {
  return {
    total: backend.valueState({ name: "total", value: f64 }),
    text: backend.valueState({ name: "text", value: utf8 }),
    list: backend.listState({ name: "list", element: i64 }),
    map: backend.mapState({ name: "map", key: i64, value: utf8 }),
    windows: backend.reducingState({
      name: "windows",
      value: i64,
      reduce: (a, b) => a + b,
      namespaces: true,
    }),
    mean: backend.aggregatingState({
      name: "mean",
      accumulator: struct<Mean>({ sum: f64, count: i64 }),
      aggregate: {
        createAccumulator: (): Mean => ({ sum: 0, count: 0 }),
        add: ({ sum, count }: Mean, value: number): Mean => ({
          sum: sum + value,
          count: count + 1,
        }),
        getResult: (mean: Mean): Mean => mean,
        merge: (a: Mean, b: Mean): Mean => ({ sum: a.sum + b.sum, count: a.count + b.count }),
      },
    }),
  };
}

/** The states of one backend, driven by records. */
export class JobStates {
  readonly #backend: KeyedStateBackend;
  readonly #states: ReturnType<typeof declare>;

  constructor(backend: KeyedStateBackend) {
    this.#backend = backend;
    this.#states = declare(backend);
  }

  /** As `Model.apply`. */
  perform(seed: number, offset: number): { readonly key: string; readonly total: number } {
    const { key, kind, random } = recordAt(seed, offset);
    const { total, text, list, map, windows, mean } = this.#states;
    return this.#backend.withKey(key, () => {
      const count = (total.value() ?? 0) + 1;
      total.update(count);
      if (kind < 4) text.update(textOf(seed, offset, random));
      else if (kind === 4) text.clear();
      else if (kind < 8) list.add(offset);
      else if (kind === 8) list.clear();
      else if (kind < 12) map.put(random % MAP_ENTRIES, `${offset}:${"m".repeat(random % 60)}`);
      else if (kind === 12) map.remove(random % MAP_ENTRIES);
      else if (kind === 13) map.clear();
      else if (kind === 14) {
        windows.setCurrentNamespace(`w${random % WINDOWS}`);
        windows.add(random % 100);
      } else mean.add(random % 1000);
      return { key, total: count };
    });
  }

  /** Every row is as the model says, and there is no other. */
  async check(model: Model): Promise<void> {
    const { total, text, list, map, windows, mean } = this.#states;
    for (let index = 0; index < KEYS; index++) {
      const key = `key-${index}`;
      const row = model.rows.get(key);
      this.#backend.withKey(key, () => {
        assert.equal(total.value(), row?.total, `total of ${key}`);
        assert.equal(text.value(), row?.text, `text of ${key}`);
        assert.deepEqual(list.get(), row?.list ?? [], `list of ${key}`);
        const entries = [...(row?.map ?? [])].sort(([a], [b]) => a - b);
        assert.deepEqual([...map.entries()], entries, `map of ${key}`);
        for (let window = 0; window < WINDOWS; window++) {
          windows.setCurrentNamespace(`w${window}`);
          assert.equal(windows.get(), row?.windows.get(`w${window}`), `window ${window} of ${key}`);
        }
        const expected = row?.count ? { sum: row.sum, count: row.count } : undefined;
        assert.deepEqual(mean.get(), expected, `mean of ${key}`);
      });
    }
    const found: string[] = [];
    for await (const key of total.keys()) found.push(key as string);
    assert.deepEqual(found.sort(), [...model.rows.keys()].sort(), "keys");
  }
}
