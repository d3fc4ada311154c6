import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, onTestFinished, test } from "vitest";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { readDumpRows } from "../../../src/format/dump.ts";
import type { TaskMessage, TaskReply } from "../../../src/workers/tasks.ts";
import { openWorkerPool, openWorkerPoolOn } from "../../../src/workers/worker-pool.ts";
import type { WorkerPool } from "../../../src/workers/worker-pool.ts";
import { arenaOf } from "../../support/arena.ts";
import type { ArenaRow } from "../../support/arena.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function threads(options: { threads?: number; queueLengthMax?: number } = {}) {
  const pool = await openWorkerPool({ environment: nodeEnvironment(), ...options });
  onTestFinished(() => pool.close());
  return pool;
}

async function rowsOf(
  pool: WorkerPool,
  path: string,
  expected: { lengthBytes: number; sha256: string },
) {
  const request = { path, lengthBytes: expected.lengthBytes, sha256: expected.sha256, file: "d" };
  const { buffers, rowCount } = await pool.submit("unpackDump", request);
  const rows: [string, number, string][] = [];
  for (const buffer of buffers) {
    assert.ok(buffer.length <= 1_048_576);
    readDumpRows(buffer, "d", 0, (key, row) => {
      const payload = Buffer.from(row.subarray(1)).toString();
      rows.push([Buffer.from(key).toString(), row[0]!, payload]);
    });
  }
  assert.equal(rows.length, rowCount);
  return rows;
}

