import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "vitest";

test("the suite runs under node:test too, and shows what it skips", { timeout: 120_000 }, () => {
  const file = fileURLToPath(new URL("./node-test-suite.js", import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, ["--test-reporter=tap", file], {
    encoding: "utf8",
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  assert.equal(status, 0, stdout.slice(-3000));
  assert.match(stdout, /# fail 0/);
  assert.match(stdout, /# SKIP memory, under node:test does not support snapshots/);
  const count = (name: string): number =>
    Number(new RegExp(`^# ${name} (\\d+)`, "m").exec(stdout)?.[1]);
  assert.ok(count("pass") > 100, `${count("pass")} passed`);
  assert.equal(count("skipped"), 6);
});
