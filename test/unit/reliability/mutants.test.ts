import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "vitest";
import { mutants } from "../../reliability/mutants/catalog.ts";
import { patched } from "../../reliability/mutants/patch.ts";
import { mutantPage, readCaught } from "../../reliability/mutants/record.ts";
import { parts } from "../../reliability/parts.ts";

describe("planted bugs", () => {
  test("are at least thirty, each in exactly one place of the sources, for a part that exists", () => {
    assert.ok(mutants.length >= 30);
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
    for (const mutant of mutants) {
      const source = readFileSync(mutant.file, "utf8");
      assert.notEqual(patched(mutant, source), source, mutant.name);
      assert.ok(
        parts.some(({ name }) => name === mutant.part),
        mutant.name,
      );
    }
  });

  test("stand in docs/mutants.md as they were caught", async () => {
    for (const name of Object.keys(readCaught())) {
      assert.ok(
        mutants.some((mutant) => mutant.name === name),
        name,
      );
    }
    assert.equal(readFileSync("docs/mutants.md", "utf8"), await mutantPage());
  });
});
