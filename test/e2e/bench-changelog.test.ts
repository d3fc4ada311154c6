// Goal: the bench of the changelog says what it takes, and refuses what it does not know before it
// measures anything.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "vitest";

const program = fileURLToPath(new URL("../../bench/changelog.js", import.meta.url));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

test("explains itself", () => {
  const { status, stdout, stderr } = run("--help");
  assert.deepEqual([status, stderr], [0, ""]);
  for (let number = 1; number <= 10; number++) assert.match(stdout, new RegExp(`\\bC${number}\\b`));
});

test.each([
  [["--only", "C11"], /--only takes C1,.*"C11"/],
  [["--only", "C1,,C2"], /--only takes C1,.*""/],
  [["--minutes", "3"], /Unknown option/],
  [["--fast"], /Unknown option/],
  [["C1"], /Unexpected argument/],
])("%j is refused", (args, message) => {
  const { status, stdout, stderr } = run(...args);
  assert.deepEqual([status, stdout], [2, ""]);
  assert.match(stderr, message);
});
