// Goal: tasks of one process share a segment, and tools see of each checkpoint one state and one file.
import assert from "node:assert/strict";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "vitest";
import { fileName } from "../../../src/checkpoint/layout.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import {
  MIB,
  f64,
  fileSystemStorage,
  keyedStateTask,
  openCheckpointCoordinator,
  openKeyedStateBackend,
  openStateHost,
  utf8,
} from "../../../src/index.ts";
import {
  type CheckpointView,
  collectGarbage,
  convertCheckpoint,
  copyCheckpoint,
  diffCheckpoints,
  listCheckpoints,
  openCheckpoint,
  verifyCheckpoint,
} from "../../../src/inspect/index.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";
import { LogReader } from "../../../src/checkpoint/log-reader.ts";
import { readChanges } from "../../../src/format/changelog-rows.ts";
import { groupOf } from "../../support/savepoint-job.ts";
import { auditStorage } from "../../support/storage-audit.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const MAX = 16;
const TASKS = 3;
const KEYS = Array.from({ length: 400 }, (_none, index) => `key ${index}`);
type Model = ReadonlyMap<string, { readonly total: number; readonly tags: readonly string[] }>;

/** Runs a job whose checkpoints each change some keys. Models by checkpoint id. */
async function run(folder: string): Promise<Map<number, Model>> {
  const host = await openStateHost({ memoryBudgetBytes: 64 * MIB });
  const checkpointStorage = fileSystemStorage(join(folder, "checkpoints"));
  const coordinator = await openCheckpointCoordinator({
    checkpointStorage,
    taskCount: TASKS,
    restore: "latest-or-new",
    retainedCheckpoints: 20,
    onFailure: (error) => assert.fail(error),
  });
  const tasks = [];
  for (let task = 0; task < TASKS; task++) {
    const keyGroups = {
      max: MAX,
      first: Math.floor((task * MAX) / TASKS),
      last: Math.floor(((task + 1) * MAX) / TASKS) - 1,
    };
    const backend = await openKeyedStateBackend({
      host,
      policy: "changelog",
      checkpointStorage,
      workingDirectory: join(folder, `work-${task}`),
      restore: coordinator.restore,
      keyGroups,
    });
    const total = backend.valueState({ name: "total", value: f64 });
    tasks.push({ backend, total, tags: backend.listState({ name: "tags", element: utf8 }) });
  }
  coordinator.start(tasks.map(({ backend }) => keyedStateTask(backend, () => null)));
  const models = new Map<number, Model>();
  const model = new Map<string, { total: number; tags: string[] }>();
  for (let version = 1; version <= 6; version++) {
    for (const [index, key] of KEYS.entries()) {
      if (version > 1 && index % 7 !== version) continue;
      const group = groupOf(key, MAX);
      const { backend, total, tags } = tasks.find((task) => {
        return group >= task.backend.keyGroups.first && group <= task.backend.keyGroups.last;
      })!;
      backend.withKey(key, () => {
        total.update(version);
        tags.addAll(Array.from({ length: 40 }, (_none, at) => `tag ${version} ${at} of ${key}`));
      });
      const known = model.get(key)?.tags ?? [];
      const added = Array.from({ length: 40 }, (_none, at) => `tag ${version} ${at} of ${key}`);
      model.set(key, { total: version, tags: [...known, ...added] });
    }
    const { checkpointId } = await coordinator.trigger();
    models.set(checkpointId, new Map(model));
  }
  await coordinator.close();
  for (const { backend } of tasks) await backend.close();
  await host.close();
  return models;
}

async function viewing<R>(
  source: string,
  checkpointId: number | undefined,
  work: (view: CheckpointView) => Promise<R>,
): Promise<R> {
  const view = await openCheckpoint(source, checkpointId === undefined ? {} : { checkpointId });
  try {
    return await work(view);
  } finally {
    await view.close();
  }
}

async function assertHolds(view: CheckpointView, model: Model): Promise<void> {
  const totals = new Map<unknown, unknown>();
  for await (const { key, value } of view.scan("total")) totals.set(key, value);
  const tags = new Map<unknown, unknown>();
  for await (const { key, value } of view.scan("tags")) tags.set(key, value);
  assert.equal(totals.size, model.size);
  assert.equal(tags.size, model.size);
  for (const [key, expected] of model) {
    assert.deepEqual([totals.get(key), tags.get(key)], [expected.total, expected.tags], key);
  }
}

