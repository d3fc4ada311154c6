// Policy "changelog": small segments are put together, so that hundreds of checkpoints are not hundreds
// of files.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { MIB, fileSystemStorage, openKeyedStateBackend, openStateHost } from "../../src/index.ts";
import type { CheckpointStorage, KeyedStateBackend, KeyedStateHandle } from "../../src/index.ts";
import { type LogMergeTrace, logMergeTracing } from "../../src/diagnostics.ts";
import {
  close,
  isOwn,
  madeBase,
  open,
  opened,
  read,
  reopened,
  root,
  write,
} from "../support/changelog-backends.ts";
import { wholeObjects } from "../support/other-storages.ts";

const mergedMax = 16; // As by default: from then on small ones are put together.

function objects(): CheckpointStorage {
  return wholeObjects(fileSystemStorage(join(root, "checkpoints")));
}

function segmentFiles(): string[] {
  const folder = join(root, "checkpoints/files");
  const isSegment = (name: string): boolean =>
    readFileSync(join(folder, name)).toString("latin1", 0, 8) === "VARVESEG";
  return readdirSync(folder).filter(isSegment);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** Checkpoints with these values, one after the other. */
async function checkpoints(
  backend: KeyedStateBackend,
  first: number,
  count: number,
): Promise<void> {
  for (let value = first; value < first + count; value++) {
    write(backend, value, value % 50, 10);
    await backend.checkpoint();
    await turn();
  }
}

/** Until what is under way in the background is done, and named. */
async function untilMerged(backend: KeyedStateBackend, times: number): Promise<void> {
  read(backend, 0); // Declares the states.
  while ((backend.stats().changelog?.merges ?? 0) < times) {
    await turn();
    await backend.checkpoint();
  }
}

function allOf(backend: KeyedStateBackend): unknown[] {
  return Array.from({ length: 60 }, (_, key) => read(backend, key));
}

interface SeenMerges {
  readonly traces: LogMergeTrace[];
  readonly errors: unknown[];
}

/** Merges that were made, and errors of those that failed, while the work went on. */
async function merges(work: (seen: SeenMerges) => Promise<void>): Promise<SeenMerges> {
  const seen: SeenMerges = { traces: [], errors: [] };
  const subscriber = {
    asyncEnd: (trace: LogMergeTrace & { error?: unknown }) => {
      if (trace.error === undefined) seen.traces.push(trace);
      else seen.errors.push(trace.error);
    },
  };
  logMergeTracing.subscribe(subscriber as never);
  await work(seen);
  logMergeTracing.unsubscribe(subscriber as never);
  return seen;
}

describe("small segments", () => {
  test("of hundreds of checkpoints become few, and everything comes back from them", async () => {
    const options = { checkpointStorage: objects(), retainedCheckpoints: 3 };
    const backend = await open(options);
    const { traces, errors } = await merges(() => checkpoints(backend, 0, 150));
    const before = allOf(backend);
    assert.deepEqual(errors, []);
    assert.ok(traces.length >= 3, `${traces.length} merges`);
    assert.ok(traces.every(({ parts, uploadedBytes }) => parts >= mergedMax && uploadedBytes! > 0));
    assert.ok((backend.stats().changelog?.segments ?? 0) >= 150);
    const again = await reopened(backend, options);
    assert.deepEqual(allOf(again), before);
    // Those of the retained checkpoints, of a merge that no checkpoint named yet, and what comes next.
    const left = segmentFiles().length;
    assert.ok(left <= 3 * mergedMax, `${left} segments are left`);
  });

  test("are named by every retained checkpoint, before and after they were put together", async () => {
    const retainedCheckpoints = 1000;
    const options = { checkpointStorage: objects(), retainedCheckpoints };
    const backend = await open(options);
    const taken: { readonly location: string; readonly expected: unknown[] }[] = [];
    const named = (): number => backend.stats().changelog?.merges ?? 0;
    for (let value = 0; value < 30 || named() === 0; value++) {
      write(backend, value, value % 50, 10);
      const { location } = await backend.checkpoint();
      taken.push({ location, expected: allOf(backend) });
      await turn();
    }
    await close(backend);
    for (const number of [0, 14, 17, 22, taken.length - 1]) {
      const workingDirectory = join(root, `branch-${number}`);
      const checkpointStorage = fileSystemStorage(join(root, `other-${number}`));
      const { location, expected } = taken[number]!;
      const branch = await open({ workingDirectory, checkpointStorage, restore: location });
      assert.deepEqual(allOf(branch), expected, location);
    }
  });

  test("left by restarts are put together as well", async () => {
    const options = { changelog: { segmentsToMerge: 3 }, retainedCheckpoints: 1 };
    let backend = await open(options);
    write(backend, 0);
    await backend.checkpoint();
    for (let value = 1; value <= 5; value++) {
      write(backend, value, value % 50, 10);
      await backend.checkpoint();
      backend = await reopened(backend, { ...options, changelog: {} });
    }
    const before = allOf(backend);
    const many = segmentFiles().length;
    backend = await reopened(backend, options);
    await untilMerged(backend, 1);
    assert.deepEqual(allOf(await reopened(backend, options)), before);
    const left = segmentFiles().length;
    assert.ok(many >= 5 && left <= 4, `${left} of ${many} segments are left`);
  });

  test("that tasks of one process share are put together for each of them", async () => {
    const host = await openStateHost({ memoryBudgetBytes: 64 * MIB });
    const checkpointStorage = objects();
    const tasks: KeyedStateBackend[] = [];
    const openTask = async (first: number): Promise<void> => {
      const backend = await openKeyedStateBackend({
        host,
        workingDirectory: join(root, `work-${first}`),
        checkpointStorage,
        keyGroups: { max: 128, first, last: first + 63 },
        policy: "changelog",
        restore: { checkpointId: 0, handles: [] },
      });
      opened.push(backend);
      tasks.push(backend);
    };
    await openTask(0);
    await openTask(64);
    let handles: readonly KeyedStateHandle[] = [];
    for (let id = 1; id <= 40; id++) {
      for (const [index, backend] of tasks.entries()) {
        for (let key = 0; key < 60; key++) {
          if (isOwn(backend, key) && (key + id + index) % 7 === 0) write(backend, id, key, 1);
        }
      }
      const results = await Promise.all(tasks.map((backend) => backend.snapshot(id).result));
      handles = results.map(({ handle }) => handle);
      for (const backend of tasks) backend.notifyCheckpointComplete(id);
      await turn();
    }
    for (const backend of tasks) assert.ok((backend.stats().changelog?.merges ?? 0) > 0);
    const expected = Array.from({ length: 60 }, (_, key) =>
      read(
        tasks.find((backend) => isOwn(backend, key))!,
        key,
      ),
    );
    for (const backend of tasks) await close(backend);
    const workingDirectory = join(root, "work-all");
    const restore = { checkpointId: 40, handles };
    const all = await open({ workingDirectory, checkpointStorage, restore });
    assert.deepEqual(allOf(all), expected);
    await close(all);
    await host.close();
  });
});

describe("a merge", () => {
  test("whose checkpoint is given up leaves the parts, and is made again", async () => {
    const storage = failingStorage();
    const options = { checkpointStorage: storage, retainedCheckpoints: 1 };
    const backend = await open(options);
    const named = (): number => backend.stats().changelog?.merges ?? 0;
    const { traces } = await merges(async (seen) => {
      // Until one is made that no checkpoint has named.
      while (seen.traces.length === named()) await checkpoints(backend, 0, 1);
    });
    for (let failed = 0; failed < 3; failed++) {
      storage.failures = 1;
      write(backend, 1000 + failed, failed, 5);
      await assert.rejects(backend.checkpoint(), { code: "VARVE_CHECKPOINT_ABORTED" });
    }
    await untilMerged(backend, traces.length);
    const before = allOf(backend);
    const again = await reopened(backend, options);
    assert.deepEqual(allOf(again), before);
  });

  test("never passes on damage: the next checkpoint holds everything instead", async () => {
    const options = { checkpointStorage: objects() };
    const backend = await open(options);
    await checkpoints(backend, 0, mergedMax - 2);
    const folder = join(root, "checkpoints/files");
    const [damaged] = segmentFiles();
    const bytes = readFileSync(join(folder, damaged!));
    bytes.writeUInt8(bytes.at(-1)! ^ 1, bytes.length - 1);
    rmSync(join(folder, damaged!));
    writeFileSync(join(folder, damaged!), bytes);
    const { errors } = await merges(async (seen) => {
      while (seen.errors.length === 0) await checkpoints(backend, 100, 1);
    });
    assert.match(String(errors[0]), new RegExp(damaged!));
    assert.equal(backend.stats().changelog?.failedMerges, 1);
    write(backend, 2000);
    assert.ok(madeBase(await backend.checkpoint()));
    const before = allOf(backend);
    assert.deepEqual(allOf(await reopened(backend, options)), before);
  });

  test("that cannot be stored is tried again later, and no checkpoint waits for it", async () => {
    const storage = failingStorage();
    const options = { checkpointStorage: storage };
    const backend = await open(options);
    await checkpoints(backend, 0, mergedMax - 2);
    storage.refusesMerged = true;
    const { errors } = await merges(async (seen) => {
      while (seen.errors.length === 0) await checkpoints(backend, 100, 1);
      await checkpoints(backend, 200, 20);
    });
    assert.equal(backend.stats().changelog?.failedMerges, errors.length);
    storage.refusesMerged = false;
    await untilMerged(backend, 1);
    const before = allOf(backend);
    assert.deepEqual(allOf(await reopened(backend, options)), before);
  });

  interface FailingStorage extends CheckpointStorage {
    /** Metadata that is refused. */
    failures: number;
    /** Files of more than a few batches. */
    refusesMerged: boolean;
  }

  function failingStorage(): FailingStorage {
    const inner = objects();
    const storage = Object.create(inner) as FailingStorage;
    storage.failures = 0;
    storage.refusesMerged = false;
    storage.createIfAbsent = async (name, bytes) => {
      if (storage.failures > 0 && storage.failures-- > 0) throw new Error("refused");
      return inner.createIfAbsent(name, bytes);
    };
    storage.putBytes = async (name, bytes, options) => {
      const batches = Buffer.from(bytes).toString("latin1").split("VBAT").length - 1;
      if (storage.refusesMerged && batches >= mergedMax) throw new Error("no space for it");
      return inner.putBytes(name, bytes, options);
    };
    return storage;
  }
});