describe("the worker pool", () => {
  test("hashes and verifies files", async () => {
    const pool = await threads();
    const path = join(temporaryDirectory(), "file");
    const bytes = Buffer.alloc(3_000_000, "varve");
    writeFileSync(path, bytes);
    const hashed = await pool.submit("hashFile", { path });
    assert.deepEqual(hashed, { sha256: sha256(bytes), lengthBytes: bytes.length });
    await pool.submit("verifyFile", { path, ...hashed, file: "f" });
    const wrong = { path, ...hashed, file: "f" };
    await assert.rejects(pool.submit("verifyFile", { ...wrong, lengthBytes: 5 }), {
      name: "CorruptionError",
      code: "VARVE_CORRUPTION",
      file: "f",
      offsetBytes: 5,
    });
    await assert.rejects(pool.submit("verifyFile", { ...wrong, sha256: "0".repeat(64) }), {
      code: "VARVE_CORRUPTION",
      file: "f",
      message: "the SHA-256 of the file does not match (f, byte 0)",
    });
  });

  test("brings errors across threads with class, code, cause and errno", async () => {
    const pool = await threads();
    await assert.rejects(pool.submit("hashFile", { path: "/does/not/exist" }), (error: Error) => {
      const cause = error.cause as NodeJS.ErrnoException;
      assert.equal(error.name, "StorageError");
      assert.equal(cause.code, "ENOENT");
      assert.equal(cause.errno, -2);
      return true;
    });
    const frames = Uint8Array.of(7, 0, 0, 0, ...new Uint8Array(16));
    await assert.rejects(
      pool.submit("decodeFrames", { bytes: frames, totalBytesMax: 10, file: "f" }),
      { name: "UnsupportedFormatError", found: "codec 7", supported: "codecs 0 and 1" },
    );
  });

  test("compresses on a thread, and tells which library does", async () => {
    const pool = await threads();
    assert.equal(pool.codecName, "none");
    const bytes = new Uint8Array(2_500_000).fill(7);
    const { bytes: frames } = await pool.submit("encodeFrames", { bytes });
    assert.ok(frames.length < 100_000);
    assert.match(pool.codecName, /^lz4(-napi)?$/);
    const request = { bytes: frames, totalBytesMax: 3_000_000, file: "f" };
    const back = await pool.submit("decodeFrames", request);
    assert.ok(Buffer.from(back.bytes).equals(bytes));
    assert.equal(bytes.length, 2_500_000); // Requests are copied, not moved.
  });

  test("runs on this thread where no other one sees the files", async () => {
    const environment = memoryEnvironment();
    const pool = await openWorkerPool({ environment });
    const file = await environment.fileSystem.create("/file");
    await file.write(Buffer.from("x"));
    const { sha256: hash } = await pool.submit("hashFile", { path: "/file" });
    assert.equal(hash, sha256(Buffer.from("x")));
    await pool.close();
  });

  test("rejects with the reason of the signal, waiting or running, and goes on", async () => {
    const pool = await threads({ threads: 1, queueLengthMax: 0 });
    const path = join(temporaryDirectory(), "file");
    writeFileSync(path, Buffer.alloc(50_000_000));
    const reason = new Error("enough");
    const isReason = (error: unknown): boolean => error === reason;
    const controller = new AbortController();
    const { signal } = controller;
    const running = pool.submit("hashFile", { path }, { signal });
    const waiting = pool.submit("hashFile", { path }, { signal });
    const other = pool.submit("hashFile", { path });
    controller.abort(reason);
    await Promise.all([
      assert.rejects(running, isReason),
      assert.rejects(waiting, isReason),
      assert.rejects(pool.submit("hashFile", { path }, { signal }), isReason),
    ]);
    assert.equal((await other).lengthBytes, 50_000_000);
    assert.equal(pool.pendingTasks, 0);
  });

  test("refuses and stops tasks when closed", async () => {
    const pool = await openWorkerPool({
      environment: nodeEnvironment(),
      threads: 1,
      queueLengthMax: 0,
    });
    const path = join(temporaryDirectory(), "file");
    writeFileSync(path, Buffer.alloc(50_000_000));
    const outcomes = [0, 1, 2].map(() => pool.submit("hashFile", { path }));
    const settled = Promise.allSettled(outcomes);
    await pool.close();
    await pool.close();
    for (const outcome of await settled) {
      assert.equal(outcome.status, "rejected");
      assert.equal((outcome.reason as { code: string }).code, "VARVE_CLOSED");
    }
    await assert.rejects(pool.submit("hashFile", { path }), { code: "VARVE_CLOSED" });
  });

  test("repeats a task once whose thread died, then fails", async () => {
    const messages: TaskMessage[] = [];
    let deaths = 1;
    const pool = openWorkerPoolOn(
      {
        run: (message) => {
          messages.push(message);
          if (deaths-- > 0) return Promise.reject(new Error("worker exited with code: 134"));
          const reply: TaskReply = { outcome: "done", response: { sha256: "" }, codec: undefined };
          return Promise.resolve(reply);
        },
        close: () => Promise.resolve(),
      },
      1,
    );
    await pool.submit("hashFile", { path: "x" });
    assert.deepEqual(
      messages.map(({ isRepeated }) => isRepeated),
      [false, true],
    );
    deaths = 2;
    await assert.rejects(pool.submit("hashFile", { path: "x" }), {
      code: "VARVE_STORAGE",
      retriable: true,
    });
  });

  test("accepts a bounded number of tasks and lets the others wait, in order", async () => {
    const started: string[] = [];
    const finish: (() => void)[] = [];
    const pool = openWorkerPoolOn(
      {
        run: (message) => {
          started.push((message.request as { path: string }).path);
          return new Promise((resolve) => {
            finish.push(() => resolve({ outcome: "done", response: {}, codec: undefined }));
          });
        },
        close: () => Promise.resolve(),
      },
      2,
    );
    const all = ["a", "b", "c", "d"].map((path) => pool.submit("hashFile", { path }));
    assert.deepEqual(started, []);
    await nodeEnvironment().timers.yieldTurn();
    assert.deepEqual(started, ["a", "b"]);
    finish[1]!();
    await all[1];
    await nodeEnvironment().timers.yieldTurn();
    assert.deepEqual(started, ["a", "b", "c"]);
    finish[0]!();
    finish[2]!();
    await nodeEnvironment().timers.yieldTurn();
    finish[3]!();
    await Promise.all(all);
  });

  test("lets the process end while threads are idle, but not while a task is under way", () => {
    const directory = new URL("../../../src/", import.meta.url).href;
    const script = `
      const { openWorkerPool } = await import("${directory}workers/worker-pool.js");
      const { nodeEnvironment } = await import("${directory}environment/node-environment.js");
      const pool = await openWorkerPool({ environment: nodeEnvironment() });
      const { lengthBytes } = await pool.submit("hashFile", { path: process.execPath });
      console.log(lengthBytes > 0);`;
    const args = ["--input-type=module", "-e", script];
    const output = execFileSync(process.execPath, args, { encoding: "utf8", timeout: 20_000 });
    assert.equal(output, "true\n");
  });

  test("names the remedy when a bundler has left out the worker's file", () => {
    // A copy of the compiled sources without that file, as a bundle would be.
    const root = temporaryDirectory();
    const source = fileURLToPath(new URL("../../../src", import.meta.url));
    for (const folder of ["workers", "environment", "format", "common", "api"]) {
      mkdirSync(join(root, "src", folder), { recursive: true });
      for (const name of readdirSync(join(source, folder))) {
        if (!name.endsWith(".js") || name === "worker-main.js") continue;
        cpSync(join(source, folder, name), join(root, "src", folder, name));
      }
    }
    cpSync(join(source, "errors.js"), join(root, "src/errors.js"));
    writeFileSync(join(root, "package.json"), '{"type":"module"}');
    symlinkSync(join(process.cwd(), "node_modules"), join(root, "node_modules"));
    assert.ok(existsSync(join(root, "src/workers/threads.js")));
    const script = `
      const { openWorkerPool } = await import("./src/workers/worker-pool.js");
      const { nodeEnvironment } = await import("./src/environment/node-environment.js");
      await openWorkerPool({ environment: nodeEnvironment() }).catch((error) => {
        console.log(error.code, error.message.includes("external"));
      });`;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      cwd: root,
      encoding: "utf8",
    });
    assert.equal(output, "VARVE_INVALID_ARGUMENT true\n");
  });
});

