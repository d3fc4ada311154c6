import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { CoordinatorEvent } from "../../../src/coordinator/events.ts";
import type { CoordinatorPhase } from "../../../src/coordinator/coordinator-state.ts";
import { Rig } from "./coordinator-rig.ts";

const deleting = { externalizedCheckpointRetention: "delete-on-cancellation" } as const;

function running(...parameters: ConstructorParameters<typeof Rig>): Rig {
  const rig = new Rig(...parameters);
  rig.start();
  return rig;
}

/** Metadata of checkpoint 2 is being written. */
function writing(rig: Rig): Rig {
  rig.complete();
  rig.request();
  for (const task of [0, 1]) rig.acknowledge(2, task);
  return rig;
}

const stop = (isCancelled: boolean): CoordinatorEvent => ({ type: "stop", isCancelled });

describe("the end", () => {
  test("aborts what is under way, waits for metadata and discards, and keeps checkpoints", () => {
    const rig = writing(running({ maxConcurrentCheckpoints: 2 }));
    rig.request(5);
    const actions = rig.event(stop(false));
    assert.deepEqual(actions.slice(0, 3), [
      "notify-aborted 0 3 shutdown",
      "notify-aborted 1 3 shutdown",
      "request-failed 5 shutdown",
    ]);
    assert.equal(rig.durable(2).at(-1), "discard [1] []");
    rig.event({ type: "discarded", isDeleted: true });
    assert.deepEqual(rig.event({ type: "discarded", isDeleted: true }), ["stopped"]);
    assert.equal(rig.phaseOf(2), "completed");
  });

  test("does not wait for discards that fail", () => {
    const rig = running();
    rig.complete();
    rig.complete();
    rig.event(stop(false));
    assert.deepEqual(rig.event({ type: "discarded", isDeleted: false }), ["stopped"]);
  });

  test("deletes on cancellation once nobody else can build on it, but not what is pinned", () => {
    const rig = running({ ...deleting, retainedCheckpoints: 3 });
    for (const base of [undefined, 1, 2]) rig.complete(base);
    rig.event({ type: "pin", checkpointId: 1 });
    assert.deepEqual(rig.event(stop(true)), ["close-sequence 4"]);
    const actions = rig.event({ type: "sequence-closed" });
    assert.deepEqual(actions, ["discard [2,3] []"]);
    assert.deepEqual(rig.event({ type: "discarded", isDeleted: true }), ["discard [] [3,5,4,6]"]);
    assert.deepEqual(rig.event({ type: "discarded", isDeleted: true }), ["stopped"]);
  });

  test("deletes nothing on cancellation if another owner has the sequence", () => {
    const rig = running(deleting);
    rig.complete();
    rig.event(stop(true));
    assert.deepEqual(rig.event({ type: "fenced" }), ["fail-job fenced"]);
    assert.deepEqual(rig.event({ type: "sequence-closed" }), []);
    assert.equal(rig.phaseOf(1), "completed");
  });

  test("deletes nothing on cancellation while a checkpoint is undecided", () => {
    const rig = writing(running({ ...deleting, tolerableFailedCheckpoints: 1 }));
    rig.failed(2, false);
    assert.deepEqual(rig.event(stop(true)), ["stopped"]);
    assert.deepEqual([rig.phaseOf(1), rig.phaseOf(2)], ["completed", "undecided"]);
  });

  test("by a fence asks for nothing any more, and answers who waits", () => {
    const rig = writing(running());
    rig.request(8);
    assert.deepEqual(rig.event({ type: "fenced" }), [
      "request-failed 0 fenced",
      "request-failed 8 fenced",
      "fail-job fenced",
    ]);
    assert.deepEqual(rig.durable(2), []);
    assert.deepEqual(rig.acknowledge(2, 0), []);
    assert.deepEqual(rig.tick(1e9), []);
    assert.deepEqual(rig.request(9), ["request-failed 9 not-running"]);
  });
});

