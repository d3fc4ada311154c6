import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import type { Environment } from "../../../src/api/environment.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { QuickLinks } from "../../../src/environment/quick-links.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

/** Node's environment, in which each call takes what `ms` tells and turns are counted. */
function timed(ms: (call: number) => number): { environment: Environment; turns: () => number } {
  const node = nodeEnvironment();
  let [now, reads, turns] = [0, 0, 0];
  const clock = {
    ...node.clock,
    monotonicMs: () => (reads++ % 2 === 0 ? now : (now += ms(reads >> 1))),
  };
  const yieldTurn = async (): Promise<void> => {
    turns++;
    await node.timers.yieldTurn();
  };
  const environment = { ...node, clock, timers: { ...node.timers, yieldTurn } };
  return { environment, turns: () => turns };
}

async function linkMany(links: QuickLinks, count: number): Promise<void> {
  const root = temporaryDirectory();
  writeFileSync(join(root, "a"), "content");
  for (let index = 0; index < count; index++) {
    const target = join(root, `link-${index}`);
    await links.link(join(root, "a"), target);
    assert.deepEqual(await links.stat(target), { kind: "file", sizeBytes: 7 });
  }
  assert.equal(readFileSync(join(root, `link-${count - 1}`), "utf8"), "content");
  await assert.rejects(links.link(join(root, "missing"), join(root, "b")), { code: "ENOENT" });
  await assert.rejects(links.link(join(root, "a"), join(root, "link-0")), { code: "EEXIST" });
}

describe("quick links", () => {
  test("Q1: let others have a turn for each millisecond that they take", async () => {
    const { environment, turns } = timed(() => 0.25);
    const links = new QuickLinks(environment);
    await linkMany(links, 49); // With the two that fail a hundred calls.
    assert.equal(turns(), 25);
    assert.ok(links.isQuick);
  });

  test("Q2: leave it to libuv's threads once calls are slow, but not for a few in many", async () => {
    const few = new QuickLinks(timed((call) => (call % 200 === 1 ? 3 : 0.01)).environment);
    await linkMany(few, 500);
    assert.ok(few.isQuick);
    const slow = new QuickLinks(timed(() => 2).environment);
    await linkMany(slow, 10);
    assert.ok(!slow.isQuick);
  });

  test("use the calls of a file system that is not Node's", async () => {
    const environment = memoryEnvironment();
    const links = new QuickLinks(environment);
    assert.ok(!links.isQuick);
    const file = await environment.fileSystem.create("/a");
    await file.close();
    await links.link("/a", "/b");
    assert.equal((await links.stat("/b"))?.kind, "file");
  });
});
