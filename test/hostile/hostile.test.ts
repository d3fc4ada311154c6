import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "vitest";
import { caseNames, casePath, encodeCase } from "./case-files.ts";
import { defineHostileTests } from "./define-tests.ts";
import { makeCases } from "./make-fixtures.ts";

describe("the committed hostile checkpoints", () => {
  test("are what the script makes, and enough of them", () => {
    const made = makeCases();
    assert.deepEqual(made.map(({ name }) => name).sort(), caseNames());
    for (const one of made) {
      assert.ok(readFileSync(casePath(one.name), "utf8") === encodeCase(one), one.name);
    }
    assert.ok(made.filter(({ code }) => code !== undefined).length >= 60);
  });
});

defineHostileTests(caseNames().filter((name) => /^lsm-(?!table|list|row|log)/.test(name)));
