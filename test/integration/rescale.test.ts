// Rescaling: a chain of parallelisms with changes in between, against a model.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { describe, test } from "vitest";
import {
  type KeyGroupRange,
  type KeyedStateBackend,
  type KeyedStateBackendOptions,
  type KeyedStateHandle,
  MIB,
  type RestoreTarget,
  f64,
  fileSystemStorage,
  i64,
  openKeyedStateBackend,
  utf8,
} from "../../src/index.ts";
import { keyGroupOf } from "../../src/common/key-group.ts";
import { hashKeyPayload, encodeKeyPayload, keyTagOf } from "../../src/format/key-codec.ts";
import { busyChangelog } from "../support/busy-changelog.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { isLong, sample } from "../support/long-tests.ts";

const groups = 32;
const keyCount = 3000;

function rangesOf(parallelism: number): KeyGroupRange[] {
  const start = (task: number) => Math.ceil((groups * task) / parallelism);
  return Array.from({ length: parallelism }, (_, task) => {
    return { max: groups, first: start(task), last: start(task + 1) - 1 };
  });
}

const keyOf = (index: number) => (index % 3 === 0 ? `key-${index}` : index);

function groupOfKey(index: number): number {
  const key = keyOf(index);
  return keyGroupOf(hashKeyPayload(keyTagOf(key), encodeKeyPayload(key)), groups);
}

interface Row {
  total: number;
  list: string[];
  map: Map<number, string>;
  windows: Map<string, number>;
}

/** A task's backend, and its states. */
class Task {
  readonly backend: KeyedStateBackend;
  readonly range: KeyGroupRange;
  readonly total;
  readonly list;
  readonly map;
  readonly windows;

  constructor(backend: KeyedStateBackend, range: KeyGroupRange) {
    this.backend = backend;
    this.range = range;
    this.total = backend.valueState({ name: "total", value: f64 });
    this.list = backend.listState({ name: "list", element: utf8 });
    this.map = backend.mapState({ name: "map", key: i64, value: utf8 });
    const reduce = (a: number, b: number): number => a + b;
    this.windows = backend.reducingState({
      name: "windows",
      value: i64,
      reduce,
      namespaces: true,
    });
  }
}

class RescaleJob {
  readonly root: string;
  readonly options: Partial<KeyedStateBackendOptions>;
  readonly model = new Map<number, Row>();
  tasks: Task[] = [];
  handles: KeyedStateHandle[] = [];
  checkpointId = 0;
  generation = 0;
  #seed = 5;

  constructor(root: string, options: Partial<KeyedStateBackendOptions>) {
    this.root = root;
    this.options = options;
  }

  random(below: number): number {
    this.#seed = (this.#seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    return (this.#seed >>> 8) % below;
  }

  async open(parallelism: number): Promise<void> {
    this.generation++;
    const { checkpointId, handles } = this;
    for (const [index, range] of rangesOf(parallelism).entries()) {
      const backend = await openKeyedStateBackend({
        ...this.options,
        workingDirectory: join(this.root, `work-${this.generation}-${index}`),
        checkpointStorage: fileSystemStorage(join(this.root, "checkpoints")),
        restore: handles.length === 0 ? "latest-or-new" : { checkpointId, handles },
        keyGroups: range,
      });
      this.tasks.push(new Task(backend, range));
    }
  }

  async change(records: number): Promise<void> {
    for (let record = 0; record < records; record++) {
      this.#changeOne();
      const full = this.tasks.find(({ backend }) => backend.needsDrain);
      if (full !== undefined) await full.backend.drained();
    }
  }

