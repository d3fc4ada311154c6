import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { resolveCoordinatorOptions } from "../../../src/coordinator/options.ts";

const refused = { code: "VARVE_INVALID_ARGUMENT" };

describe("the coordinator's options", () => {
  test("have Flink's defaults", () => {
    assert.deepEqual(resolveCoordinatorOptions({}), {
      intervalMs: undefined,
      minPauseMs: 0,
      timeoutMs: 600_000,
      maxConcurrentCheckpoints: 1,
      tolerableFailedCheckpoints: 0,
      retainedCheckpoints: 1,
      externalizedCheckpointRetention: "retain-on-cancellation",
    });
  });

  test("are refused when misspelt or out of range", () => {
    for (const wrong of [
      { interval: 5 },
      { intervalMs: 0 },
      { minPauseMs: -1 },
      { timeoutMs: 0.5 },
      { maxConcurrentCheckpoints: 0 },
      { tolerableFailedCheckpoints: -1 },
      { retainedCheckpoints: 0 },
      { externalizedCheckpointRetention: "retain" },
    ]) {
      assert.throws(() => resolveCoordinatorOptions(wrong as object), refused);
    }
  });
});
