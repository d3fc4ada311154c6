// The suite under node:test, with a subject that lacks the optional features: run by a test.
import * as runner from "node:test";
import { defineKeyedStateSuite } from "../../src/testing/index.ts";
import { subjectOf } from "../support/subjects.ts";

const subject = subjectOf("memory, under node:test", { backend: "memory" });
const supports = { keyGroupRanges: false, restoreById: false, snapshots: false, bulk: false };
defineKeyedStateSuite(runner, { ...subject, supports });
