import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { DirectorySyncs } from "../../../src/checkpoint/directory-syncs.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";

/** A file system whose syncs of directories end when told to. */
function manual(): { fileSystem: MemoryFileSystem; ends: ((error?: Error) => void)[] } {
  const fileSystem = new MemoryFileSystem();
  const ends: ((error?: Error) => void)[] = [];
  fileSystem.syncDirectory = () =>
    new Promise((resolve, reject) => {
      ends.push((error) => (error === undefined ? resolve() : reject(error)));
    });
  return { fileSystem, ends };
}

const turn = (): Promise<void> => nodeEnvironment().timers.yieldTurn();

describe("shared syncs of a directory", () => {
  test("a call resolves only through a sync that began after it, and calls share that one", async () => {
    const { fileSystem, ends } = manual();
    const syncs = new DirectorySyncs(fileSystem);
    const done: string[] = [];
    const call = (name: string): Promise<unknown> => syncs.sync("/d").then(() => done.push(name));
    const all = [call("first"), call("second"), call("third")];
    await turn();
    assert.equal(ends.length, 1);
    ends[0]!();
    await turn();
    assert.deepEqual(done, ["first"]);
    assert.equal(ends.length, 2);
    all.push(call("fourth"));
    ends[1]!();
    await turn();
    assert.deepEqual(done, ["first", "second", "third"]);
    ends[2]!();
    await Promise.all(all);
  });

  test("a failed sync fails every later call, and no other directory", async () => {
    const { fileSystem, ends } = manual();
    const syncs = new DirectorySyncs(fileSystem);
    const failure = Object.assign(new Error("EIO"), { code: "EIO" });
    const isFailure = (error: unknown): boolean => error === failure;
    const [first, second] = [syncs.sync("/d"), syncs.sync("/d")];
    ends[0]!(failure);
    await assert.rejects(first, isFailure);
    await assert.rejects(second, isFailure);
    await assert.rejects(syncs.sync("/d"), isFailure);
    assert.equal(ends.length, 1);
    const other = syncs.sync("/e");
    ends[1]!();
    await other;
  });

  test("work with a sync of its own runs beside none of ours, and its failure counts", async () => {
    const { fileSystem, ends } = manual();
    const syncs = new DirectorySyncs(fileSystem);
    const done: string[] = [];
    const works: ((unsynced?: Error) => void)[] = [];
    const work = (): Promise<{ unsynced: Error | undefined }> =>
      new Promise((resolve) => works.push((unsynced) => resolve({ unsynced })));
    const named = (name: string): Promise<unknown> =>
      syncs.withSync("/d", work).then(() => done.push(name));
    const all: Promise<unknown>[] = [syncs.sync("/d"), named("first"), named("second")];
    all.push(syncs.sync("/d").then(() => done.push("synced")));
    await turn();
    assert.deepEqual([ends.length, works.length], [1, 0]);
    for (let round = 0; round < 4; round++) {
      // One of them runs at a time.
      const pending = [...ends.splice(0), ...works.splice(0)];
      assert.equal(pending.length, 1);
      pending[0]!();
      await turn();
    }
    await Promise.all(all);
    assert.deepEqual(done.toSorted(), ["first", "second", "synced"]);
    const failure = Object.assign(new Error("EIO"), { code: "EIO" });
    const failing = named("failing");
    await turn();
    works[0]!(failure);
    await assert.rejects(failing, (error) => error === failure);
    await assert.rejects(named("later"), (error) => error === failure);
    await assert.rejects(syncs.sync("/d"), (error) => error === failure);
    assert.equal(ends.length, 0);
  });

  test("a failed sync under way fails the work that waits for it", async () => {
    const { fileSystem, ends } = manual();
    const syncs = new DirectorySyncs(fileSystem);
    const failure = Object.assign(new Error("EIO"), { code: "EIO" });
    const first = syncs.sync("/d");
    const named = syncs.withSync("/d", async () => ({ unsynced: undefined }));
    ends[0]!(failure);
    await assert.rejects(first, (error) => error === failure);
    await assert.rejects(named, (error) => error === failure);
  });

  test("a sync that could not even begin is no failed one", async () => {
    const { fileSystem, ends } = manual();
    const syncs = new DirectorySyncs(fileSystem);
    const passing = syncs.sync("/d");
    ends[0]!(Object.assign(new Error("EMFILE"), { code: "EMFILE" }));
    await assert.rejects(passing, { code: "EMFILE" });
    const again = syncs.sync("/d");
    ends[1]!();
    await again;
  });
});
