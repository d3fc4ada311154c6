// Policy "changelog": small segments are put together, so that hundreds of checkpoints are not hundreds
// of files.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
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
  readMany,
  reopened,
  root,
  segmentsIn,
  write,
} from "../support/changelog-backends.ts";
import { storageWith, wholeObjects } from "../support/other-storages.ts";
import { auditStorage } from "../support/storage-audit.ts";

const mergedMin = 16; // As by default: from so many on, small ones are put together.

function objects(): CheckpointStorage {
  return wholeObjects(fileSystemStorage(join(root, "checkpoints")));
}

function segmentFiles(): string[] {
  return segmentsIn(join(root, "checkpoints/files"));
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
  return readMany(backend, 60);
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
    const { traces, errors } = await merges(() => checkpoints(backend, 0, 300));
    const before = allOf(backend);
    assert.deepEqual(errors, []);
    assert.ok(traces.length >= 5, `${traces.length} merges`);
    assert.ok(traces.every(({ parts, uploadedBytes }) => parts >= mergedMin && uploadedBytes! > 0));
    assert.ok((backend.stats().changelog?.segments ?? 0) >= 300);
    const again = await reopened(backend, options);
    assert.deepEqual(allOf(again), before);
    // Those of the retained checkpoints, of a merge that no checkpoint named yet, and what comes next.
    const left = segmentFiles().length;
    assert.ok(left <= 3 * mergedMin, `${left} segments are left`);
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
    for (let value = 1; value <= 7; value++) {
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
    assert.ok(many >= 7 && left <= 4, `${left} of ${many} segments are left`);
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
    const refusals = { metadata: 0, merged: false };
    const options = { checkpointStorage: refusing(refusals), retainedCheckpoints: 1 };
    const backend = await open(options);
    const named = (): number => backend.stats().changelog?.merges ?? 0;
    const { traces } = await merges(async (seen) => {
      // Until one is made that no checkpoint has named.
      while (seen.traces.length === named()) await checkpoints(backend, 0, 1);
    });
    for (let failed = 0; failed < 3; failed++) {
      refusals.metadata = 1;
      write(backend, 1000 + failed, failed, 5);
      await assert.rejects(backend.checkpoint(), { code: "VARVE_CHECKPOINT_ABORTED" });
    }
    await untilMerged(backend, traces.length);
    const before = allOf(backend);
    await close(backend);
    await assertNothingLeft();
    assert.deepEqual(allOf(await open({ ...options, restore: "latest" })), before);
  });

  test("that no checkpoint has named goes with its backend", async () => {
    const options = { checkpointStorage: objects(), retainedCheckpoints: 1 };
    const backend = await open(options);
    const named = (): number => backend.stats().changelog?.merges ?? 0;
    await merges(async (seen) => {
      while (seen.traces.length === named()) await checkpoints(backend, 0, 1);
    });
    await close(backend);
    await assertNothingLeft();
  });

  test("under way when its backend closes leaves nothing either", async () => {
    const inner = objects();
    const { promise: released, resolve: release } = promiseWithResolvers();
    let isHeld = false;
    const storage = storageWith(inner, {
      putBytes: async (name, bytes, options) => {
        if (!isMerged(bytes)) return inner.putBytes(name, bytes, options);
        isHeld = true;
        await released;
        await inner.putBytes(name, bytes); // As if it had gone out before anybody changed his mind.
      },
    });
    const backend = await open({ checkpointStorage: storage, retainedCheckpoints: 1 });
    await merges(async () => {
      while (!isHeld) await checkpoints(backend, 0, 1);
    });
    const closed = close(backend);
    release();
    await closed;
    await assertNothingLeft();
  });

  function promiseWithResolvers(): { promise: Promise<void>; resolve: () => void } {
    let resolve = (): void => undefined;
    const promise = new Promise<void>((fulfil) => (resolve = fulfil));
    return { promise, resolve };
  }

  test("of which a part is gone is no damage: the log goes on", async () => {
    const inner = objects();
    let isGone = true;
    const storage = storageWith(inner, {
      readRange: async (name, offset, length) => {
        const isPart = name.startsWith("files/") && offset === 0;
        return isPart && isGone ? undefined : inner.readRange(name, offset, length);
      },
    });
    const backend = await open({ checkpointStorage: storage });
    const { errors } = await merges(async (seen) => {
      while (seen.errors.length === 0) await checkpoints(backend, 0, 1);
    });
    assert.match(String(errors[0]), /does not exist any more/);
    isGone = false;
    write(backend, 3000);
    assert.equal(madeBase(await backend.checkpoint()), false);
    await untilMerged(backend, 1);
    const before = allOf(backend);
    assert.deepEqual(allOf(await reopened(backend)), before);
  });

  /** Everything in the storage is of a checkpoint, and all that checkpoints name is there. */
  async function assertNothingLeft(): Promise<void> {
    const { missing, unreferenced } = await auditStorage(objects());
    assert.deepEqual([missing, unreferenced], [[], []]);
  }

  function isMerged(bytes: Uint8Array): boolean {
    return Buffer.from(bytes).toString("latin1").split("VBAT").length - 1 >= mergedMin;
  }

  test("never passes on damage: the next checkpoint holds everything instead", async () => {
    const options = { checkpointStorage: objects() };
    const backend = await open(options);
    await checkpoints(backend, 0, mergedMin - 2);
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
    const refusals = { metadata: 0, merged: false };
    const options = { checkpointStorage: refusing(refusals) };
    const backend = await open(options);
    await checkpoints(backend, 0, mergedMin - 2);
    refusals.merged = true;
    const { errors } = await merges(async (seen) => {
      while (seen.errors.length === 0) await checkpoints(backend, 100, 1);
      await checkpoints(backend, 200, 20);
    });
    assert.equal(backend.stats().changelog?.failedMerges, errors.length);
    refusals.merged = false;
    await untilMerged(backend, 1);
    const before = allOf(backend);
    assert.deepEqual(allOf(await reopened(backend, options)), before);
  });

  interface Refusals {
    /** So many creations of metadata are refused. */
    metadata: number;
    /** Files of many batches are. */
    merged: boolean;
  }

  function refusing(refusals: Refusals): CheckpointStorage {
    const inner = objects();
    return storageWith(inner, {
      createIfAbsent: async (name, bytes) => {
        if (refusals.metadata > 0 && refusals.metadata-- > 0) throw new Error("refused");
        return inner.createIfAbsent(name, bytes);
      },
      putBytes: async (name, bytes, options) => {
        if (refusals.merged && isMerged(bytes)) throw new Error("no space for it");
        return inner.putBytes(name, bytes, options);
      },
    });
  }
});
