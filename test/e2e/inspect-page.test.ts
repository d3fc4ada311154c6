// Goal: the example of docs/inspect.md works as it stands, with what the package exports.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { f64 } from "../../src/index.ts";
import { openJob } from "../support/inspected-job.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

test("the example of docs/inspect.md runs, and tells what changed", async () => {
  const folder = temporaryDirectory();
  const job = await openJob(folder);
  const total = job.valueState({ name: "total", value: f64 });
  for (const value of [1, 2]) {
    job.withKey("LHR-JFK", () => total.update(value));
    await job.checkpoint();
  }
  await job.close();
  const page = readFileSync("docs/inspect.md", "utf8");
  const example = /```js\n([\s\S]*?)```/.exec(page)?.[1];
  assert.ok(example !== undefined);
  const entry = new URL("../../src/inspect/index.js", import.meta.url);
  const source = example.replace('"varve/inspect"', JSON.stringify(entry));
  writeFileSync(join(folder, "example.mjs"), source);
  const { stdout, stderr } = spawnSync(process.execPath, ["example.mjs"], {
    cwd: folder,
    encoding: "utf8",
  });
  assert.equal(stderr, "");
  assert.deepEqual(stdout.trimEnd().split("\n"), [
    "total value [ 'f64' ]",
    "2",
    "LHR-JFK 2",
    "total 95 1",
    "changed LHR-JFK 1 2",
    "true []",
  ]);
});
