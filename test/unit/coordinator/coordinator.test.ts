import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { fileOf } from "../../support/shared-files.ts";
import { Rig } from "./coordinator-rig.ts";

const both = (text: (task: number) => string): string[] => [0, 1].map(text);
const triggers = (id: number, base?: number): string[] =>
  both((task) => `trigger ${task} ${id} ${base}`);
const aborted = (id: number, reason: string): string[] =>
  both((task) => `notify-aborted ${task} ${id} ${reason}`);
const completed = (id: number): string[] => both((task) => `notify-complete ${task} ${id}`);

/** A started one. */
function running(...parameters: ConstructorParameters<typeof Rig>): Rig {
  const rig = new Rig(...parameters);
  rig.start();
  return rig;
}

describe("a checkpoint of two tasks", () => {
  test("completes when both have acknowledged and its metadata is durable", () => {
    const rig = running();
    assert.deepEqual(rig.request(7), [...triggers(1), "set-timer 601000"]);
    assert.deepEqual(rig.acknowledge(1, 0), []);
    assert.deepEqual(rig.acknowledge(1, 1), ["write-metadata 1 1 1 [undefined,undefined]"]);
    assert.deepEqual(rig.durable(1), [...completed(1), "request-completed 7 1"]);
    assert.deepEqual(rig.request(8).slice(0, 2), triggers(2, 1));
  });

  test("is aborted when a task declines, and its files are discarded", () => {
    const rig = running({ tolerableFailedCheckpoints: 1 });
    rig.request(7);
    rig.acknowledge(1, 0);
    assert.deepEqual(rig.decline(1, 1), [
      ...aborted(1, "declined"),
      "request-failed 7 declined",
      "discard [] [1]",
    ]);
    assert.deepEqual(rig.decline(1, 0), []); // It has ended.
  });

  test("is aborted after the timeout, and what is acknowledged later is discarded", () => {
    const rig = running({ timeoutMs: 500, tolerableFailedCheckpoints: 1 });
    rig.request();
    rig.acknowledge(1, 0);
    assert.deepEqual(rig.tick(499), ["set-timer 1500"]);
    assert.deepEqual(rig.tick(1), [
      ...aborted(1, "expired"),
      "request-failed 0 expired",
      "discard [] [1]",
    ]);
    rig.event({ type: "discarded", isDeleted: true });
    assert.deepEqual(rig.acknowledge(1, 1), ["discard [] [2]"]);
  });

  test("is not taken back by a timeout or a decline once its metadata is being written", () => {
    const rig = running({ timeoutMs: 500 });
    rig.request();
    rig.acknowledge(1, 0);
    rig.acknowledge(1, 1);
    assert.deepEqual(rig.tick(1000), []);
    assert.deepEqual(rig.decline(1, 0), []);
    assert.deepEqual(rig.durable(1).slice(0, 2), completed(1));
  });

  test("counts the first acknowledgement of a task only", () => {
    const rig = running();
    rig.request();
    rig.acknowledge(1, 0);
    assert.deepEqual(rig.acknowledge(1, 0), []); // Its file waits: another attempt may use it.
    assert.equal(rig.phaseOf(1), "triggered");
    rig.acknowledge(1, 1);
    assert.deepEqual(rig.durable(1).slice(2), ["request-completed 0 1", "discard [] [2]"]);
  });

  test("does not hear another epoch", () => {
    const rig = running();
    rig.request();
    assert.deepEqual(rig.acknowledge(1, 0, undefined, "before"), []);
    assert.deepEqual(rig.decline(1, 1, "before"), []);
    assert.deepEqual(rig.acknowledge(99, 0, undefined, "before"), []);
    assert.equal(rig.state.registry.fileCount, 0);
    assert.equal(rig.phaseOf(1), "triggered");
  });

  test("is aborted when a task builds on what is given up", () => {
    const rig = running({ tolerableFailedCheckpoints: 1 });
    rig.complete();
    rig.complete(1);
    rig.request();
    assert.deepEqual(rig.acknowledge(3, 0, 1).slice(0, 2), aborted(3, "declined"));
  });
});

