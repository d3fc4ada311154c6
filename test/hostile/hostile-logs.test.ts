import { caseNames } from "./case-files.ts";
import { defineHostileTests } from "./define-tests.ts";

defineHostileTests(caseNames().filter((name) => name.startsWith("lsm-log")));