  #changeOne(): void {
    const index = this.random(keyCount);
    const group = groupOfKey(index);
    const task = this.tasks.find(({ range }) => group >= range.first && group <= range.last)!;
    task.backend.setCurrentKey(keyOf(index));
    if (this.random(12) === 0) {
      task.total.clear();
      task.list.clear();
      task.map.clear();
      this.model.delete(index);
      return;
    }
    let row = this.model.get(index);
    if (row === undefined) {
      row = { total: 0, list: [], map: new Map(), windows: new Map() };
      this.model.set(index, row);
      for (const window of ["a", "b"]) {
        task.windows.setCurrentNamespace(window);
        task.windows.clear(); // What an earlier life of the key has left.
      }
    }
    row.total += index;
    task.total.update((task.total.value() ?? 0) + index);
    const element = `e${this.random(1e6)}`;
    row.list.push(element);
    task.list.add(element);
    const entries = index % 50 === 0 ? 60 : 1; // Some maps become trees.
    for (let entry = 0; entry < entries; entry++) {
      const mapKey = this.random(index % 50 === 0 ? 4000 : 8);
      row.map.set(mapKey, `${element}-${mapKey}`.padEnd(40, "."));
      task.map.put(mapKey, row.map.get(mapKey)!);
    }
    const window = this.random(2) === 0 ? "a" : "b";
    row.windows.set(window, (row.windows.get(window) ?? 0) + 1);
    task.windows.setCurrentNamespace(window);
    task.windows.add(1);
  }

  async snapshot(): Promise<void> {
    this.checkpointId++;
    const snapshots = this.tasks.map(({ backend }) => backend.snapshot(this.checkpointId));
    const results = await Promise.all(snapshots.map(({ result }) => result));
    this.handles = results.map(({ handle }) => handle);
    for (const { backend } of this.tasks) backend.notifyCheckpointComplete(this.checkpointId);
  }

  async close(): Promise<void> {
    for (const { backend } of this.tasks.splice(0)) await backend.close();
  }

  check(): void {
    for (const { backend, total, list, map, windows, range } of this.tasks) {
      for (let index = 0; index < keyCount; index++) {
        const group = groupOfKey(index);
        if (group < range.first || group > range.last) continue;
        backend.setCurrentKey(keyOf(index));
        const row = this.model.get(index);
        assert.equal(total.value(), row?.total);
        assert.deepEqual([...list.get()], row?.list ?? []);
        const entries = [...(row?.map ?? [])].sort(([a], [b]) => a - b);
        assert.deepEqual([...map.entries()], entries);
        if (row === undefined) continue;
        for (const window of ["a", "b"]) {
          windows.setCurrentNamespace(window);
          assert.equal(windows.get(), row.windows.get(window));
        }
      }
    }
  }

  /** Key groups of all rows that the raw engines hold, tombstones apart. */
  async checkRaw(parallelism: number): Promise<void> {
    for (const [index, { first, last }] of rangesOf(parallelism).entries()) {
      const work = join(this.root, `work-${this.generation}-${index}`);
      const name = readdirSync(work).find((entry) => entry.startsWith("db-"));
      if (name === undefined) continue;
      const raw = new ClassicLevel<Uint8Array, Uint8Array>(join(work, name), {
        keyEncoding: "view",
        valueEncoding: "view",
        multithreading: true,
      });
      let rows = 0;
      for await (const key of raw.keys()) {
        const group = key[0]! * 256 + key[1]!;
        assert.ok(group >= first && group <= last, `a row of key group ${group}`);
        rows++;
      }
      await raw.close();
      assert.ok(rows > 0 || this.options.policy === "changelog"); // All may be in the log.
    }
  }
}

const subjects: [string, Partial<KeyedStateBackendOptions>][] = [
  [
    "lsm",
    {
      backend: "lsm",
      policy: "incremental",
      memoryBudgetBytes: 24 * MIB,
      lsm: { fileSizeBytes: MIB, writeBufferBytes: 131_072 },
    },
  ],
  [
    "lsm, policy changelog,",
    {
      backend: "lsm",
      policy: "changelog",
      changelog: busyChangelog,
      memoryBudgetBytes: 24 * MIB,
      lsm: { fileSizeBytes: MIB, writeBufferBytes: 131_072 },
    },
  ],
  ["memory", { backend: "memory", memoryBudgetBytes: 64 * MIB }],
];

