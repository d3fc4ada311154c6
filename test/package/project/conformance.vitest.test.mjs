import { describe, test } from "vitest";
import { defineKeyedStateSuite } from "varve/testing";
import { subjectOf } from "./subject.mjs";

defineKeyedStateSuite({ describe, test }, subjectOf("lsm"));
