// Goal: the main job's verification finds what is wrong. Method: a small run is kept, then one thing
// of what it left is changed.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, test } from "vitest";
import { DEFAULT_INPUT } from "../../examples/flights/default-input.ts";
import { Verification } from "../../examples/flights/verification.ts";
import type { VerificationResult } from "../../examples/flights/verification.ts";
import { sample } from "../support/long-tests.ts";

const LIMIT = 2_000;
const program = fileURLToPath(new URL("../../examples/flights/main.js", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "varve-flights-verification-"));
let kept = "";

beforeAll(() => {
  const args = [program, "--limit", String(LIMIT), "--kills", "0", "--backend", "memory", "--keep"];
  const env = { ...process.env, TMPDIR: root };
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
  assert.equal(status, 0, stderr);
  kept = join(root, readdirSync(root)[0]!);
}, 60_000);

afterAll(() => rmSync(root, { recursive: true, force: true }));

function compareAll(verification: Verification): Promise<VerificationResult> {
  verification.compareOutput();
  for (const state of states) verification.compareState(state);
  return verification.finish();
}

/** Verifies a copy of the run in which `change` was applied to the lines of one file. */
async function verifyWith(file: string, change: (lines: string[]) => string[]) {
  const copy = mkdtempSync(join(root, "copy-"));
  cpSync(kept, copy, { recursive: true });
  const path = join(copy, file);
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  writeFileSync(
    path,
    change(lines)
      .map((line) => `${line}\n`)
      .join(""),
  );
  const verification = await Verification.compute({
    inputPath: DEFAULT_INPUT,
    limit: LIMIT,
    dumpDirectory: join(copy, "dump"),
    outputDirectory: join(copy, "output"),
    resultDirectory: undefined,
  });
  const { lost, duplicated, wrong, first } = await compareAll(verification);
  assert.equal(first.length, lost + duplicated + wrong);
  return { lost, duplicated, wrong };
}

const states = "seen route-day route histogram worst-delays airport-totals airport-miles".split(
  " ",
);
const files = [...states.map((state) => `dump/${state}.tsv`), "output/part-000001.csv"];

describe("the verification", () => {
  test.each(files)("finds nothing in an unchanged %s", async (file) => {
    const found = await verifyWith(file, (lines) => lines);
    assert.deepEqual(found, { lost: 0, duplicated: 0, wrong: 0 });
  });

  test.each(sample(files, 4))("finds a row that is missing in %s", async (file) => {
    const found = await verifyWith(file, (lines) => lines.toSpliced(20, 1));
    assert.deepEqual(found, { lost: 1, duplicated: 0, wrong: 0 });
  });

  test.each(sample(files, 4))("finds a row that comes twice in %s", async (file) => {
    const found = await verifyWith(file, (lines) => [...lines, lines[20]!]);
    assert.deepEqual(found, { lost: 0, duplicated: 1, wrong: 0 });
  });

  test.each(sample(files, 4))("finds a number that is wrong in %s", async (file) => {
    const found = await verifyWith(file, (lines) => lines.with(20, `${lines[20]!}1`));
    assert.deepEqual(found, { lost: 0, duplicated: 0, wrong: 1 });
  });

  test.each(sample(files, 4))("finds a row that should not exist in %s", async (file) => {
    const extra = file.startsWith("dump/") ? "QQQ-QQR:1:2:3\t1" : "999999,QQQ-QQR,1";
    const found = await verifyWith(file, (lines) => [...lines, extra]);
    assert.deepEqual(found, { lost: 0, duplicated: 0, wrong: 1 });
  });

  test("finds a file that was left pending", async () => {
    const copy = mkdtempSync(join(root, "pending-"));
    cpSync(kept, copy, { recursive: true });
    writeFileSync(join(copy, "output", "part-000009.csv.pending"), "");
    const verification = await Verification.compute({
      inputPath: DEFAULT_INPUT,
      limit: LIMIT,
      dumpDirectory: join(copy, "dump"),
      outputDirectory: join(copy, "output"),
      resultDirectory: undefined,
    });
    assert.equal((await compareAll(verification)).wrong, 1);
  });
});
