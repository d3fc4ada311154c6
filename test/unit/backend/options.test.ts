import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { describe, test } from "vitest";
import {
  MIB,
  fileSystemStorage,
  openKeyedStateBackend,
  openStateHost,
} from "../../../src/index.ts";
import type { KeyedStateBackendOptions, StateHostOptions } from "../../../src/index.ts";
import { Workplace } from "./fixture.ts";

const handle = (first: number, last: number, max = 128) => ({
  keyGroups: { max, first, last },
  changeNumber: 1,
  base: {
    kind: "sst-set",
    fileList: { id: "00".repeat(16), lengthBytes: 1, sha256: "00".repeat(32) },
    totalBytes: 0,
    fileCount: 0,
  },
  states: [],
});

/** Each must be refused. `host` and paths come from elsewhere. */
const wrongOptions: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "an unknown name": { memoryBudget: 1 },
  "an unknown backend": { backend: "rocksdb" },
  "an unknown policy": { policy: "journal" },
  "incremental checkpoints of the memory backend": { backend: "memory", policy: "incremental" },
  "no working directory": { workingDirectory: undefined },
  "an empty working directory": { workingDirectory: "" },
  "a working directory with a zero byte": { workingDirectory: "a\0b" },
  "a storage that is a path": { checkpointStorage: "/tmp" },
  "no storage": { checkpointStorage: undefined },
  "no restore": { restore: undefined },
  "an empty restore": { restore: "" },
  "checkpoint id 0": { restore: 0 },
  "a fraction as checkpoint id": { restore: 1.5 },
  "restore: null": { restore: null },
  "restore without handles": { restore: { checkpointId: 1 } },
  "handles that do not fit": { restore: { checkpointId: 1, handles: [handle(0, 63)] } },
  "handles that overlap": {
    restore: { checkpointId: 1, handles: [handle(0, 64), handle(64, 127)] },
  },
  "handles of other key groups": { restore: { checkpointId: 1, handles: [handle(0, 127, 256)] } },
  "no handles": { restore: { checkpointId: 1, handles: [] } },
  "a budget below the minimum": { memoryBudgetBytes: 16 * MIB - 1 },
  "a negative budget": { memoryBudgetBytes: -1 },
  "a fraction as budget": { memoryBudgetBytes: 16 * MIB + 0.5 },
  "a budget as text": { memoryBudgetBytes: "64MiB" },
  "a budget beyond the largest": { memoryBudgetBytes: 2 ** 50 },
  "a budget of which LevelDB leaves nothing": { lsm: { blockCacheBytes: 30 * MIB } },
  "reversed key groups": { keyGroups: { max: 128, first: 5, last: 4 } },
  "key groups beyond the last": { keyGroups: { max: 128, first: 0, last: 128 } },
  "negative key groups": { keyGroups: { max: 128, first: -1, last: 127 } },
  "no key groups": { keyGroups: { max: 0 } },
  "too many key groups": { keyGroups: { max: 32_769 } },
  "a fraction of key groups": { keyGroups: { max: 1.5 } },
  "an unknown name in keyGroups": { keyGroups: { maximum: 4 } },
  "no retained checkpoint": { retainedCheckpoints: 0 },
  "too many retained checkpoints": { retainedCheckpoints: 1001 },
  "a host that is none": { host: {}, memoryBudgetBytes: undefined },
  "an unknown name in lsm": { lsm: { cacheSize: 1 } },
  "a block cache below the minimum": { lsm: { blockCacheBytes: 65_535 } },
  "a memtable below the minimum": { lsm: { writeBufferBytes: 65_535 } },
  "a file size above the maximum": { lsm: { fileSizeBytes: 67_108_865 } },
  "a block size below the minimum": { lsm: { blockSizeBytes: 1023 } },
  "too few open files": { lsm: { maxOpenFiles: 73 } },
  "compression by name": { lsm: { compression: "snappy" } },
};

describe("openKeyedStateBackend refuses", () => {
  for (const [name, wrong] of Object.entries(wrongOptions)) {
    test(name, async () => {
      const place = new Workplace();
      const options = { ...place.options(), ...wrong } as unknown as KeyedStateBackendOptions;
      await assert.rejects(openKeyedStateBackend(options), { code: "VARVE_INVALID_ARGUMENT" });
      const stored = existsSync(place.checkpoints) ? readdirSync(place.checkpoints) : [];
      assert.deepEqual(stored, [], "nothing was stored");
      // The refusal left nothing behind that would be in the way.
      const backend = await place.open();
      assert.equal(backend.restored, undefined);
    });
  }

  for (const wrong of [undefined, null, "options", 5]) {
    test(`${String(wrong)} as options`, async () => {
      const options = wrong as unknown as KeyedStateBackendOptions;
      await assert.rejects(openKeyedStateBackend(options), { code: "VARVE_INVALID_ARGUMENT" });
    });
  }
});

describe("a storage in a directory", () => {
  for (const [root, options] of [
    ["", {}],
    ["a\0b", {}],
    [5, {}],
    ["/tmp", { transfer: "move" }],
    ["/tmp", { mode: "link" }],
  ] as const) {
    test(`is refused for ${JSON.stringify(root)} with ${JSON.stringify(options)}`, () => {
      const make = (): unknown => fileSystemStorage(root as string, options as object);
      assert.throws(make, { code: "VARVE_INVALID_ARGUMENT" });
    });
  }
});

describe("a state host", () => {
  const wrongHosts: readonly object[] = [
    { memoryBudgetBytes: 1 },
    { memoryBudgetBytes: NaN },
    { workers: 0 },
    { workers: 65 },
    { threads: 1 },
  ];
  for (const wrong of wrongHosts) {
    test(`is refused for ${JSON.stringify(wrong)}`, async () => {
      const open = openStateHost(wrong as StateHostOptions);
      await assert.rejects(open, { code: "VARVE_INVALID_ARGUMENT" });
    });
  }

  test("has the budget: a backend with one takes none of its own", async () => {
    await using host = await openStateHost({ memoryBudgetBytes: 32 * MIB, workers: 1 });
    const place = new Workplace();
    const both = { ...place.options({ host }), memoryBudgetBytes: 32 * MIB };
    await assert.rejects(openKeyedStateBackend(both), { code: "VARVE_INVALID_ARGUMENT" });
  });

  test("that is closed takes no backend", async () => {
    const host = await openStateHost({ memoryBudgetBytes: 32 * MIB, workers: 1 });
    await host.close();
    await host.close();
    await assert.rejects(new Workplace().open({ host }), { code: "VARVE_CLOSED" });
  });

  test("takes no more backends than its budget has room for, and the others go on", async () => {
    await using host = await openStateHost({ memoryBudgetBytes: 16 * MIB, workers: 1 });
    const places = [new Workplace(), new Workplace()];
    const first = await places[0]!.open({ host });
    await assert.rejects(places[1]!.open({ host }), { code: "VARVE_INVALID_ARGUMENT" });
    await first.checkpoint();
    await first.close();
    const second = await places[1]!.open({ host });
    await second.checkpoint();
    await second.close();
  });
});
