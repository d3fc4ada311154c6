import { describe, test } from "vitest";
import { defineKeyedStateSuite } from "../../src/testing/index.ts";
import { isLong } from "../support/long-tests.ts";
import { subjectOf } from "../support/subjects.ts";

const subject = subjectOf("memory, with local recovery", {
  backend: "memory",
  localRecovery: true,
});
if (isLong) defineKeyedStateSuite({ describe, test }, subject);
else
  describe.skip(`${subject.name}: in CI (VARVE_LONG=1)`, () => test("runs there", () => undefined));
