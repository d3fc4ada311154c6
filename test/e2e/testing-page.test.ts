// Goal: the example of docs/testing.md works as it stands, with what the package exports.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

test("the example of docs/testing.md runs, and writes to no disk", () => {
  const page = readFileSync("docs/testing.md", "utf8");
  const example = /```js\n([\s\S]*?)```/.exec(page)?.[1];
  assert.ok(example !== undefined);
  const source = example
    .replace(
      '"varve/testing"',
      JSON.stringify(new URL("../../src/testing/index.js", import.meta.url)),
    )
    .replace('"varve"', JSON.stringify(new URL("../../src/index.js", import.meta.url)));
  const folder = temporaryDirectory();
  writeFileSync(join(folder, "example.mjs"), source);
  const { status, stderr } = spawnSync(process.execPath, ["example.mjs"], {
    cwd: folder,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  for (const path of ["/checkpoints", "/work/lock"]) assert.equal(existsSync(path), false, path);
});