describe.each(sample(subjects, 2))("rescaling the %s backend", (_name, options) => {
  test("a chain of parallelisms loses no row, and no foreign one comes back", async () => {
    const job = new RescaleJob(temporaryDirectory(), options);
    await job.open(2);
    await job.change(6000);
    for (const parallelism of isLong ? [3, 1, 4, 2, 5, 5, 1] : [3, 1, 4, 2]) {
      await job.snapshot();
      const model = structuredClone([...job.model]);
      await job.change(1500); // After the cut: must not show up.
      await job.close();
      job.model.clear();
      for (const [index, row] of model) job.model.set(index, row);
      await job.open(parallelism);
      await job.checkRaw(parallelism);
      job.check();
      await job.change(1500);
      job.check();
    }
    await job.close();
  }, 120_000);

  test("refuses gaps, overlaps and another number of key groups before anything is made", async () => {
    const root = temporaryDirectory();
    const job = new RescaleJob(root, options);
    await job.open(2);
    await job.change(200);
    await job.snapshot();
    const [left, right] = job.handles;
    await job.close();
    const open = (handles: readonly KeyedStateHandle[], keyGroups: KeyGroupRange) =>
      openKeyedStateBackend({
        ...options,
        workingDirectory: join(root, "refused"),
        checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
        restore: { checkpointId: 1, handles },
        keyGroups,
      });
    const all = { max: groups, first: 0, last: groups - 1 };
    const refused = { code: "VARVE_INVALID_ARGUMENT" };
    await assert.rejects(open([left!], all), { ...refused, message: /16 is in none/ });
    await assert.rejects(open([], all), { ...refused, message: /none/ });
    await assert.rejects(open([left!, right!, right!], all), {
      ...refused,
      message: /overlapping/,
    });
    const other = { max: 64, first: 0, last: 63 };
    await assert.rejects(open([left!, right!], other), { ...refused, message: /varve convert/ });
    const names = readdirSync(join(root, "refused")).filter((name) => !name.startsWith("lock"));
    assert.deepEqual(names, []);
  });

  test("splits and merges by the paths of checkpoint directories", async () => {
    const root = temporaryDirectory();
    const open = (name: string, restore: RestoreTarget, first: number, last: number) =>
      openKeyedStateBackend({
        ...options,
        workingDirectory: join(root, "work", name),
        checkpointStorage: fileSystemStorage(join(root, name)),
        restore,
        keyGroups: { max: groups, first, last },
      });
    const owns = (backend: KeyedStateBackend, index: number): boolean => {
      const group = groupOfKey(index);
      return group >= backend.keyGroups.first && group <= backend.keyGroups.last;
    };
    const check = (backend: KeyedStateBackend, factor: number): void => {
      const state = backend.valueState({ name: "total", value: f64 });
      for (let index = 0; index < 500; index++) {
        if (!owns(backend, index)) continue;
        backend.setCurrentKey(keyOf(index));
        assert.equal(state.value(), index * factor);
        state.update(index * factor * 10);
      }
    };
    const one = await open("one", "latest-or-new", 0, 31);
    const total = one.valueState({ name: "total", value: f64 });
    for (let index = 0; index < 500; index++) {
      one.setCurrentKey(keyOf(index));
      total.update(index);
    }
    await one.checkpoint({ offset: "one" });
    await one.close();

    const path = join(root, "one");
    // Its next checkpoint would replace the whole one, without the other half.
    await assert.rejects(open("one", "latest", 0, 15), {
      code: "VARVE_INVALID_ARGUMENT",
      message: /checkpointStorage of its own/,
    });
    const left = await open("left", path, 0, 15);
    const right = await open("right", path, 16, 31);
    assert.deepEqual(left.restored?.metadata, { offset: "one" });
    check(left, 1);
    check(right, 1);
    await left.checkpoint({ offset: "left" });
    await right.checkpoint({ offset: "right" });
    await right.checkpoint({ offset: "right again" });
    await left.close();
    await right.close();

    const both = await open("both", [join(root, "left"), join(root, "right")], 0, 31);
    assert.deepEqual(both.restored, {
      checkpointId: 3,
      metadata: undefined,
      parts: [
        {
          checkpointId: 2,
          metadata: { offset: "left" },
          keyGroups: [{ max: groups, first: 0, last: 15 }],
        },
        {
          checkpointId: 3,
          metadata: { offset: "right again" },
          keyGroups: [{ max: groups, first: 16, last: 31 }],
        },
      ],
    });
    check(both, 10);
    const { checkpointId } = await both.checkpoint();
    assert.equal(checkpointId, 4);
    await both.close();
    const again = await open("both", "latest", 0, 31);
    check(again, 100);
    await again.close();
  });

  test("refuses states of one name and different types", async () => {
    const root = temporaryDirectory();
    const open = (name: string, restore: RestoreTarget, first: number, last: number) =>
      openKeyedStateBackend({
        ...options,
        workingDirectory: join(root, "work", name),
        checkpointStorage: fileSystemStorage(join(root, name)),
        restore,
        keyGroups: { max: groups, first, last },
      });
    for (const [name, first, last] of [["a", 0, 15] as const, ["b", 16, 31] as const]) {
      const backend = await open(name, "latest-or-new", first, last);
      if (name === "a") backend.valueState({ name: "x", value: f64 });
      else backend.valueState({ name: "x", value: utf8 });
      await backend.checkpoint();
      await backend.close();
    }
    await assert.rejects(open("c", [join(root, "a"), join(root, "b")], 0, 31), {
      code: "VARVE_INCOMPATIBLE_SERIALIZER",
    });
  });
});
