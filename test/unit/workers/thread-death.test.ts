// Threads that really die: the pool's own file is exchanged for one that exits when told to.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "vitest";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

test("a thread that dies costs one repetition, two cost the task, none the process", () => {
  const root = temporaryDirectory();
  const source = fileURLToPath(new URL("../../../src", import.meta.url));
  for (const folder of ["workers", "environment", "format", "common", "errors.js"]) {
    cpSync(join(source, folder), join(root, "src", folder), { recursive: true });
  }
  mkdirSync(join(root, "files"));
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  symlinkSync(join(process.cwd(), "node_modules"), join(root, "node_modules"));
  const main = join(root, "src/workers/worker-main.js");
  const original = readFileSync(main, "utf8");
  const dying = original.replace(
    /(async function main\(message\) \{)/,
    `$1
      const { path } = message.request;
      if (path === "always" || (path === "once" && !message.isRepeated)) process.exit(7);
      if (path === "once") message.request.path = "package.json";`,
  );
  assert.notEqual(dying, original);
  writeFileSync(main, dying);
  const script = `
    const { openWorkerPool } = await import("./src/workers/worker-pool.js");
    const { nodeEnvironment } = await import("./src/environment/node-environment.js");
    const pool = await openWorkerPool({ environment: nodeEnvironment(), threads: 2 });
    const outcome = (path) => pool.submit("hashFile", { path }).then(
      ({ lengthBytes }) => lengthBytes,
      ({ code, retriable }) => code + " " + retriable,
    );
    const paths = ["package.json", "once", "always", "package.json"];
    console.log(JSON.stringify(await Promise.all(paths.map(outcome))));
    console.log(JSON.stringify(await outcome("once")), pool.pendingTasks);
    await pool.close();`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: root,
    encoding: "utf8",
    timeout: 30_000,
  });
  assert.deepEqual(output.split("\n"), ['[17,17,"VARVE_STORAGE true",17]', "17 0", ""]);
});