describe("checkpoints at a time", () => {
  test("are at most as many as allowed; further requests wait for their turn", () => {
    const rig = running({ maxConcurrentCheckpoints: 2 });
    for (const request of [1, 2, 3]) rig.request(request);
    assert.deepEqual([...rig.state.checkpoints.keys()], [1, 2]);
    for (const task of [0, 1]) rig.acknowledge(1, task);
    assert.deepEqual(rig.durable(1).slice(2, 5), ["request-completed 1 1", ...triggers(3, 1)]);
  });

  test("have their metadata written one after the other, the older one first", () => {
    const rig = running({ maxConcurrentCheckpoints: 2 });
    rig.request(1);
    rig.request(2);
    for (const id of [1, 2]) for (const task of [0, 1]) rig.acknowledge(id, task);
    assert.deepEqual([rig.phaseOf(1), rig.phaseOf(2)], ["finalizing", "acknowledged"]);
    assert.deepEqual(rig.durable(1), [
      ...completed(1),
      "request-completed 1 1",
      "write-metadata 2 2 2 [undefined,undefined]",
    ]);
    assert.deepEqual(rig.durable(2).slice(2), [
      "request-completed 2 2",
      ...both((task) => `notify-subsumed ${task} 1`),
      "discard [1] []",
    ]);
  });

  test("are aborted when a newer one completes first, and that is no failure", () => {
    const rig = running({ maxConcurrentCheckpoints: 2 });
    rig.request(1);
    rig.request(2);
    rig.acknowledge(1, 0);
    for (const task of [0, 1]) rig.acknowledge(2, task);
    assert.deepEqual(rig.acknowledge(1, 1), []); // It waits for the metadata of 2.
    assert.deepEqual(rig.durable(2), [
      ...completed(2),
      "request-completed 2 2",
      ...aborted(1, "superseded"),
      "request-failed 1 superseded",
      "discard [] [1,4]",
    ]);
    assert.equal(rig.state.failuresInARow, 0);
  });

  test("complete out of turn when the metadata of the one before could not be written", () => {
    const rig = running({ maxConcurrentCheckpoints: 2, tolerableFailedCheckpoints: 1 });
    rig.request(1);
    rig.request(2);
    for (const id of [1, 2]) for (const task of [0, 1]) rig.acknowledge(id, task);
    assert.deepEqual(rig.failed(1, true).slice(2), [
      "request-failed 1 storage",
      "write-metadata 2 1 1 [undefined,undefined]",
    ]);
  });
});

describe("metadata whose fate is unknown", () => {
  test("is written again under its number until it is durable, and its files are kept", () => {
    const rig = running({ tolerableFailedCheckpoints: 1 });
    rig.request();
    for (const task of [0, 1]) rig.acknowledge(1, task);
    assert.deepEqual(rig.failed(1, false), ["set-timer 2000"]);
    assert.deepEqual(rig.request(2), []); // It is still under way.
    assert.deepEqual(rig.tick(1000), ["write-metadata 1 1 1 [undefined,undefined]"]);
    // That a later request is refused does not tell what the first one did.
    assert.deepEqual(rig.failed(1, true), ["set-timer 3000"]);
    rig.tick(1000);
    assert.deepEqual(rig.durable(1).slice(0, 3), [...completed(1), "request-completed 0 1"]);
  });

  test("fails the job when it lasts", () => {
    const rig = running({ timeoutMs: 5000, tolerableFailedCheckpoints: 1 });
    rig.request();
    for (const task of [0, 1]) rig.acknowledge(1, task);
    rig.failed(1, false);
    for (let second = 0; second < 4; second++) {
      rig.tick(1000);
      assert.deepEqual(rig.failed(1, false).length, 1);
    }
    rig.tick(1000);
    assert.equal(rig.failed(1, false)[0], "fail-job too-many-failures");
    // The tasks wait until it is known which checkpoint is the newest.
    rig.tick(1000);
    assert.equal(rig.durable(1).at(-1), "restore 1");
  });
});

describe("failures", () => {
  test("in a row beyond the tolerable fail the job; a completed checkpoint begins anew", () => {
    const rig = running({ tolerableFailedCheckpoints: 1 });
    const decline = (): string[] => {
      const id = rig.state.nextCheckpointId;
      rig.request();
      return rig.decline(id, 0).filter((one) => !one.startsWith("notify"));
    };
    assert.deepEqual(decline(), ["request-failed 0 declined"]);
    rig.complete();
    assert.deepEqual(decline(), ["request-failed 0 declined"]);
    assert.deepEqual(decline(), [
      "request-failed 0 declined",
      "fail-job too-many-failures",
      "restore 2",
    ]);
    assert.deepEqual(rig.request(5), ["request-failed 5 not-running"]);
    assert.deepEqual(rig.start(), []);
    assert.deepEqual(rig.request(6).slice(0, 2), triggers(5, 2));
  });

  test("of a task abort what is under way, but not what all have acknowledged", () => {
    const rig = running({ maxConcurrentCheckpoints: 2 });
    rig.request(1);
    rig.request(2);
    for (const task of [0, 1]) rig.acknowledge(1, task);
    assert.deepEqual(rig.event({ type: "task-failed", task: 1 }), [
      ...aborted(2, "declined"),
      "request-failed 2 declined",
    ]);
    assert.deepEqual(rig.durable(1).slice(2), ["request-completed 1 1", "restore 1"]);
  });
});

