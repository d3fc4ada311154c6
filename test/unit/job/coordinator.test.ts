import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CheckpointReader } from "../../../src/checkpoint/checkpoint-reader.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { type CheckpointAbortedError, StorageError } from "../../../src/errors.ts";
import type { CheckpointStorage } from "../../../src/index.ts";
import { objectsOf } from "../../support/checkpoints.ts";
import { auditStorage } from "../../support/storage-audit.ts";
import { TaskJob } from "../../support/task-job.ts";
import type { TaskJobOptions } from "../../support/task-job.ts";

const aborted = (reason: string) => ({ code: "VARVE_CHECKPOINT_ABORTED", reason });

function place(): TaskJobOptions & { environment: ReturnType<typeof memoryEnvironment> } {
  const environment = memoryEnvironment();
  return { environment, backend: "memory", storagePath: "/store", workPath: "/work" };
}

function fill(job: TaskJob, value: string, count = 30): void {
  for (let index = 0; index < count; index++) job.write(`key-${index}`, `${value}-${index}`);
}

async function requireExact(storage: CheckpointStorage, numbers: readonly number[]): Promise<void> {
  const { retained, missing, unreferenced } = await auditStorage(storage);
  assert.deepEqual(
    { retained, missing, unreferenced },
    { retained: numbers, missing: [], unreferenced: [] },
  );
}

