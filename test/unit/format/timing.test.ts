import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { JsonValue } from "../../../src/api/keyed-state-backend.ts";
import type { CheckpointMetadata } from "../../../src/format/metadata.ts";
import { encodeTiming, timingOf } from "../../../src/format/timing.ts";

function read(extensions: CheckpointMetadata["extensions"]) {
  return timingOf({ extensions } as CheckpointMetadata);
}

describe("the timing of a checkpoint", () => {
  test("comes back to the microsecond, and is never negative", () => {
    const stored = encodeTiming({ durationMs: 12.345678, pauseMs: 0.0004 });
    assert.equal(JSON.stringify(stored), '{"timing":{"durationMs":12.346,"pauseMs":0}}');
    assert.deepEqual(read(stored), { durationMs: 12.346, pauseMs: 0 });
    const negative = read(encodeTiming({ durationMs: -1, pauseMs: -1e-9 }));
    assert.ok(Object.is(negative?.durationMs, 0));
    assert.ok(Object.is(negative?.pauseMs, 0));
  });

  test("has all phases or none, and of a log what is told", () => {
    const phases = { cutMs: 1, appendMs: 2, syncMs: 3, uploadMs: 4 };
    const log = { logged: { bytes: 4, rawBytes: 9 }, isMaterializing: true };
    const whole = { durationMs: 12, pauseMs: 0, phases, recoveryMs: 250, ...log };
    assert.deepEqual(read(encodeTiming(whole)), whole);
    const { timing } = encodeTiming(whole) as { timing: { [name: string]: JsonValue } };
    const withoutSync = Object.fromEntries(
      Object.entries(timing).filter(([key]) => key !== "syncMs"),
    );
    const expected = { durationMs: 12, pauseMs: 0, recoveryMs: 250, ...log };
    assert.deepEqual(read({ timing: withoutSync }), expected);
    const odd = { recoveryMs: "soon", loggedBytes: -1, isMaterializing: "yes" };
    const told = read({ timing: { ...timing, ...odd } });
    assert.deepEqual(told, { durationMs: 12, pauseMs: 0, phases });
  });

  test("is absent where something else stands", () => {
    const others: JsonValue[] = [
      null,
      5,
      "x",
      [],
      {},
      { durationMs: 1 },
      { durationMs: -1, pauseMs: 0 },
    ];
    for (const timing of others) assert.equal(read({ timing }), undefined);
    assert.equal(read(undefined), undefined);
    assert.equal(read({}), undefined);
  });
});
