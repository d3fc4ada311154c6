import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { seededRandom } from "../../../src/environment/seeded-random.ts";

async function write(
  fileSystem: MemoryFileSystem,
  path: string,
  bytes: Uint8Array,
  isSynced: boolean,
): Promise<void> {
  const file = await fileSystem.create(path);
  await file.write(bytes);
  if (isSynced) await file.sync();
  await file.close();
}

describe("a power loss in the memory file system", () => {
  test("synced-only keeps synced bytes under synced names and nothing else", async () => {
    const fileSystem = new MemoryFileSystem();
    await fileSystem.makeDirectory("/d");
    await write(fileSystem, "/d/both", Buffer.from("1"), true);
    await write(fileSystem, "/d/name-only", Buffer.from("2"), false);
    await fileSystem.syncDirectory("/d");
    await write(fileSystem, "/d/bytes-only", Buffer.from("3"), true);
    assert.equal(await fileSystem.crash("synced-only").stat("/d"), undefined);

    await fileSystem.syncDirectory("/");
    const after = fileSystem.crash("synced-only");
    assert.deepEqual(await after.readDirectory("/d"), ["both", "name-only"]);
    assert.equal((await after.readFile("/d/both")).length, 1);
    assert.equal((await after.readFile("/d/name-only")).length, 0);
    assert.equal((await fileSystem.readDirectory("/d")).length, 3);
  });

  test("a removed or renamed name comes back unless its directory was synced", async () => {
    const fileSystem = new MemoryFileSystem();
    await write(fileSystem, "/a", Buffer.from("a"), true);
    await write(fileSystem, "/b", Buffer.from("b"), true);
    await fileSystem.syncDirectory("/");
    await fileSystem.rename("/a", "/b");
    const before = fileSystem.crash("synced-only");
    assert.equal(Buffer.from(await before.readFile("/b")).toString(), "b");
    assert.notEqual(await before.stat("/a"), undefined);
    await fileSystem.syncDirectory("/");
    const after = fileSystem.crash("synced-only");
    assert.equal(Buffer.from(await after.readFile("/b")).toString(), "a");
    assert.equal(await after.stat("/a"), undefined);
  });

  test("hard links stay one file, so one sync serves both names", async () => {
    const fileSystem = new MemoryFileSystem();
    await write(fileSystem, "/a", Buffer.from("a"), false);
    await fileSystem.link("/a", "/b");
    await fileSystem.syncFile("/b");
    await fileSystem.syncDirectory("/");
    const after = fileSystem.crash("synced-only");
    after.damage("/a", () => Buffer.from("damaged"));
    assert.equal(Buffer.from(await after.readFile("/b")).toString(), "damaged");
  });

  test("random keeps and loses names, blocks and tails, and never touches what was synced", async () => {
    const fileSystem = new MemoryFileSystem();
    const file = await fileSystem.create("/log");
    await file.write(Buffer.alloc(1000, 1));
    await file.sync();
    await fileSystem.syncDirectory("/");
    await file.write(Buffer.alloc(4000, 2));
    await write(fileSystem, "/unsynced", Buffer.from("x"), true);
    const lengths = new Set<number>();
    let losesName = 0;
    let losesBlock = 0;
    for (let seed = 0; seed < 200; seed++) {
      const after = fileSystem.crash(seededRandom(seed));
      const bytes = await after.readFile("/log");
      assert.ok(
        bytes.subarray(0, 1000).every((byte) => byte === 1),
        `seed ${seed}`,
      );
      lengths.add(bytes.length);
      if (bytes.subarray(1000).includes(0)) losesBlock++;
      if ((await after.stat("/unsynced")) === undefined) losesName++;
    }
    assert.ok(lengths.size > 100);
    assert.ok(losesName > 50 && losesName < 150);
    assert.ok(losesBlock > 100);
  });

  test("hooks see each operation and may fail it before or after its effect", async () => {
    const seen: string[] = [];
    const fileSystem = new MemoryFileSystem({
      onOperation: (operation, path, index) => {
        seen.push(`${index} ${operation} ${path}`);
        if (path === "/before") throw new Error("before");
      },
      afterOperation: (_operation, path) => {
        if (path === "/after") throw new Error("after");
      },
    });
    await assert.rejects(fileSystem.create("/before"), { message: "before" });
    await assert.rejects(fileSystem.create("/after"), { message: "after" });
    assert.equal(await fileSystem.stat("/before"), undefined);
    assert.notEqual(await fileSystem.stat("/after"), undefined);
    assert.deepEqual(seen, ["0 create /before", "1 create /after"]);
    assert.equal(fileSystem.operationCount, 2);
  });
});

describe("the memory environment", () => {
  test("delays end when the clock is advanced to them, in order", async () => {
    const environment = memoryEnvironment({ wallMs: 1000 });
    const ended: string[] = [];
    const late = environment.timers.delay(20).then(() => ended.push("late"));
    const early = environment.timers.delay(10).then(() => ended.push("early"));
    environment.advance(9);
    await environment.timers.yieldTurn();
    assert.deepEqual(ended, []);
    environment.advance(11);
    await Promise.all([late, early]);
    assert.deepEqual(ended, ["early", "late"]);
    assert.equal(environment.clock.monotonicMs(), 20);
    assert.equal(environment.clock.wallMs(), 1020);
  });

  test("a delay rejects with the reason of its signal", async () => {
    const environment = memoryEnvironment();
    const controller = new AbortController();
    const delay = environment.timers.delay(10, controller.signal);
    controller.abort(new Error("enough"));
    await assert.rejects(delay, { message: "enough" });
    await assert.rejects(environment.timers.delay(10, controller.signal), { message: "enough" });
  });

  test("one seed gives the same random bytes", () => {
    const bytes = (seed: number): Uint8Array => memoryEnvironment({ seed }).random.bytes(32);
    assert.deepEqual(bytes(7), bytes(7));
    assert.notDeepEqual(bytes(7), bytes(8));
  });
});
