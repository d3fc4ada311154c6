import assert from "node:assert/strict";
import { cp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "vitest";
import { f64 } from "../../../src/index.ts";
import { diffCheckpoints, openCheckpoint } from "../../../src/inspect/index.ts";
import {
  type Contents,
  keyText,
  openJob,
  remove,
  served,
  statesOf,
  write,
} from "../../support/inspected-job.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { sample } from "../../support/long-tests.ts";

describe("a diff", () => {
  for (const backend of sample(["lsm", "memory"] as const, 2)) {
    test(`tells what was added, removed and changed, ${backend}`, async () => {
      const folder = temporaryDirectory();
      const directory = join(folder, "checkpoints");
      const job = await openJob(folder, { backend, retainedCheckpoints: 9 });
      write(job, 0);
      const before = served(job);
      await job.checkpoint();
      await job.checkpoint();
      remove(job);
      write(job, 1, 3);
      job.withKey("new", () => job.valueState({ name: "value", value: f64 }).update(1));
      job.withKey("new", () => job.valueState({ name: "later", value: f64 }).update(2));
      const after = served(job);
      await job.checkpoint();
      await job.close();
      const views = await Promise.all(
        [1, 2, 3].map((checkpointId) => openCheckpoint(directory, { checkpointId })),
      );
      const [first, second, third] = views as [
        (typeof views)[0],
        (typeof views)[0],
        (typeof views)[0],
      ];
      for await (const difference of diffCheckpoints(first, second)) {
        assert.fail(`${difference.state} ${String(difference.key)}`);
      }
      for (const [from, to, old, current] of [
        [first, third, before, after],
        [third, first, after, before],
      ] as const) {
        const expected = expectedDifferences(old, current, from === first);
        const found = new Map<string, readonly unknown[]>();
        for await (const one of diffCheckpoints(from, to)) {
          const key = `${one.state}: ${keyText(one.key, one.namespace)}`;
          assert.ok(!found.has(key));
          found.set(key, [one.change, one.before, one.after]);
        }
        assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
        for (const [key, change] of expected) assert.deepEqual(found.get(key), change, key);
      }
      const only: string[] = [];
      for await (const one of diffCheckpoints(first, third, { states: ["later"] }))
        only.push(one.change);
      assert.deepEqual(only, ["added"]);
      const unknown = diffCheckpoints(first, third, { states: ["none"] }).next();
      await assert.rejects(unknown, { code: "VARVE_INVALID_ARGUMENT" });
      for (const view of views) await view.close();
    });
  }

  test("of what both backends wrote of the same is empty, for every release", async () => {
    const fixtures = "test/fixtures/checkpoints";
    for (const release of await readdir(fixtures)) {
      const views = await Promise.all(
        ["lsm", "memory"].map((backend) => openCheckpoint(join(fixtures, release, backend))),
      );
      const [lsm, memory] = views as [(typeof views)[0], (typeof views)[0]];
      let count = 0;
      for (const { name } of lsm.states()) {
        for await (const { isDecoded } of lsm.scan(name)) count += isDecoded ? 1 : 0;
      }
      assert.ok(count > 30);
      for await (const one of diffCheckpoints(lsm, memory)) assert.fail(one.state);
    }
  });

  test("compares content, not how it is spread over rows", async () => {
    const folder = temporaryDirectory();
    const directories = ["grown", "shrunk"].map((name) => join(folder, name));
    for (const [index, path] of directories.entries()) {
      const job = await openJob(path);
      job.withKey("a", () => {
        const { byText, list } = statesOf(job);
        const size = index === 0 ? 400 : 5000;
        for (let at = 0; at < size; at++) byText.put(`entry ${String(at).padStart(5, "0")}`, at);
        for (let at = 400; at < size; at++) byText.remove(`entry ${String(at).padStart(5, "0")}`);
        if (index === 0) list.addAll(Array.from({ length: 900 }, (_none, at) => `element ${at}`));
        else for (let at = 0; at < 900; at++) list.add(`element ${at}`);
      });
      await job.checkpoint();
      await job.close();
    }
    const [left, right] = await Promise.all(
      directories.map((path) => openCheckpoint(join(path, "checkpoints"))),
    );
    for await (const one of diffCheckpoints(left!, right!)) assert.fail(one.state);
    await cp(join(directories[0]!, "checkpoints"), join(folder, "copied"), { recursive: true });
    const copied = await openCheckpoint(join(folder, "copied"));
    for await (const one of diffCheckpoints(left!, copied)) assert.fail(one.state);
    await copied.close();
    await left!.close();
    await right!.close();
  });
});

function expectedDifferences(
  before: Contents,
  after: Contents,
  isForward: boolean,
): Map<string, readonly unknown[]> {
  const expected = new Map<string, readonly unknown[]>();
  const extra = (state: string, value: number): void => {
    const change = isForward ? ["added", undefined, value] : ["removed", value, undefined];
    expected.set(`${state}: string new`, change);
  };
  extra("value", 1);
  extra("later", 2);
  for (const state of new Set([...before.keys(), ...after.keys()])) {
    const [old, current] = [before.get(state), after.get(state)];
    for (const key of new Set([...(old?.keys() ?? []), ...(current?.keys() ?? [])])) {
      const [was, now] = [old?.get(key), current?.get(key)];
      if (isDeepEqual(was, now)) continue;
      const change = was === undefined ? "added" : now === undefined ? "removed" : "changed";
      expected.set(`${state}: ${key}`, [change, was, now]);
    }
  }
  return expected;
}

function isDeepEqual(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