describe("packing and unpacking a dump", () => {
  test("takes what was newest at the boundary, sorted, without tombstones", async () => {
    const pool = await threads();
    const { arena, chunks } = arenaOf([
      {
        generation: 1,
        rows: [
          { key: "c", value: "old", superseded: 2 },
          { key: "longer-than-eight", value: "1", header: 5 },
          { key: "later", value: "before", superseded: 4 },
          { key: "gone", value: "x", superseded: 2 },
        ],
      },
      {
        generation: 2,
        rows: [
          { key: "c", value: "new", slack: 13 },
          { key: "gone", value: "", isTombstone: true },
          { key: "b", value: "" },
          { key: "bb", value: "x".repeat(1000) },
        ],
      },
      { generation: 4, rows: [{ key: "later", value: "after" }] },
    ]);
    const pathPrefix = join(temporaryDirectory(), "dump-");
    const request = { arena, chunks, boundary: 3, pathPrefix, fileRawBytes: 1_000_000 };
    const { files, rowCount } = await pool.submit("packDump", request);
    assert.equal(rowCount, 5);
    assert.equal(files.length, 1);
    assert.deepEqual(await pool.submit("hashFile", { path: files[0]!.path }), {
      sha256: files[0]!.sha256,
      lengthBytes: files[0]!.lengthBytes,
    });
    assert.deepEqual(await rowsOf(pool, files[0]!.path, files[0]!), [
      ["b", 1, ""],
      ["bb", 1, "x".repeat(1000)],
      ["c", 1, "new"],
      ["later", 1, "before"],
      ["longer-than-eight", 5, "1"],
    ]);
  });

  test("packs nothing into no files", async () => {
    const pool = await threads();
    const { arena, chunks } = arenaOf([{ generation: 1, rows: [] }]);
    const request = { arena, chunks, boundary: 1, pathPrefix: "/never", fileRawBytes: 1 };
    assert.deepEqual(await pool.submit("packDump", request), { files: [], rowCount: 0 });
  });

  test("splits many rows into frames and files, all of which come back", async () => {
    const pool = await threads();
    const generations = Array.from({ length: 8 }, (_, generation) => ({
      generation: generation + 1,
      rows: Array.from({ length: 3000 }, (__, index): ArenaRow => {
        const number = (index * 7919 + generation * 3000) % 24_000;
        const key = `key-${generation}-${(number * 31) % 24_001}`;
        return { key, value: `${number}`.repeat(20) };
      }),
    }));
    const { arena, chunks } = arenaOf(generations);
    const pathPrefix = join(temporaryDirectory(), "dump-");
    const request = { arena, chunks, boundary: 8, pathPrefix, fileRawBytes: 1_000_000 };
    const { files, rowCount } = await pool.submit("packDump", request);
    assert.equal(rowCount, 24_000);
    assert.ok(files.length > 1);
    const keys: string[] = [];
    for (const file of files) {
      for (const [key] of await rowsOf(pool, file.path, file)) keys.push(key);
    }
    const expected = generations.flatMap(({ rows }) => rows.map(({ key }) => key));
    assert.deepEqual(
      keys,
      expected.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
  });

  test("leaves no files behind when it fails or is stopped", async () => {
    const pool = await threads();
    const rows = Array.from({ length: 3 }, (_, index) => ({ key: `k${index}`, value: "v" }));
    const twice = arenaOf([{ generation: 1, rows: [...rows, rows[0]!] }]);
    const directory = temporaryDirectory();
    const request = { boundary: 1, pathPrefix: join(directory, "d-"), fileRawBytes: 1 };
    await assert.rejects(pool.submit("packDump", { ...twice, ...request }), {
      code: "VARVE_INVARIANT",
    });
    assert.deepEqual(readdirSync(directory), []);
    writeFileSync(join(directory, "d-0"), "taken");
    const once = arenaOf([{ generation: 1, rows }]);
    await assert.rejects(pool.submit("packDump", { ...once, ...request }), {
      code: "VARVE_STORAGE",
    });
    assert.deepEqual(readdirSync(directory), ["d-0"]);
  });

  test("refuses a file of another length or content, naming it", async () => {
    const pool = await threads();
    const { arena, chunks } = arenaOf([{ generation: 1, rows: [{ key: "a", value: "b" }] }]);
    const pathPrefix = join(temporaryDirectory(), "dump-");
    const packed = await pool.submit("packDump", {
      arena,
      chunks,
      boundary: 1,
      pathPrefix,
      fileRawBytes: 1_000_000,
    });
    const [file] = packed.files;
    const request = { ...file!, file: "files/x" };
    const expected = { code: "VARVE_CORRUPTION", file: "files/x" };
    for (const wrong of [
      { ...request, lengthBytes: request.lengthBytes + 1 },
      { ...request, lengthBytes: request.lengthBytes - 1 },
      { ...request, lengthBytes: 2 ** 40 },
      { ...request, sha256: "0".repeat(64) },
    ]) {
      await assert.rejects(pool.submit("unpackDump", wrong), expected);
    }
  });

  test("its threads yield to that of the records (Linux)", async (context) => {
    if (process.platform !== "linux") context.skip("elsewhere a priority is the process's");
    const niceOf = (task: string): number => {
      const stat = readFileSync(`/proc/self/task/${task}/stat`, "latin1");
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
    };
    const tasks = (): string[] => readdirSync("/proc/self/task");
    const before = new Set(tasks());
    const own = niceOf(String(process.pid));
    const pool = await threads({ threads: 1 });
    await pool.submit("encodeFrames", { bytes: new Uint8Array(1) });
    const added = tasks().filter((task) => !before.has(task));
    assert.ok(added.some((task) => niceOf(task) > own));
    assert.equal(niceOf(String(process.pid)), own);
  });
});
