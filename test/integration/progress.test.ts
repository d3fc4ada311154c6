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
import { listCheckpoints } from "../../src/inspect/index.ts";
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

interface Opening {
  readonly restore: KeyedStateBackendOptions["restore"];
  readonly name: string;
  readonly options?: Partial<KeyedStateBackendOptions>;
}

async function open(root: string, { restore, name, options = {} }: Opening) {
  const backend = await openKeyedStateBackend({
    backend: "lsm",
    policy: "changelog",
    changelog: { materializationLogBytes: 64 * KIB },
    restore,
    workingDirectory: join(root, name),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
    keyGroups: { max: 8, first: 0, last: 7 },
    memoryBudgetBytes: 16 * MIB,
    ...options,
  } as KeyedStateBackendOptions);
  return { backend, state: backend.valueState({ name: "text", value: utf8 }) };
}

/** A job with two bases from the background, a savepoint of each format, and a log at its end. */
async function runJob(root: string): Promise<void> {
  const { backend, state } = await open(root, { restore: "latest-or-new", name: "job" });
  const change = (round: number): void => {
    for (let key = 0; key < 300; key++) {
      backend.setCurrentKey(key);
      state.update(`${round} ${key} `.repeat(80));
    }
  };
  for (let round = 0; backend.stats().changelog!.materializations < 2; round++) {
    assert.ok(round < 500, "nothing was materialized");
    change(round);
    await backend.checkpoint();
  }
  await backend.savepoint(join(root, "canonical"), { format: "canonical" });
  await backend.savepoint(join(root, "native"), { format: "native" });
  change(1000);
  const { estimatedRecoveryMs } = await backend.checkpoint();
  await backend.close();
  // What the checkpoint tells is in its metadata, to the microsecond.
  const { checkpoints } = await listCheckpoints(join(root, "checkpoints"));
  assert.ok(estimatedRecoveryMs !== undefined && estimatedRecoveryMs > 0);
  assert.ok(Math.abs(checkpoints[0]!.estimatedRecoveryMs! - estimatedRecoveryMs) < 0.001);
}

test("long tasks tell how far they are", async () => {
  const root = temporaryDirectory();
  const events = listen();
  const requireTasks = (...tasks: readonly ProgressTask[]): void => {
    for (const task of tasks) requireWhole(events, task);
    events.length = 0;
  };
  const restored = async (opening: Opening): Promise<void> => {
    const { backend } = await open(root, opening);
    if (opening.options?.restoreVerification === "behind") await backend.checkpoint();
    await backend.close();
  };
  await runJob(root);
  requireTasks("checkpoint", "materialization", "savepoint");
  await restored({ restore: "latest", name: "before" });
  requireTasks("restore", "replay");
  const behind = { restoreVerification: "behind" } as const;
  await restored({ restore: "latest", name: "behind", options: behind });
  requireTasks("restore", "replay", "verification");
  /** Of one that restores a part, or from elsewhere: it has a storage of its own. */
  const own = (name: string, first: number, last: number, max: number) => ({
    checkpointStorage: fileSystemStorage(join(root, `${name}-checkpoints`)),
    keyGroups: { max, first, last },
  });
  const [checkpoints, canonical] = [join(root, "checkpoints"), join(root, "canonical")];
  await restored({ restore: checkpoints, name: "task", options: own("task", 2, 5, 8) });
  requireTasks("restore", "clip", "replay");
  await restored({ restore: canonical, name: "tables", options: own("tables", 0, 7, 8) });
  requireTasks("restore", "load");
  await restored({ restore: canonical, name: "rows", options: own("rows", 0, 4, 5) });
  requireTasks("restore", "load");
});
