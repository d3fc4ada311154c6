// Goal: whoever listens on varve:progress sees every long task begin, go on file by file, and end whole.
import assert from "node:assert/strict";
import { channel } from "node:diagnostics_channel";
import { join } from "node:path";
import { onTestFinished, test } from "vitest";
import {
  KIB,
  MIB,
  type KeyedStateBackendOptions,
  type ProgressEvent,
  type ProgressTask,
  fileSystemStorage,
  openKeyedStateBackend,
  utf8,
} from "../../src/index.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function listen(): ProgressEvent[] {
  const events: ProgressEvent[] = [];
  const progress = channel("varve:progress");
  const take = (event: unknown): unknown => events.push(event as ProgressEvent);
  progress.subscribe(take);
  onTestFinished(() => {
    progress.unsubscribe(take);
  });
  return events;
}

/** Of each task of that kind: its events, which ascend and end with all that there is. */
function requireWhole(events: readonly ProgressEvent[], task: ProgressTask): void {
  const own = events.filter((event) => event.task === task);
  assert.ok(own.length > 0, `no ${task}`);
  for (const id of new Set(own.map((event) => event.id))) {
    const one = own.filter((event) => event.id === id);
    assert.deepEqual([one[0]!.doneFiles, one[0]!.doneBytes], [0, 0]);
    assert.deepEqual(
      one.map(({ doneFiles }) => doneFiles),
      one.map((_event, index) => index),
    );
    const { doneFiles, doneBytes, files, bytes } = one.at(-1)!;
    if (files !== undefined) assert.deepEqual([doneFiles, doneBytes], [files, bytes], task);
    assert.ok(files !== undefined || doneFiles > 0, task);
  }
}

test("long tasks tell how far they are", async () => {
  const root = temporaryDirectory();
  const events = listen();
  const open = async (
    restore: KeyedStateBackendOptions["restore"],
    name: string,
    behind: boolean,
  ) => {
    const backend = await openKeyedStateBackend({
      backend: "lsm",
      policy: "changelog",
      changelog: { materializationLogBytes: 64 * KIB },
      restoreVerification: behind ? "behind" : "before",
      restore,
      workingDirectory: join(root, name),
      checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
      keyGroups: { max: 8, first: 0, last: 7 },
      memoryBudgetBytes: 16 * MIB,
    });
    return { backend, state: backend.valueState({ name: "text", value: utf8 }) };
  };
  const { backend, state } = await open("latest-or-new", "one", false);
  const change = (round: number): void => {
    for (let key = 0; key < 300; key++) {
      backend.setCurrentKey(key);
      state.update(`${round} ${key} `.repeat(80));
    }
  };
  let recoveryMs: number | undefined;
  for (let round = 0; backend.stats().changelog!.materializations < 2; round++) {
    assert.ok(round < 500, "nothing was materialized");
    change(round);
    recoveryMs = (await backend.checkpoint()).estimatedRecoveryMs;
  }
  assert.ok(recoveryMs !== undefined && recoveryMs > 0);
  await backend.savepoint(join(root, "canonical"), { format: "canonical" });
  await backend.savepoint(join(root, "native"), { format: "native" });
  change(1000);
  await backend.checkpoint();
  await backend.close();
  for (const task of ["checkpoint", "materialization", "savepoint"] as const) {
    requireWhole(events, task);
  }
  events.length = 0;
  const before = await open("latest", "two", false);
  await before.backend.close();
  const behind = await open("latest", "three", true);
  await behind.backend.checkpoint();
  await behind.backend.close();
  for (const task of ["restore", "replay", "verification"] as const) requireWhole(events, task);
});
