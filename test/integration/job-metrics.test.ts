// Goal: a checkpoint of several tasks tells what it took, as one of a single backend does: to whoever
// triggers it, and in its metadata.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "vitest";
import type { SnapshotResult } from "../../src/index.ts";
import { listCheckpoints } from "../../src/inspect/index.ts";
import { JobTiming } from "../../src/job/job-timing.ts";
import { nodeEnvironment } from "../../src/environment/node-environment.ts";
import { TaskJob } from "../support/task-job.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** As metadata has it. */
const microseconds = (ms: number): number => Math.round(ms * 1000) / 1000;

describe("a checkpoint of two tasks", () => {
  test.for(["incremental", "changelog"] as const)("tells what it took, %s", async (policy) => {
    const root = temporaryDirectory();
    const storagePath = join(root, "checkpoints");
    const environment = nodeEnvironment();
    const workPath = join(root, "work");
    const job = await TaskJob.open({ environment, backend: "lsm", policy, storagePath, workPath });
    await job.start(2);
    for (const round of [1, 2]) {
      for (let key = 0; key < 500; key++) job.write(`key-${key}`, `${round} `.repeat(50));
      await job.coordinator.trigger();
    }
    for (let key = 0; key < 500; key++) job.write(`key-${key}`, `3 `.repeat(50));
    const told = await job.coordinator.trigger();
    await job.close();
    const { pauseMs, phases, durationMs, estimatedRecoveryMs } = told;
    const { metadataMs, sealMs, acknowledgeMs, ...written } = phases;
    assert.ok(pauseMs > 0 && pauseMs < durationMs);
    assert.ok(metadataMs > 0 && metadataMs < durationMs);
    assert.equal(sealMs, pauseMs);
    assert.ok(acknowledgeMs >= phases.cutMs && acknowledgeMs + metadataMs <= durationMs + 0.001);
    const isLogged = policy === "changelog";
    assert.equal(told.logBytes > 0, isLogged);
    assert.equal(estimatedRecoveryMs !== undefined, isLogged);
    assert.ok((isLogged ? phases.syncMs : phases.uploadMs) > 0);
    const { checkpoints } = await listCheckpoints(storagePath);
    const [newest] = checkpoints;
    assert.equal(newest!.checkpointId, told.checkpointId);
    assert.equal(newest!.pauseMs, microseconds(pauseMs));
    assert.equal(newest!.durationMs, microseconds(acknowledgeMs));
    for (const [name, ms] of Object.entries(written)) {
      assert.equal(newest!.phases![name as keyof typeof written], microseconds(ms), name);
    }
    const expected =
      estimatedRecoveryMs === undefined ? undefined : microseconds(estimatedRecoveryMs);
    assert.equal(newest!.estimatedRecoveryMs, expected);
    // 500 rows of 100 bytes and their keys, which compress well.
    assert.equal(told.logged !== undefined, isLogged);
    if (told.logged !== undefined) {
      const { bytes, rawBytes } = told.logged;
      assert.ok(rawBytes > 50_000 && rawBytes < 100_000, `${rawBytes}`);
      assert.ok(bytes > 1000 && bytes < rawBytes / 2, `${bytes}`);
    }
    assert.deepEqual(newest!.logged, told.logged);
    assert.equal(newest!.isMaterializing, told.isMaterializing);
  });

  test("takes of each the longest, and from tasks elsewhere only durations and bytes", () => {
    const timing = new JobTiming();
    const of = (pauseMs: number, cutMs: number, rest: Partial<SnapshotResult> = {}) =>
      ({
        pauseMs,
        phases: { cutMs, appendMs: 1, syncMs: -5, uploadMs: Number.NaN },
        ...rest,
      }) as SnapshotResult;
    timing.add(of(2, 7));
    const nothing = { recoveryMs: undefined, logged: undefined, isMaterializing: false };
    const { phases, ...rest } = timing.timing();
    assert.deepEqual(rest, { pauseMs: 2, ...nothing });
    timing.add(of(3, 4, { estimatedRecoveryMs: 90, logged: { bytes: 5, rawBytes: 10 } }));
    const { POSITIVE_INFINITY, NaN: none } = Number;
    const odd = { logged: { bytes: none, rawBytes: 7 }, isMaterializing: true };
    timing.add(of(POSITIVE_INFINITY, none, { estimatedRecoveryMs: 80, ...odd }));
    timing.add({} as SnapshotResult);
    assert.deepEqual(timing.timing(), {
      pauseMs: 3,
      phases: { ...phases, cutMs: 7, appendMs: 1, syncMs: 0, uploadMs: 0 },
      recoveryMs: 90,
      logged: { bytes: 5, rawBytes: 17 },
      isMaterializing: true,
    });
  });
});
