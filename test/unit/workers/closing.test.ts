// To end a worker thread while it loads its code ends the whole process (Node 20.20): a child opens
// and closes pools at every moment of that.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "vitest";

test("a pool that is closed while its threads load does not end the process", () => {
  const child = fileURLToPath(new URL("./closing-child.js", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [child], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}, 60_000);
