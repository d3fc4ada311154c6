// Also with the smallest budget: rows are drained, evicted and read back.
import { describe, test } from "vitest";
import { MIB } from "../../src/index.ts";
import { defineKeyedStateSuite } from "../../src/testing/index.ts";
import { subjectOf } from "../support/subjects.ts";

const subject = subjectOf("lsm, full checkpoints, smallest budget", { policy: "full" }, 16 * MIB);
defineKeyedStateSuite({ describe, test }, subject);
