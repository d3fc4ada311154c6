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