describe("a coordinator of several tasks", () => {
  test("completes a checkpoint when all have acknowledged, and the job goes on from it", async () => {
    const where = place();
    const job = await TaskJob.open(where);
    assert.deepEqual(job.coordinator.restore, { checkpointId: 0, handles: [] });
    await job.start(2);
    fill(job, "a");
    const first = await job.coordinator.trigger();
    assert.equal(first.completionNumber, 1);
    assert.ok(first.uploadedBytes > 0 && first.uploadedBytes === first.totalBytes);
    fill(job, "b", 10);
    const second = await job.coordinator.trigger();
    assert.deepEqual(job.completed, [first.checkpointId, second.checkpointId]);
    fill(job, "lost", 20);
    await job.close();
    await requireExact(job.storage, [2]);

    const next = await TaskJob.open(where);
    assert.equal(next.coordinator.restore.checkpointId, second.checkpointId);
    const name = job.modelName(second.checkpointId);
    assert.deepEqual(next.coordinator.restore.metadata, [name, name]);
    await next.start(2, undefined, job.models);
    await next.verify();
    const third = await next.coordinator.trigger();
    assert.ok(third.checkpointId > second.checkpointId);
    assert.equal(third.completionNumber, 3);
    await next.close();
    await requireExact(job.storage, [3]);
  });

  test("rescales 2 to 3 to 1", async () => {
    const where = place();
    let models = new Map<string, ReadonlyMap<string, string>>();
    for (const [step, taskCount] of [2, 3, 1, 2].entries()) {
      const job = await TaskJob.open(where, { taskCount, retainedCheckpoints: 2 });
      await job.start(taskCount, undefined, models);
      await job.verify();
      fill(job, `step ${step}`, 10 * (step + 1));
      const { checkpointId } = await job.coordinator.trigger();
      const name = job.modelName(checkpointId);
      models = new Map([[name, job.models.get(name)!]]);
      await job.close();
      await requireExact(job.storage, step === 0 ? [1] : [step, step + 1]);
    }
  });

  test("aborts a checkpoint that one task declines, tells the others, and keeps nothing of it", async () => {
    const job = await TaskJob.open(place(), { tolerableFailedCheckpoints: 1 });
    const told: number[] = [];
    let isDeclining = false;
    job.wrapTask = (task, index) => ({
      ...task,
      triggerCheckpoint: (id, options) => {
        if (index === 1 && isDeclining) throw new StorageError("the task's disk");
        return task.triggerCheckpoint(id, options);
      },
      notifyCheckpointAborted: (id) => {
        told.push(index, id);
        task.notifyCheckpointAborted(id);
      },
    });
    await job.start(2);
    fill(job, "a");
    const { checkpointId } = await job.coordinator.trigger();
    isDeclining = true;
    fill(job, "b");
    const failed = job.coordinator.trigger();
    await assert.rejects(failed, (error: Error) => {
      const { reason, checkpointId: id } = error as CheckpointAbortedError;
      assert.deepEqual([reason, id], ["declined", checkpointId + 1]);
      assert.equal((error.cause as Error).message, "the task's disk");
      return true;
    });
    assert.deepEqual(told, [0, checkpointId + 1, 1, checkpointId + 1]);
    isDeclining = false;
    await job.coordinator.trigger();
    assert.deepEqual(job.failures, []);
    assert.equal(job.coordinator.stats().abortedCheckpoints, 1);
    await job.close();
    await requireExact(job.storage, [2]);
  });

  test("asks for a restart after too many failures, and recovers to the newest checkpoint", async () => {
    const job = await TaskJob.open(place());
    let isDeclining = false;
    job.wrapTask = (task) => ({
      ...task,
      triggerCheckpoint: (id, options) => {
        if (isDeclining) throw new StorageError("the task's disk");
        return task.triggerCheckpoint(id, options);
      },
    });
    await job.start(2);
    fill(job, "a");
    const { checkpointId } = await job.coordinator.trigger();
    fill(job, "b");
    isDeclining = true;
    await assert.rejects(job.coordinator.trigger(), aborted("declined"));
    assert.equal(job.failures.length, 1);
    assert.equal((job.failures[0] as { reason?: string }).reason, "declined");
    await assert.rejects(job.coordinator.trigger(), { code: "VARVE_INVALID_ARGUMENT" });
    isDeclining = false;
    await job.closeTasks();
    const restore = await job.coordinator.recover();
    assert.equal(restore.checkpointId, checkpointId);
    await job.start(2, restore);
    await job.verify();
    await job.coordinator.trigger();
    await job.close();
    await requireExact(job.storage, [2]);
  });

  test("a failed task takes all back to the newest checkpoint; what it left under way goes", async () => {
    const job = await TaskJob.open(place());
    await job.start(2);
    fill(job, "a");
    await job.coordinator.trigger();
    fill(job, "b");
    const underWay = job.coordinator.trigger();
    const recovery = job.coordinator.recover();
    await assert.rejects(underWay, aborted("declined"));
    const restore = await recovery;
    await job.closeTasks();
    await job.start(2, restore);
    await job.verify();
    assert.throws(() => job.coordinator.start([]), { code: "VARVE_INVALID_ARGUMENT" });
    await job.coordinator.trigger();
    await job.close();
    await requireExact(job.storage, [2]);
  });

  test("triggers by interval, and gives up what takes longer than the timeout", async () => {
    const where = place();
    const job = await TaskJob.open(where, {
      intervalMs: 1000,
      timeoutMs: 300,
      tolerableFailedCheckpoints: 5,
    });
    let hang: AbortSignal | undefined;
    let isHanging = false;
    job.wrapTask = (task) => ({
      ...task,
      triggerCheckpoint: (id, options) => {
        if (!isHanging) return task.triggerCheckpoint(id, options);
        hang = options.signal;
        return new Promise(() => undefined);
      },
    });
    await job.start(2);
    const turns = async (until: () => boolean) => {
      while (!until()) await where.environment.timers.yieldTurn();
    };
    fill(job, "a");
    assert.equal(job.coordinator.stats().underWay, 0);
    where.environment.advance(1000);
    await turns(() => job.completed.length === 1);
    isHanging = true;
    where.environment.advance(1000);
    await turns(() => job.coordinator.stats().underWay === 1);
    where.environment.advance(300);
    await turns(() => job.coordinator.stats().abortedCheckpoints === 1);
    assert.equal((hang!.reason as { reason?: string }).reason, "expired");
    isHanging = false;
    where.environment.advance(1000);
    await turns(() => job.completed.length === 2);
    await job.close();
    await requireExact(job.storage, [2]);
  });

  test("a second coordinator fences the first, whose files stay away from the second's", async () => {
    const where = place();
    const first = await TaskJob.open(where);
    await first.start(2);
    fill(first, "a");
    const { checkpointId } = await first.coordinator.trigger();
    const second = await TaskJob.open({ ...where, workPath: "/work-2" });
    await second.start(2, undefined, first.models);
    fill(second, "b");
    await second.coordinator.trigger();
    fill(first, "zombie");
    await assert.rejects(first.coordinator.trigger(), { code: "VARVE_FENCED" });
    assert.equal((first.coordinator.signal.reason as { code: string }).code, "VARVE_FENCED");
    assert.equal((first.failures[0] as { code?: string }).code, "VARVE_FENCED");
    await assert.rejects(first.coordinator.trigger(), { code: "VARVE_FENCED" });
    await assert.rejects(first.coordinator.recover(), { code: "VARVE_FENCED" });
    await first.close();
    await second.verify();
    await second.coordinator.trigger();
    await second.close();
    assert.deepEqual(first.completed, [checkpointId]);
    await requireExact(second.storage, [3]);
  });

  test("an unknown outcome is written again until it is known", async () => {
    const where = place();
    let failures = 0;
    const wrap = (storage: CheckpointStorage): CheckpointStorage =>
      new Proxy(storage, {
        get(target, property) {
          const value: unknown = Reflect.get(target, property);
          if (property !== "createIfAbsent") {
            return typeof value === "function" ? (value.bind(target) as unknown) : value;
          }
          return async (name: string, bytes: Uint8Array) => {
            if (failures === 0) return target.createIfAbsent(name, bytes);
            failures--;
            throw new StorageError("timed out");
          };
        },
      });
    const job = await TaskJob.open({ ...where, wrap }, { tolerableFailedCheckpoints: 1 });
    await job.start(2);
    fill(job, "a");
    failures = 1;
    const outcome = job.coordinator.trigger();
    while (failures > 0) await where.environment.timers.yieldTurn();
    for (let turn = 0; turn < 20; turn++) await where.environment.timers.yieldTurn();
    assert.deepEqual(job.completed, []);
    where.environment.advance(1000);
    const { checkpointId } = await outcome;
    assert.deepEqual(job.completed, [checkpointId]);
    await job.close();
    await requireExact(job.storage, [1]);
  });

  test("a pin holds through retention and restarts, and goes with unpin", async () => {
    const where = place();
    const job = await TaskJob.open(where);
    await job.start(2);
    fill(job, "a");
    const { checkpointId: pinned } = await job.coordinator.trigger();
    await job.coordinator.pin(pinned);
    for (const value of ["b", "c"]) {
      fill(job, value);
      await job.coordinator.trigger();
    }
    await job.close();
    await requireExact(job.storage, [1, 3]);
    const next = await TaskJob.open(where, { restore: pinned });
    await next.start(2, undefined, job.models);
    await next.verify();
    assert.deepEqual(next.coordinator.stats().retained.length, 2);
    await next.coordinator.trigger();
    await assert.rejects(next.coordinator.pin(99), { code: "VARVE_CHECKPOINT_NOT_FOUND" });
    await next.coordinator.unpin(pinned);
    await next.coordinator.trigger();
    await next.close();
    await requireExact(job.storage, [5]);
  });

  test("recovers to an older checkpoint that was pinned when it was restored", async () => {
    const where = place();
    const job = await TaskJob.open(where);
    await job.start(2);
    fill(job, "a");
    const { checkpointId: pinned } = await job.coordinator.trigger();
    await job.coordinator.pin(pinned);
    fill(job, "b");
    await job.coordinator.trigger();
    await job.close();
    const next = await TaskJob.open(where, { restore: pinned });
    await next.start(2, undefined, job.models);
    await next.coordinator.unpin(pinned);
    const restore = await next.coordinator.recover();
    assert.equal(restore.checkpointId, pinned);
    await next.closeTasks();
    await next.start(2, restore, job.models);
    await next.verify();
    await next.close();
  });

  test("cancelled, it deletes its checkpoints if asked to, and takes none any more", async () => {
    const where = place();
    const retention = "delete-on-cancellation";
    const job = await TaskJob.open(where, {
      externalizedCheckpointRetention: retention,
      retainedCheckpoints: 3,
    });
    await job.start(2);
    for (const value of ["a", "b", "c"]) {
      fill(job, value);
      await job.coordinator.trigger();
    }
    await job.coordinator.pin(2);
    await job.coordinator.cancel();
    await job.closeTasks();
    const names = await objectsOf(job.storage);
    assert.deepEqual(
      names.filter((name) => !name.startsWith("files/")),
      ["latest", "metadata/0000000002", "metadata/0000000004", "pins/0000000002"],
    );
    assert.equal(names.length - 4, 4); // Of each task a dump and its list.
    const notFound = { code: "VARVE_CHECKPOINT_NOT_FOUND", message: /cancelled/ };
    await assert.rejects(TaskJob.open(where), notFound);
    await assert.rejects(TaskJob.open(where, { restore: 2 }), {
      code: "VARVE_INVALID_ARGUMENT",
      message: /cancelled/,
    });
    assert.equal((await new CheckpointReader(job.storage).findById(2)).completionNumber, 2);
  });

  test("closed or cancelled otherwise, it keeps them", async () => {
    for (const end of ["close", "cancel"] as const) {
      const where = place();
      const job = await TaskJob.open(where);
      await job.start(2);
      fill(job, "a");
      await job.coordinator.trigger();
      const waiting = job.coordinator.trigger();
      const rejected = assert.rejects(waiting, aborted("shutdown"));
      await job.coordinator[end]();
      await rejected;
      await assert.rejects(job.coordinator.trigger(), { code: "VARVE_CLOSED" });
      await job.closeTasks();
      await requireExact(job.storage, [1]);
    }
  });

  test.each([
    [{ taskCount: 0 }, /taskCount/],
    [{ taskCount: 2, intervalMs: 0 }, /intervalMs/],
    [{ taskCount: 2, interval: 5 }, /interval/],
    [{ taskCount: 2, restore: "" }, /restore/],
    [{ taskCount: 2, policy: "journal" }, /policy/],
  ])("refuses %j", async (options, message) => {
    await assert.rejects(TaskJob.open(place(), options as object), {
      code: "VARVE_INVALID_ARGUMENT",
      message,
    });
  });

  test("a task takes no checkpoint of its own: it would replace those of the others", async () => {
    const job = await TaskJob.open(place());
    await job.start(2);
    await assert.rejects(job.tasks[0]!.backend.checkpoint(), {
      code: "VARVE_INVALID_ARGUMENT",
      message: /coordinator/,
    });
    await job.close();
  });
});
