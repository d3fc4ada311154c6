// Also with the smallest budget: rows are drained, evicted and read back.
import { describe, test } from "vitest";
import { MIB } from "../../src/index.ts";
import { defineKeyedStateSuite } from "../../src/testing/index.ts";
import { isLong } from "../support/long-tests.ts";
import { subjectOf } from "../support/subjects.ts";

const subject = subjectOf("lsm, full checkpoints, smallest budget", { policy: "full" }, 16 * MIB);
if (isLong) defineKeyedStateSuite({ describe, test }, subject);
else
  describe.skip(`${subject.name}: in CI (VARVE_LONG=1)`, () => test("runs there", () => undefined));
