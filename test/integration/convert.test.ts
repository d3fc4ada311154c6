// Conversions: what a job wrote is what a job finds, through every format, backend and number of key
// groups, and under other serializers.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import {
  MIB,
  f64,
  fileSystemStorage,
  i64,
  json,
  openKeyedStateBackend,
  struct,
  utf8,
} from "../../src/index.ts";
import type {
  KeyGroupRange,
  KeyedStateBackend,
  KeyedStateBackendOptions,
} from "../../src/index.ts";
import { convertCheckpoint, openCheckpoint, verifyCheckpoint } from "../../src/inspect/index.ts";
import type { ConvertOptions } from "../../src/inspect/index.ts";
import { SavepointJob, keyOf } from "../support/savepoint-job.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

type Kind = "lsm" | "memory";

const optionsOf: Readonly<Record<Kind, Partial<KeyedStateBackendOptions>>> = {
  lsm: {
    backend: "lsm",
    memoryBudgetBytes: 24 * MIB,
    lsm: { fileSizeBytes: MIB, writeBufferBytes: 131_072 },
  },
  memory: { backend: "memory", memoryBudgetBytes: 96 * MIB },
};

class Place {
  readonly root = temporaryDirectory();
  #opened = 0;

  path(name: string): string {
    return join(this.root, name);
  }

  open(
    kind: Kind,
    restore: string,
    keyGroups: Partial<KeyGroupRange> = {},
  ): Promise<KeyedStateBackend> {
    const name = `job-${++this.#opened}`;
    return openKeyedStateBackend({
      ...optionsOf[kind],
      workingDirectory: this.path(`${name}/work`),
      checkpointStorage: fileSystemStorage(this.path(`${name}/checkpoints`)),
      restore,
      keyGroups,
    });
  }

  /** A job of this kind with a checkpoint, and the path of its storage. */
  async checkpointed(kind: Kind, job: SavepointJob, records: number): Promise<string> {
    const name = `job-${this.#opened + 1}`;
    const backend = await this.open(kind, "latest-or-new");
    for (let round = 0; round < 3; round++) {
      await job.change([backend], Math.ceil(records / 3));
      await backend.checkpoint({ round });
    }
    await backend.close();
    return this.path(`${name}/checkpoints`);
  }

  /** Converts, and checks that nothing else is left beside the target. */
  async convert(name: string, options: Omit<ConvertOptions, "target">): Promise<string> {
    const before = readdirSync(this.root);
    const { location } = await convertCheckpoint({ ...options, target: this.path(name) });
    assert.deepEqual(readdirSync(this.root).sort(), [...before, name].sort());
    return location;
  }
}

