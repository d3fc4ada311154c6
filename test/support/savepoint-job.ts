// A job with every type of state, and a model of what it holds.
import assert from "node:assert/strict";
import { f64, i64, struct, utf8 } from "../../src/index.ts";
import type { Key, KeyedStateBackend } from "../../src/index.ts";
import { keyGroupOf } from "../../src/common/key-group.ts";
import { encodeKeyPayload, hashKeyPayload, keyTagOf } from "../../src/format/key-codec.ts";

interface Row {
  total: number;
  readonly list: string[];
  readonly map: Map<number, string>;
  readonly windows: Map<string, number>;
  readonly tags: Map<number, string[]>;
  sum: number;
  count: number;
}

/** Strings, numbers, bigints and bytes in turn. */
export function keyOf(index: number): Key {
  switch (index % 4) {
    case 0:
      return `key-${index}`;
    case 1:
      return index / 3;
    case 2:
      return BigInt(index) * -(10n ** 12n);
    default:
      return Uint8Array.of(0, index >> 8, index & 255, 0);
  }
}

export function groupOf(key: Key, max: number): number {
  return keyGroupOf(hashKeyPayload(keyTagOf(key), encodeKeyPayload(key)), max);
}

function statesOf(backend: KeyedStateBackend) {
  return {
    total: backend.valueState({ name: "total", value: f64 }),
    list: backend.listState({ name: "list", element: utf8 }),
    map: backend.mapState({ name: "map", key: i64, value: utf8 }),
    windows: backend.reducingState({
      name: "windows",
      value: i64,
      reduce: (a, b) => a + b,
      namespaces: true,
    }),
    tags: backend.listState({ name: "tags", element: utf8, namespaces: true }),
    mean: backend.aggregatingState({
      name: "mean",
      accumulator: struct({ sum: f64, count: i64 }),
      aggregate: {
        createAccumulator: () => ({ sum: 0, count: 0 }),
        add: ({ sum, count }: { sum: number; count: number }, value: number) => ({
          sum: sum + value,
          count: count + 1,
        }),
        getResult: ({ sum, count }: { sum: number; count: number }) => sum / count,
        merge: (a: { sum: number; count: number }, b: { sum: number; count: number }) => ({
          sum: a.sum + b.sum,
          count: a.count + b.count,
        }),
      },
    }),
  };
}

export class SavepointJob {
  readonly keyCount: number;
  readonly model: Map<number, Row> = new Map();
  #seed: number;

  constructor(keyCount: number, seed: number = 7) {
    this.keyCount = keyCount;
    this.#seed = seed;
  }

  #random(below: number): number {
    this.#seed = (this.#seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    return (this.#seed >>> 8) % below;
  }

  /** Changes keys of the backends' key groups: one of every few is removed, some collections are large. */
  async change(backends: readonly KeyedStateBackend[], records: number): Promise<void> {
    const all = backends.map((backend) => ({ backend, states: statesOf(backend) }));
    for (let record = 0; record < records; record++) {
      const index = this.#random(this.keyCount);
      const { backend, states } = all.find((one) => owns(one.backend, index))!;
      if (backend.needsDrain) await backend.drained();
      backend.setCurrentKey(keyOf(index));
      this.#changeOne(index, states);
    }
  }

  #changeOne(index: number, states: ReturnType<typeof statesOf>): void {
    if (this.#random(10) === 0) {
      this.#remove(index, states);
      return;
    }
    let row = this.model.get(index);
    if (row === undefined) {
      row = {
        total: 0,
        list: [],
        map: new Map(),
        windows: new Map(),
        tags: new Map(),
        sum: 0,
        count: 0,
      };
      this.model.set(index, row);
    }
    row.total += index;
    states.total.update(row.total);
    const isLarge = index % 100 === 0;
    for (let element = 0; element < (isLarge ? 200 : 1); element++) {
      const text = `element-${this.#random(1e6)}`.padEnd(30, "-");
      row.list.push(text);
      states.list.add(text);
      const mapKey = this.#random(isLarge ? 5000 : 8) - 4;
      row.map.set(mapKey, text);
      states.map.put(mapKey, text);
    }
    const window = `w${this.#random(3)}`;
    row.windows.set(window, (row.windows.get(window) ?? 0) + 1);
    states.windows.setCurrentNamespace(window);
    states.windows.add(1);
    const space = this.#random(2);
    row.tags.set(space, [...(row.tags.get(space) ?? []), window]);
    states.tags.setCurrentNamespace(space);
    states.tags.add(window);
    row.sum += index;
    row.count++;
    states.mean.add(index);
  }

  #remove(index: number, states: ReturnType<typeof statesOf>): void {
    const row = this.model.get(index);
    if (row === undefined) return;
    this.model.delete(index);
    for (const state of [states.total, states.list, states.map, states.mean]) state.clear();
    for (const window of row.windows.keys()) {
      states.windows.setCurrentNamespace(window);
      states.windows.clear();
    }
    for (const space of row.tags.keys()) {
      states.tags.setCurrentNamespace(space);
      states.tags.clear();
    }
  }

  /** Every row of the backend's key groups is as the model says, and there is no other. */
  async check(backend: KeyedStateBackend): Promise<void> {
    const states = statesOf(backend);
    let owned = 0;
    for (let index = 0; index < this.keyCount; index++) {
      if (!owns(backend, index)) continue;
      const row = this.model.get(index);
      if (row !== undefined) owned++;
      backend.setCurrentKey(keyOf(index));
      assert.equal(states.total.value(), row?.total, `total of ${index}`);
      assert.deepEqual(states.list.get(), row?.list ?? []);
      const entries = [...(row?.map ?? [])].sort(([a], [b]) => a - b);
      assert.deepEqual([...states.map.entries()], entries);
      assert.equal(states.mean.get(), row === undefined ? undefined : row.sum / row.count);
      for (const window of ["w0", "w1", "w2"]) {
        states.windows.setCurrentNamespace(window);
        assert.equal(states.windows.get(), row?.windows.get(window));
      }
      for (const space of [0, 1]) {
        states.tags.setCurrentNamespace(space);
        assert.deepEqual(states.tags.get(), row?.tags.get(space) ?? []);
      }
    }
    let found = 0;
    for await (const key of states.total.keys()) {
      assert.ok(key !== undefined);
      found++;
    }
    assert.equal(found, owned);
  }

  /** A model of this moment, for what is restored later. */
  freeze(): SavepointJob {
    const frozen = new SavepointJob(this.keyCount, this.#seed);
    for (const [index, row] of structuredClone([...this.model])) frozen.model.set(index, row);
    return frozen;
  }
}

function owns({ keyGroups }: KeyedStateBackend, index: number): boolean {
  const group = groupOf(keyOf(index), keyGroups.max);
  return group >= keyGroups.first && group <= keyGroups.last;
}
