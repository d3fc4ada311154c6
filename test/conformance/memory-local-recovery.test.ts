import { describe, test } from "vitest";
import { defineKeyedStateSuite } from "../../src/testing/index.ts";
import { subjectOf } from "../support/subjects.ts";

const subject = subjectOf("memory, with local recovery", {
  backend: "memory",
  localRecovery: true,
});
defineKeyedStateSuite({ describe, test }, subject);
