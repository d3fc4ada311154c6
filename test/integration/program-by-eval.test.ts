// Goal: a program that Node is given by -e, or through a pipe, can use every backend: its threads begin with
// files, which Node does not load under --input-type.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const index = new URL("../../src/index.js", import.meta.url).href;

describe("a program given by -e", () => {
  test.for(["memory full", "lsm incremental", "lsm changelog"])("%s", (subject) => {
    const [backend, policy] = subject.split(" ");
    const root = temporaryDirectory();
    const script = `
      const { openKeyedStateBackend, fileSystemStorage, f64 } = await import(${JSON.stringify(index)});
      const backend = await openKeyedStateBackend({
        backend: ${JSON.stringify(backend)},
        policy: ${JSON.stringify(policy)},
        restore: "latest-or-new",
        workingDirectory: ${JSON.stringify(join(root, "work"))},
        checkpointStorage: fileSystemStorage(${JSON.stringify(join(root, "checkpoints"))}),
      });
      const count = backend.valueState({ name: "count", value: f64 });
      backend.withKey("a", () => count.update(1));
      console.log((await backend.checkpoint()).checkpointId);
      await backend.close();`;
    const run = (): string =>
      execFileSync(process.execPath, ["--input-type=module", "-e", script], {
        encoding: "utf8",
        timeout: 100_000,
      });
    assert.equal(run(), "1\n");
    assert.equal(run(), "2\n");
  });
});
