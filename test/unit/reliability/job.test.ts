// Goal: the jobs that are attacked reach what is to be attacked.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { KIB } from "../../../src/index.ts";
import { JobStates } from "../../reliability/workload/model.ts";
import { Workplace } from "../backend/fixture.ts";

const RECORDS = 200;

describe("a job with a changelog", () => {
  for (const [what, seed, isAhead] of [
    ["with large texts appends ahead of its checkpoints", 13, true],
    ["with small ones does not", 11, false],
  ] as const) {
    test(what, async () => {
      const changelog = { segmentBytes: 64 * KIB, earlyAppendBytes: 512 * KIB };
      const backend = await new Workplace().open({ policy: "changelog", changelog });
      const states = new JobStates(backend);
      await backend.checkpoint(); // The base.
      for (let offset = 0; offset < RECORDS; offset++) states.perform(seed, offset);
      await backend.checkpoint();
      assert.equal((backend.stats().changelog?.appends ?? 0) > 1, isAhead);
    });
  }
});
