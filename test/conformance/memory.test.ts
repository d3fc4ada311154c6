import { describe, test } from "vitest";
import { defineKeyedStateSuite } from "../../src/testing/index.ts";
import { subjectOf } from "../support/subjects.ts";

defineKeyedStateSuite({ describe, test }, subjectOf("memory", { backend: "memory" }));