describe("a conversion", () => {
  test("leads native tables through rows, a dump and back, with other key groups each time", async () => {
    const place = new Place();
    const job = new SavepointJob(3000);
    const source = await place.checkpointed("lsm", job, 9000);
    const steps = [
      { name: "rows", format: "canonical", keyGroups: 300 },
      { name: "dump", format: "native", backend: "memory", keyGroups: 17 },
      { name: "again", format: "canonical" },
      { name: "tables", format: "native", backend: "lsm", keyGroups: 128 },
      { name: "more", format: "native", keyGroups: 129 },
    ] as const;
    let from = source;
    let max = 128;
    for (const { name, ...options } of steps) {
      from = await place.convert(name, { source: from, ...options });
      max = "keyGroups" in options ? options.keyGroups : max;
      const kinds: Kind[] = options.format === "canonical" ? ["lsm", "memory"] : [];
      if (name === "dump") kinds.push("memory");
      if (kinds.length === 0) kinds.push("lsm");
      for (const kind of kinds) {
        const restored = await place.open(kind, from, { max });
        assert.deepEqual(restored.restored?.metadata, { round: 2 });
        await job.check(restored);
        // It is a state like any other: changes go on, and their checkpoint restores.
        const copy = job.freeze();
        await copy.change([restored], 500);
        await copy.check(restored);
        await restored.close();
      }
      const view = await openCheckpoint(from);
      const report = await verifyCheckpoint(view, { rows: true });
      assert.ok(report.isIntact, JSON.stringify(report.damaged));
      await view.close();
    }
  }, 120_000);

  test("puts the handles of several tasks together", async () => {
    const place = new Place();
    const job = new SavepointJob(800);
    const ranges = [
      { max: 128, first: 0, last: 40 },
      { max: 128, first: 41, last: 127 },
    ];
    const backends: KeyedStateBackend[] = [];
    for (const range of ranges) backends.push(await place.open("memory", "latest-or-new", range));
    await job.change(backends, 2000);
    const saves: string[] = [];
    for (const [index, backend] of backends.entries()) {
      const { location } = await backend.savepoint(place.path(`task-${index}`));
      saves.push(location);
      await backend.close();
    }
    const both = await openKeyedStateBackend({
      ...optionsOf.lsm,
      workingDirectory: place.path("both/work"),
      checkpointStorage: fileSystemStorage(place.path("both/checkpoints")),
      restore: saves,
    });
    await both.close();
    // A part of the key groups may change its format, but not their number.
    const part = await place.convert("part", {
      source: saves[0]!,
      format: "native",
      backend: "lsm",
    });
    const restored = await place.open("lsm", part, ranges[0]);
    await job.check(restored);
    await restored.close();
    await assert.rejects(
      convertCheckpoint({ source: saves[0]!, target: place.path("no"), keyGroups: 64 }),
      { code: "VARVE_INVALID_ARGUMENT" },
    );
  }, 120_000);

  for (const keyGroups of [128, 90]) {
    test(`writes states under other serializers and names, ${keyGroups} key groups`, async () => {
      const place = new Place();
      const job = new SavepointJob(600, 3);
      const source = await place.checkpointed("lsm", job, 3000);
      const row = struct({ text: utf8, length: i64 });
      const target = await place.convert("changed", {
        source,
        format: "native",
        keyGroups,
        states: {
          total: { to: { value: utf8 }, map: (value: number) => `#${value}`, rename: "a name" },
          list: {
            from: { element: utf8 },
            to: { element: row },
            map: (text: string) => ({ text, length: text.length }),
          },
          map: {
            to: { key: utf8 },
            mapKey: (key: number) => `k${-key}`,
            map: (value: string, key: number) => `${key}:${value}`,
          },
          mean: {
            to: { accumulator: json<{ total: number }>() },
            map: ({ sum }: { sum: number }) => ({ total: sum }),
          },
          windows: { rename: "spans" },
          tags: { drop: true },
        },
      });
      const backend = await place.open("lsm", target, { max: keyGroups });
      const total = backend.valueState({ name: "a name", value: utf8 });
      const list = backend.listState({ name: "list", element: row });
      const map = backend.mapState({ name: "map", key: utf8, value: utf8 });
      const spans = backend.reducingState({
        name: "spans",
        value: i64,
        reduce: (a: number, b: number) => a + b,
        namespaces: true,
      });
      const mean = backend.aggregatingState({
        name: "mean",
        accumulator: json<{ total: number }>(),
        aggregate: {
          createAccumulator: () => ({ total: 0 }),
          add: ({ total: sum }, value: number) => ({ total: sum + value }),
          getResult: ({ total: sum }) => sum,
          merge: (a) => a,
        },
      });
      let [lists, trees] = [0, 0];
      for (let index = 0; index < job.keyCount; index++) {
        const model = job.model.get(index);
        backend.setCurrentKey(keyOf(index));
        assert.equal(total.value(), model && `#${model.total}`);
        const elements = (model?.list ?? []).map((text) => ({ text, length: text.length }));
        assert.deepEqual(list.get(), elements);
        const entries = [...(model?.map ?? [])].map(([key, value]) => {
          return [`k${-key}`, `${key}:${value}`] as [string, string];
        });
        entries.sort(([a], [b]) => (a < b ? -1 : 1));
        assert.deepEqual([...map.entries()], entries);
        assert.equal(mean.get(), model?.sum);
        for (const window of ["w0", "w1", "w2"]) {
          spans.setCurrentNamespace(window);
          assert.equal(spans.get(), model?.windows.get(window));
        }
        if (elements.length > 200) lists++;
        if (entries.length > 200) trees++;
        // They are lists and maps like any other.
        for (const [key] of entries.slice(0, 150)) map.remove(key);
        for (let added = 0; added < 20; added++) map.put(`new ${added}`, "x");
        list.add({ text: "last", length: 4 });
        assert.equal([...map.entries()].length, Math.max(0, entries.length - 150) + 20);
        assert.equal(list.get().length, elements.length + 1);
      }
      assert.ok(lists > 0 && trees > 0, "no collection was large");
      // What was dropped is not there, and its name is free.
      const tags = backend.valueState({ name: "tags", value: f64 });
      backend.setCurrentKey("key-0");
      assert.equal(tags.value(), undefined);
      await backend.checkpoint();
      await backend.close();
    }, 120_000);
  }
});
