// Goal: the main job is exactly right after kills, and says clearly what it cannot take.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, test } from "vitest";

const main = fileURLToPath(new URL("../../examples/flights/main.js", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "varve-flights-test-"));
const input = "node_modules/vega-datasets/data/flights-3m.parquet";

afterAll(() => rmSync(root, { recursive: true, force: true }));

function run(...args: string[]) {
  const result = spawnSync(process.execPath, [main, ...args], {
    encoding: "utf8",
    timeout: 100_000,
  });
  return { ...result, lines: result.stdout.trim().split("\n") };
}

describe("npm start", () => {
  test("is exactly right after kills, and its CSV is what the states hold", () => {
    const output = join(root, "output");
    const result = run("--limit", "40000", "--kills", "2", "--json", "--output", output);
    const summary = JSON.parse(result.lines.at(-1)!) as Record<string, unknown>;
    assert.equal(result.status, 0, result.stderr);
    assert.equal(summary["ok"], true);
    assert.equal(summary["records"], 40_000);
    assert.equal(summary["kills"], 2);
    assert.ok((summary["killsDuringCheckpoint"] as number) >= 1);
    assert.ok((summary["replayedRecords"] as number[]).every((count) => count > 0));
    const csv = readFileSync(join(output, "routes.csv"), "utf8").split("\r\n");
    assert.equal(csv[0], "origin,destination,day,flights,sum_delay,worst_delay");
    const rows = csv.slice(1, -1);
    assert.deepEqual(rows, [...rows].sort());
    const flights = rows.reduce((sum, row) => sum + Number(row.split(",")[3]), 0);
    assert.ok(flights > 39_000 && flights <= 40_000);
  }, 120_000);

  test("runs on the memory backend", () => {
    const result = run("--limit", "20000", "--kills", "1", "--backend", "memory", "--json");
    assert.equal(result.status, 0, result.stderr);
  }, 120_000);

  test.each([
    [["--no-such-flag"]],
    [["--kills", "-1"]],
    [["--budget", "much"]],
    [["--backend", "redis"]],
    [["--backend", "memory", "--policy", "incremental"]],
    [["--input", "/no/such/file.parquet"]],
  ])("refuses %j with exit code 2 and creates nothing", (args) => {
    const output = join(root, "refused");
    const result = run(...args, "--output", output);
    assert.equal(result.status, 2, result.stderr);
    assert.ok(result.stderr.length > 10);
    assert.equal(existsSync(output), false);
  });

  test("refuses a truncated input", () => {
    const path = join(root, "cut.parquet");
    writeFileSync(path, readFileSync(input).subarray(0, 1_000_000));
    const result = run("--input", path, "--json");
    assert.equal(result.status, 2, result.stderr);
  });
});
