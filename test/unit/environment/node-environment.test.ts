import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import {
  type NodeCalls,
  type NodeHandle,
  blockingCalls,
} from "../../../src/environment/node-calls.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { NodeFileSystem } from "../../../src/environment/node-file-system.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const { fileSystem, timers, clock, random, ...environment } = nodeEnvironment();

describe("Node's environment", () => {
  // A process of its own: the umask is shared by all threads of one.
  test.for(["0000", "0022", "0777"])("modes are 0600 and 0700 under the umask %s", (umask) => {
    const root = temporaryDirectory();
    const module = new URL("../../../src/environment/node-environment.js", import.meta.url);
    const script = `
      process.umask(0o${umask});
      const { nodeEnvironment } = await import(${JSON.stringify(module.href)});
      const { fileSystem } = nodeEnvironment();
      await fileSystem.makeDirectory("a/b");
      await (await fileSystem.create("a/b/file")).close();
      await fileSystem.copyFile("a/b/file", "a/b/copy");`;
    execFileSync(process.execPath, ["--input-type=module", "-e", script], { cwd: root });
    const modes = ["a", "a/b", "a/b/file", "a/b/copy"].map(
      (path) => statSync(join(root, path)).mode & 0o777,
    );
    assert.deepEqual(modes, [0o700, 0o700, 0o600, 0o600]);
  });

  test("a copy of a file with a wide mode is private", async () => {
    const root = temporaryDirectory();
    writeFileSync(join(root, "wide"), "x");
    chmodSync(join(root, "wide"), 0o666);
    await fileSystem.copyFile(join(root, "wide"), join(root, "copy"));
    assert.equal(statSync(join(root, "copy")).mode & 0o777, 0o600);
  });

  test("a pipe is refused instead of blocking a thread", async () => {
    const root = temporaryDirectory();
    execFileSync("mkfifo", [join(root, "pipe")]);
    await assert.rejects(fileSystem.open(join(root, "pipe")), { code: "EINVAL" });
    await assert.rejects(fileSystem.copyFile(join(root, "pipe"), join(root, "copy")), {
      code: "EINVAL",
    });
  });

  test("failed operations leave no descriptor open", async () => {
    const root = temporaryDirectory();
    const countOpen = (): number => readdirSync("/proc/self/fd").length;
    await assert.rejects(fileSystem.open(root));
    const before = countOpen();
    for (let round = 0; round < 50; round++) {
      await assert.rejects(fileSystem.open(root));
      await assert.rejects(fileSystem.readFile(join(root, "missing")));
      await assert.rejects(fileSystem.syncFile(root));
      await assert.rejects(fileSystem.copyFile(root, join(root, "copy")));
    }
    assert.ok(countOpen() < before + 10);
  });

  test("F3: a new file whose mode cannot be set is closed", async () => {
    let closed = 0;
    const open: NodeCalls["open"] = async (...how) => {
      const handle = await blockingCalls.open(...how);
      const close = async (): Promise<void> => {
        closed++;
        await handle.close();
      };
      const chmod = async (): Promise<void> => {
        throw Object.assign(new Error("EIO"), { code: "EIO" });
      };
      return Object.assign(Object.create(handle) as NodeHandle, { close, chmod });
    };
    const failing = new NodeFileSystem({ ...blockingCalls, open });
    await assert.rejects(failing.create(join(temporaryDirectory(), "a")), { code: "EIO" });
    assert.equal(closed, 1);
  });

  test("a delay rejects with the reason of its signal", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const delay = timers.delay(1e9, controller.signal);
    controller.abort(reason);
    await assert.rejects(delay, (error) => error === reason);
    await assert.rejects(timers.delay(1, controller.signal), (error) => error === reason);
    await timers.delay(0);
    await timers.yieldTurn();
  });

  test("memory, cores, clocks and randomness are plausible", () => {
    const available = environment.availableMemoryBytes();
    assert.ok(available > 0 && available <= totalmem());
    assert.ok(environment.availableCores() >= 1);
    assert.ok(clock.wallMs() > 1.6e12);
    assert.ok(clock.monotonicMs() <= clock.monotonicMs());
    assert.equal(random.bytes(16).length, 16);
    assert.notDeepEqual(random.bytes(16), random.bytes(16));
  });
});