describe("time", () => {
  test("triggers periodically, not sooner than the pause after the last one", () => {
    const rig = new Rig({ intervalMs: 100, minPauseMs: 80 });
    assert.deepEqual(rig.start(), ["set-timer 1100"]);
    assert.deepEqual(rig.tick(100), [...triggers(1), "set-timer 601100"]);
    rig.nowMs += 50;
    for (const task of [0, 1]) rig.acknowledge(1, task);
    assert.deepEqual(rig.durable(1), [...completed(1), "set-timer 1230"]);
    assert.deepEqual(rig.tick(79), ["set-timer 1230"]);
    assert.deepEqual(rig.tick(1).slice(0, 2), triggers(2, 1));
  });

  test("that jumps a day deletes nothing that was completed", () => {
    for (const jumpMs of [-86_400_000, 86_400_000]) {
      const rig = running({ retainedCheckpoints: 2, tolerableFailedCheckpoints: 9 });
      rig.complete();
      rig.complete(1);
      rig.request();
      rig.acknowledge(3, 0, 2);
      const actions = rig.tick(jumpMs);
      const ofAttempt = jumpMs > 0 ? ["discard [] [5]"] : [];
      assert.deepEqual(
        actions.filter((one) => one.startsWith("discard")),
        ofAttempt, // What an attempt that took too long had uploaded.
      );
      assert.deepEqual([rig.phaseOf(1), rig.phaseOf(2)], ["completed", "completed"]);
    }
  });
});

describe("retention", () => {
  test("waits for the hint", () => {
    const rig = running();
    rig.complete();
    rig.request();
    for (const task of [0, 1]) rig.acknowledge(2, task);
    assert.deepEqual(rig.durable(2, false), [...completed(2), "request-completed 0 2"]);
    const actions = rig.complete(2);
    assert.deepEqual(actions.slice(3), [
      ...both((task) => `notify-subsumed ${task} 2`),
      "discard [1,2] []",
    ]);
    assert.deepEqual(rig.event({ type: "discarded", isDeleted: true }), ["discard [] [1,2]"]);
    assert.deepEqual(rig.event({ type: "discarded", isDeleted: false }), []);
    rig.request();
    rig.acknowledge(4, 0, 3);
    rig.acknowledge(4, 1, 3);
    assert.equal(rig.durable(4).at(-1), "discard [] [1,2]"); // Once more.
  });

  test("keeps a pinned checkpoint until the first completion after it is unpinned", () => {
    const rig = running();
    rig.complete();
    assert.deepEqual(rig.event({ type: "pin", checkpointId: 1 }), []);
    const missing = { code: "VARVE_CHECKPOINT_NOT_FOUND" };
    assert.throws(() => rig.event({ type: "pin", checkpointId: 9 }), missing);
    rig.complete();
    assert.equal(rig.phaseOf(1), "completed");
    assert.deepEqual(rig.event({ type: "unpin", checkpointId: 1 }), []);
    assert.equal(rig.complete(2).at(-1), "discard [1,2] []");
  });

  test("never deletes what was restored without claim, and builds nothing on it", () => {
    const files = [[fileOf(101)], [fileOf(102)]];
    const retained = [{ checkpointId: 7, completionNumber: 3, isPinned: false, files }];
    const rig = running({}, { retained, restoredFrom: 7, isClaimed: false });
    assert.deepEqual(rig.request().slice(0, 2), triggers(8));
    for (const task of [0, 1]) rig.acknowledge(8, task);
    assert.deepEqual(rig.durable(8), [...completed(8), "request-completed 0 8"]);
    assert.deepEqual(rig.request().slice(0, 2), triggers(9, 8));
    for (const task of [0, 1]) rig.acknowledge(9, task);
    assert.equal(rig.durable(9).at(-1), "discard [4] []");
    assert.equal(rig.phaseOf(7), "completed");
    assert.ok(rig.state.registry.has(fileOf(101).id));
  });

  test("gives up what was restored and claimed once a newer one completed", () => {
    const files = [[fileOf(101)], [fileOf(102)]];
    const retained = [{ checkpointId: 7, completionNumber: 3, isPinned: false, files }];
    const rig = running({}, { retained, restoredFrom: 7, lastCheckpointId: 20 });
    assert.deepEqual(rig.request().slice(0, 2), triggers(21, 7));
    for (const task of [0, 1]) rig.acknowledge(21, task);
    assert.equal(rig.durable(21).at(-1), "discard [3] []");
    assert.deepEqual(rig.event({ type: "discarded", isDeleted: true }), ["discard [] [101,102]"]);
  });
});
