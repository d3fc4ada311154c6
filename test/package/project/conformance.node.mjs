import { describe, test } from "node:test";
import { defineKeyedStateSuite } from "varve/testing";
import { subjectOf } from "./subject.mjs";

defineKeyedStateSuite({ describe, test }, subjectOf("lsm"));
defineKeyedStateSuite({ describe, test }, subjectOf("memory"));
