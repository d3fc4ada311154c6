import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { resolveCoordinatorOptions } from "../../../src/coordinator/options.ts";
import { newSchedule, nextTrigger, periodicAt } from "../../../src/coordinator/schedule.ts";

const requested = { requestId: 1, isFull: false };

describe("the schedule", () => {
  test("has no periodic checkpoints without an interval", () => {
    const options = resolveCoordinatorOptions({});
    assert.equal(periodicAt(newSchedule(), options, 0), Infinity);
    assert.equal(nextTrigger(newSchedule(), options, 0, 1e12), undefined);
  });

  test("waits for the interval and for the pause since the last one", () => {
    const options = resolveCoordinatorOptions({ intervalMs: 100, minPauseMs: 50 });
    const schedule = { ...newSchedule(), nextPeriodicMs: 200, lastEndMs: 170 };
    assert.equal(nextTrigger(schedule, options, 0, 219), undefined);
    assert.equal(nextTrigger(schedule, options, 0, 220), "periodic");
  });

  test("lets periodic checkpoints overlap only without a pause", () => {
    const schedule = { ...newSchedule(), nextPeriodicMs: 0 };
    const limits = { intervalMs: 100, maxConcurrentCheckpoints: 2 };
    const overlapping = resolveCoordinatorOptions(limits);
    assert.equal(nextTrigger(schedule, overlapping, 1, 0), "periodic");
    assert.equal(nextTrigger(schedule, overlapping, 2, 0), undefined);
    const paused = resolveCoordinatorOptions({ ...limits, minPauseMs: 1 });
    assert.equal(nextTrigger(schedule, paused, 1, 10), undefined);
  });

  test("takes requests first, whatever the pause, up to the limit", () => {
    const options = resolveCoordinatorOptions({ intervalMs: 100, minPauseMs: 50 });
    const schedule = { nextPeriodicMs: 0, lastEndMs: 0, requests: [requested] };
    assert.equal(nextTrigger(schedule, options, 0, 1), "request");
    assert.equal(nextTrigger(schedule, options, 1, 1), undefined);
  });
});
