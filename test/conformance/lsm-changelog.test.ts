// Also with the smallest budget, short segments and a base every few checkpoints: rows are drained,
// evicted and read back while the log is cut and begun anew.
import { describe, test } from "vitest";
import { MIB } from "../../src/index.ts";
import { defineKeyedStateSuite } from "../../src/testing/index.ts";
import { busyChangelog } from "../support/busy-changelog.ts";
import { isLong } from "../support/long-tests.ts";
import { subjectOf } from "../support/subjects.ts";

const usual = subjectOf("lsm, changelog", { policy: "changelog" });
const name = "lsm, changelog, smallest budget, frequent bases";
const busy = subjectOf(name, { policy: "changelog", changelog: busyChangelog }, 16 * MIB);
for (const subject of [usual, busy]) {
  if (isLong) defineKeyedStateSuite({ describe, test }, subject);
  else
    describe.skip(`${subject.name}: in CI (VARVE_LONG=1)`, () =>
      test("runs there", () => undefined));
}
