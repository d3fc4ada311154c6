import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { NodeFileSystem } from "../../../src/environment/node-file-system.ts";
import { shortCallsOf, shortNodeCalls } from "../../../src/environment/short-calls.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

/** Calls with a clock that stands still, or moves each time that somebody looks at it. */
function subject(): {
  readonly pass: (ms: number) => void;
  /** Whether the next look at a file blocks: whether it is over without a turn of the event loop. */
  readonly blocks: () => Promise<boolean>;
} {
  const path = join(temporaryDirectory(), "a");
  writeFileSync(path, "a");
  let [now, perCall] = [1000, 0];
  const calls = shortNodeCalls(() => (now += perCall));
  const blocks = async (): Promise<boolean> => {
    let isOver = false;
    const call = calls.lstat(path).then(() => {
      isOver = true;
    });
    for (let step = 0; step < 20; step++) await Promise.resolve(); // No turn of the event loop.
    const hasBlocked = isOver;
    await call;
    return hasBlocked;
  };
  return {
    pass: (ms) => {
      perCall = ms;
    },
    blocks,
  };
}

describe("short calls", () => {
  test("block where they are quick", async () => {
    const { blocks } = subject();
    for (let call = 0; call < 50; call++) assert.equal(await blocks(), true);
  });

  test("S1: do not block for long without a turn of the event loop", async () => {
    const { pass, blocks } = subject();
    pass(0.25); // At its start and at its end: half a millisecond a call.
    let inARow = 0;
    while (await blocks()) inARow++;
    assert.ok(inARow >= 3 && inARow <= 12, `${inARow} calls`);
    assert.equal(await blocks(), true);
  });

  test("S2: after a slow one, the next ones do not block", async () => {
    const { pass, blocks } = subject();
    pass(2);
    assert.equal(await blocks(), true);
    pass(0);
    let notBlocking = 0;
    while (!(await blocks())) notBlocking++;
    assert.equal(notBlocking, 256);
  });

  test("go to the same file system where it is not Node's own", () => {
    const memory = new MemoryFileSystem();
    assert.equal(shortCallsOf(memory), memory);
    // What injects faults must see every call.
    const wrapper = Object.create(new NodeFileSystem()) as NodeFileSystem;
    assert.equal(shortCallsOf(wrapper), wrapper);
    assert.notEqual(shortCallsOf(new NodeFileSystem()), undefined);
  });
});
