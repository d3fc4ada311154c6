// Goal: who closes waits for what goes on in his directory (src/lsm/table-mapping.ts).
import assert from "node:assert/strict";
import { test } from "vitest";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { TableMapping } from "../../../src/lsm/table-mapping.ts";
import { environmentWith } from "../../support/other-environments.ts";

test("closing waits for the end of mapping that is under way, also where that fails", async () => {
  const { fileSystem } = memoryEnvironment();
  let fail: (() => void) | undefined;
  const held = new Promise<void>((_, reject) => {
    fail = () => reject(Object.assign(new Error("full"), { code: "ENOSPC" }));
  });
  const environment = environmentWith(
    { ...nodeEnvironment(), fileSystem },
    { makeDirectory: () => held },
  );
  const mapping = new TableMapping({
    environment,
    mmapReads: "auto",
    allowanceBytes: 0,
    newPath: () => "/mappings",
  });
  mapping.wrote(1);
  let isClosed = false;
  const closing = mapping.close().then(() => (isClosed = true));
  await environment.timers.yieldTurn();
  assert.equal(isClosed, false);
  fail?.();
  await closing;
});
