import { describe, test } from "vitest";
import { MIB } from "../../src/index.ts";
import { defineKeyedStateSuite } from "../../src/testing/index.ts";
import { subjectOf } from "../support/subjects.ts";

defineKeyedStateSuite({ describe, test }, subjectOf("lsm, smallest budget", {}, 16 * MIB));
