// Goal: a sync that fails on the file thread is told apart from all else, and never repeated (Y2), where
// LevelDB's and Node's own calls are made to fail: strace injects EIO into the sync of one directory.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { canTrace, tracedCalls, tracerCommand } from "../../support/tracer.ts";

const source = (file: string): string => new URL(`../../../src/${file}`, import.meta.url).href;

/** Creates three objects in one directory and one in another, and prints what became of each. */
const script = `
  const { fileSystemStorage } = await import(${JSON.stringify(source("checkpoint/file-system-storage.js"))});
  const { startFileThread } = await import(${JSON.stringify(source("checkpoint/file-thread.js"))});
  const { nodeEnvironment } = await import(${JSON.stringify(source("environment/node-environment.js"))});
  await startFileThread(nodeEnvironment().fileSystem);
  const storage = fileSystemStorage(process.argv[1]);
  await storage.open();
  for (const name of ["metadata/1", "metadata/2", "metadata/3", "pins/1"]) {
    const told = await storage.createIfAbsent(name, Buffer.from(name)).catch(({ code, cause }) => {
      return [code, cause.code].join(" ");
    });
    console.log(name, told);
  }`;

test.skipIf(!canTrace())(
  "a failed sync of a directory on the file thread (skipped where strace cannot trace)",
  () => {
    const root = realpathSync(temporaryDirectory());
    const metadata = join(root, "store", "metadata");
    mkdirSync(metadata, { recursive: true });
    const trace = join(root, "trace");
    const [tracer = "", ...flags] = tracerCommand;
    const injecting = ["-P", metadata, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=2"];
    const node = [process.execPath, "--input-type=module", "-e", script, join(root, "store")];
    const { stdout, stderr, status } = spawnSync(
      tracer,
      [...flags, "-o", trace, ...injecting, ...node],
      { encoding: "utf8", timeout: 60_000 },
    );
    assert.equal(status, 0, stderr);
    assert.deepEqual(stdout.trim().split("\n"), [
      "metadata/1 created",
      "metadata/2 VARVE_STORAGE EIO",
      "metadata/3 VARVE_STORAGE EIO",
      "pins/1 created",
    ]);
    // The third one is refused without another sync.
    const syncs = tracedCalls(readFileSync(trace, "utf8")).filter((call) =>
      call.startsWith("fsync"),
    );
    assert.equal(syncs.length, 2, syncs.join("\n"));
  },
);