// Goal: every event in every phase does what the page says; what nobody may send is asserted.
// Method: all pairs. "x" stands for an assertion, a word for the phase that follows.
const phases: Readonly<Record<CoordinatorPhase, () => Rig>> = {
  suspended: () => new Rig(),
  running: () => running(),
  recovering: () => {
    const rig = writing(running());
    rig.event({ type: "task-failed", task: 0 });
    return rig;
  },
  stopping: () => {
    const rig = writing(running());
    rig.event(stop(false));
    return rig;
  },
  cancelling: () => {
    const rig = writing(running(deleting));
    rig.event(stop(true));
    return rig;
  },
  closing: () => {
    const rig = running(deleting);
    rig.event(stop(true));
    return rig;
  },
  emptying: () => {
    const rig = running();
    rig.complete();
    rig.complete();
    rig.event(stop(false));
    return rig;
  },
  stopped: () => {
    const rig = running();
    rig.event(stop(false));
    return rig;
  },
  fenced: () => {
    const rig = running();
    rig.event({ type: "fenced" });
    return rig;
  },
};

const events: Readonly<Record<string, CoordinatorEvent>> = {
  start: { type: "start" },
  tick: { type: "tick" },
  request: { type: "trigger-requested", requestId: 1, isFull: false },
  declined: { type: "task-declined", epoch: "now", checkpointId: 99, task: 0 },
  failed: { type: "task-failed", task: 0 },
  durable: { type: "metadata-durable", checkpointId: 2, isHintDurable: true },
  refused: { type: "metadata-failed", checkpointId: 2, isOutcomeKnown: true },
  discarded: { type: "discarded", isDeleted: true },
  fenced: { type: "fenced" },
  stop: stop(false),
  closed: { type: "sequence-closed" },
};

const same = "";
const table: Readonly<Record<CoordinatorPhase, readonly string[]>> = {
  //           start      tick  request declined failed        durable      refused    discarded fenced    stop        closed
  suspended: ["running", same, same, "x", same, "x", "x", "x", "fenced", "stopped", "x"],
  running: ["x", same, same, "x", "suspended", "x", "x", "x", "fenced", "stopped", "x"],
  recovering: [
    "x",
    same,
    same,
    "x",
    same,
    "suspended",
    "suspended",
    "x",
    "fenced",
    "stopping",
    "x",
  ],
  stopping: [same, same, same, "x", same, "emptying", "emptying", "x", "fenced", same, "x"],
  cancelling: [same, same, same, "x", same, "closing", "closing", "x", "fenced", same, "x"],
  closing: [same, same, same, "x", same, "x", "x", "x", "fenced", same, "stopped"],
  emptying: [same, same, same, "x", same, "x", "x", same, "fenced", same, "x"],
  stopped: [same, same, same, same, same, same, same, same, same, same, same],
  fenced: [same, same, same, same, same, same, same, same, same, same, same],
};

describe("every event in every phase", () => {
  test("leads where the table says, or is asserted", () => {
    for (const [phase, make] of Object.entries(phases)) {
      for (const [column, [name, event]] of Object.entries(events).entries()) {
        const rig = make();
        const context = `${name} while ${phase}`;
        assert.equal(rig.state.phase, phase, context);
        const expected = table[phase as CoordinatorPhase][column]!;
        if (expected === "x") {
          assert.throws(() => rig.event(event), { code: "VARVE_INVARIANT" }, context);
          continue;
        }
        rig.event(event);
        assert.equal(rig.state.phase, expected === same ? phase : expected, context);
      }
    }
  });

  test("asserts messages of tasks that do not exist, of checkpoints to come, and odd starts", () => {
    const broken = { code: "VARVE_INVARIANT" };
    const rig = running();
    rig.request();
    assert.throws(() => rig.acknowledge(1, 2), broken);
    assert.throws(() => rig.decline(1, -1), broken);
    assert.throws(() => rig.acknowledge(2, 0), broken);
    assert.throws(() => rig.event({ type: "task-failed", task: 7 }), broken);
    assert.throws(() => new Rig({}, { taskCount: 0 }), broken);
    assert.throws(() => new Rig({}, { restoredFrom: 3 }), broken);
  });

  test("refuses requests beyond the queue", () => {
    const rig = running();
    for (let request = 0; request <= 1000; request++) rig.request(request);
    assert.deepEqual(rig.request(1001), ["request-failed 1001 queue-full"]);
  });
});
