// Goal: who closes waits for what goes on in his directory (src/lsm/table-mapping.ts).
import assert from "node:assert/strict";
import { test } from "vitest";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { TableMapping } from "../../../src/lsm/table-mapping.ts";

test("closing waits for the end of mapping that is under way, also where that fails", async () => {
  const { fileSystem } = memoryEnvironment();
  let fail: (() => void) | undefined;
  const held = new Promise<void>((_, reject) => {
    fail = () => reject(Object.assign(new Error("full"), { code: "ENOSPC" }));
  });
  const environment = {
    ...nodeEnvironment(),
    fileSystem: new Proxy(fileSystem, {
      get(target, name) {
        if (name === "makeDirectory") return () => held;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    }),
  };
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
