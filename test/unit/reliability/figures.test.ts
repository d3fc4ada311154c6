// Goal: docs/guarantees.md has the ledger's figures: npm run reliability -- report --write.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "vitest";
import { pageWith } from "../../reliability/figures.ts";
import { type PartReport, reportOf } from "../../reliability/ledger.ts";
import { parts } from "../../reliability/parts.ts";

test("the figures in docs/guarantees.md are those of the ledger", async () => {
  const page = readFileSync("docs/guarantees.md", "utf8");
  assert.equal(await pageWith(page, reportOf(parts)), page);
});

test("the bound is of what was tried since the last failure", async () => {
  const [first] = reportOf(parts);
  const report: PartReport = { ...first!, trials: 5000, failures: 1, trialsSinceFailure: 3000 };
  const page = await pageWith(readFileSync("docs/guarantees.md", "utf8"), [report]);
  assert.match(page, /\| 1 +\| 3,000 +\| 1\.0e-3 +\|/u);
});
