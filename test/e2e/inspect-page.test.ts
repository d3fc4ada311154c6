// Goal: the example of docs/inspect.md works as it stands, with what the package exports.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { f64, json, utf8 } from "../../src/index.ts";
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

test("the conversion of docs/inspect.md runs, and what it makes is restored", async () => {
  const folder = temporaryDirectory();
  const routes = { name: "routes", key: utf8 };
  const job = await openJob(folder);
  job.withKey("LHR", () => {
    job.valueState({ name: "total", value: f64 }).update(2);
    job.mapState({ ...routes, value: f64 }).put("JFK", 1.5);
    job.valueState({ name: "visits", value: f64 }).update(3);
    job.valueState({ name: "scratch", value: f64 }).update(4);
  });
  await job.checkpoint();
  await job.close();
  const page = readFileSync("docs/inspect.md", "utf8");
  const example = page.match(/```js\n([\s\S]*?)```/g)?.find((code) => code.includes("states:"));
  assert.ok(example !== undefined);
  const entryOf = (path: string): string => JSON.stringify(new URL(path, import.meta.url));
  const source = example
    .replace(/^```js\n|```$/g, "")
    .replace('"varve/inspect"', entryOf("../../src/inspect/index.js"))
    .replace('"varve"', entryOf("../../src/index.js"));
  writeFileSync(join(folder, "example.mjs"), source);
  const child = spawnSync(process.execPath, ["example.mjs"], { cwd: folder, encoding: "utf8" });
  assert.deepEqual([child.status, child.stderr], [0, ""]);
  const upgraded = await openJob(join(folder, "next"), { restore: join(folder, "upgraded") });
  upgraded.withKey("LHR", () => {
    const total = upgraded.valueState({ name: "total", value: json() });
    assert.deepEqual(total.value(), { sum: 2, since: 2024 });
    assert.equal(upgraded.mapState({ ...routes, value: utf8 }).get("JFK"), "1.5");
    assert.equal(upgraded.valueState({ name: "visits by day", value: f64 }).value(), 3);
    assert.equal(upgraded.valueState({ name: "scratch", value: f64 }).value(), undefined);
  });
  await upgraded.close();
});