test("tools read what tasks of one process have logged together", async () => {
  const folder = temporaryDirectory();
  const directory = join(folder, "checkpoints");
  const models = await run(folder);
  const { checkpoints, damaged, users } = await listCheckpoints(directory);
  assert.deepEqual(damaged, []);
  assert.equal(checkpoints.length, 6);
  const audit = await auditStorage(fileSystemStorage(directory));
  assert.deepEqual([audit.missing, audit.unreadable, audit.unreferenced], [[], [], []]);
  assert.deepEqual(
    (await readdir(join(directory, "files"))).sort(),
    [...users.keys()].sort(),
    "no segment is left that nothing names",
  );

  const newest = checkpoints[0]!;
  assert.ok(newest.segmentCount >= 1 && newest.segmentCount < TASKS);
  assert.ok(newest.newBytes! < newest.logBytes);
  for (const [checkpointId, model] of models) {
    await viewing(directory, checkpointId, async (view) => {
      await assertHolds(view, model);
      assert.deepEqual((await verifyCheckpoint(view, { rows: true })).damaged, []);
      const segments = (await view.files()).filter(({ kind }) => kind === "segment");
      const logs = await view.logs();
      for (const { id, lengthBytes } of segments) {
        const named = view.metadata.handles.flatMap(({ log }) => log?.segments ?? []);
        const lengths = named.filter((one) => one.id === id).map((one) => one.lengthBytes);
        assert.equal(lengthBytes, Math.max(...lengths));
      }
      assert.equal(
        logs.length,
        view.metadata.handles.filter(({ log }) => log !== undefined).length,
      );
    });
  }

  const target = join(folder, "copy");
  const handles = await viewing(directory, undefined, async (view) => {
    await copyCheckpoint(view, target);
    return view.metadata.handles;
  });
  for (const { log } of handles) {
    for (const { id, lengthBytes } of log!.segments) {
      assert.ok((await stat(join(target, fileName(id)))).size >= lengthBytes);
    }
  }
  const model = [...models.values()].at(-1)!;
  await viewing(target, undefined, (view) => assertHolds(view, model));
  await viewing(directory, undefined, (before) =>
    viewing(target, undefined, async (after) => {
      for await (const difference of diffCheckpoints(before, after)) assert.fail(difference.state);
    }),
  );
  const saved = join(folder, "saved");
  await convertCheckpoint({ source: directory, target: saved, format: "canonical", keyGroups: 32 });
  await viewing(saved, undefined, (view) => assertHolds(view, model));
  const report = await collectGarbage(directory, { mode: "take-over", graceMs: 0 });
  assert.deepEqual(report.names, []);
});

test("readers of any key groups get all changes of theirs, and no others", async () => {
  const folder = temporaryDirectory();
  await run(folder);
  const directory = join(folder, "checkpoints");
  const { handles } = await viewing(directory, undefined, (view) => {
    return Promise.resolve(view.metadata);
  });
  const environment = nodeEnvironment();
  const pool = await openWorkerPool({ environment, threads: 2 });
  const local = join(folder, "local");
  await environment.fileSystem.makeDirectory(local);
  try {
    const storage = fileSystemStorage(directory);
    const reader = new LogReader({ storage, pool, environment, directory: local });
    const counts = async (groups: readonly (readonly [number, number])[]): Promise<number[]> => {
      const byGroup = Array.from({ length: MAX }, () => 0);
      for (const handle of handles) {
        for (const [first, last] of groups) {
          for await (const frame of await reader.open(handle, { first, last })) {
            readChanges(frame.rows, frame.file, frame.offset, (_kind, key) => {
              const group = key[0]! * 256 + key[1]!;
              assert.ok(group >= first && group <= last);
              byGroup[group]!++;
            });
          }
        }
      }
      return byGroup;
    };
    const whole = await counts([[0, MAX - 1]]);
    assert.ok(whole.every((count) => count > 0));
    const apart = Array.from({ length: MAX }, (_none, group) => [group, group] as const);
    assert.deepEqual(await counts(apart), whole);
    assert.deepEqual(await counts([[0, 4], [5, 11], [12, 15]]), whole); // prettier-ignore
  } finally {
    await pool.close();
  }
});
