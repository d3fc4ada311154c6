import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { advanceLife, newLife } from "../../../src/coordinator/lifecycle.ts";
import type { CheckpointLife, LifeStep } from "../../../src/coordinator/lifecycle.ts";

const lives: readonly CheckpointLife[] = [
  { phase: "triggered", missing: 2 },
  { phase: "triggered", missing: 1 },
  { phase: "acknowledged" },
  { phase: "finalizing", completionNumber: 7 },
  { phase: "undecided" },
  { phase: "completed", completionNumber: 7 },
  { phase: "subsumed" },
  { phase: "aborted", reason: "expired" },
];

const steps: readonly LifeStep[] = [
  { step: "acknowledge" },
  { step: "finalize", completionNumber: 8 },
  { step: "complete" },
  { step: "doubt" },
  { step: "refute" },
  { step: "abort", reason: "declined" },
  { step: "subsume" },
];

/** What each step makes of each life, in their order; "-" is illegal. */
const table: readonly string[][] = [
  ["triggered 1", "-", "-", "-", "-", "aborted declined", "-"],
  ["acknowledged", "-", "-", "-", "-", "aborted declined", "-"],
  ["-", "finalizing 8", "-", "-", "-", "aborted declined", "-"],
  ["-", "-", "completed 7", "undecided", "aborted storage", "-", "-"],
  ["-", "finalizing 8", "-", "-", "-", "-", "-"],
  ["-", "-", "-", "-", "-", "-", "subsumed"],
  ["-", "-", "-", "-", "-", "-", "-"],
  ["-", "-", "-", "-", "-", "-", "-"],
];

describe("the life of a checkpoint", () => {
  test("goes on as the table says, and in no other way", () => {
    for (const [row, life] of lives.entries()) {
      for (const [column, step] of steps.entries()) {
        const expected = table[row]![column]!;
        const context = `${life.phase} ${step.step}`;
        if (expected === "-") {
          assert.throws(() => advanceLife(life, step), { code: "VARVE_INVARIANT" }, context);
          continue;
        }
        assert.equal(Object.values(advanceLife(life, step)).join(" "), expected, context);
      }
    }
  });

  test("begins with all tasks missing", () => {
    assert.deepEqual(newLife(3), { phase: "triggered", missing: 3 });
  });
});
