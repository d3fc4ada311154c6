// Goal: a task that does not stop, because a read never returns for one, holds neither its caller nor the pool.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { test } from "vitest";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { type TaskMessage, type TaskReply, TaskState } from "../../../src/workers/tasks.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { runTask } from "../../../src/workers/task-runner.ts";
import { startThreads } from "../../../src/workers/threads.ts";
import { openWorkerPoolOn } from "../../../src/workers/worker-pool.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

test("a pool ends a thread that does not stop for 30 s, and goes on", async () => {
  const environment = memoryEnvironment();
  let begun = 0;
  const pool = openWorkerPoolOn(
    {
      run: (message, end) => {
        Atomics.store(message.state, 0, TaskState.running);
        const reply: TaskReply = { outcome: "done", response: { sha256: "" }, codec: undefined };
        if (++begun > 1) return Promise.resolve(reply);
        return new Promise((_resolve, reject) => {
          end!.addEventListener("abort", () => reject(new Error("ended")));
        });
      },
      close: () => Promise.resolve(),
    },
    1,
    environment.timers,
  );
  const pass = async (ms: number): Promise<void> => {
    await nextTurn();
    environment.advance(ms);
    await nextTurn();
  };
  const abort = new AbortController();
  const task = pool.submit("hashFile", { path: "x" }, { signal: abort.signal });
  let outcome = "under way";
  task.catch(() => (outcome = "rejected"));
  await pass(60_000); // Nobody has asked it to stop.
  abort.abort(new Error("the caller's own"));
  await pass(29_000);
  assert.equal(outcome, "under way"); // Its thread may still work on the file.
  await pass(2000);
  await assert.rejects(task, /the caller's own/);
  assert.equal(begun, 1);
  await pool.submit("hashFile", { path: "x" });
  await pool.close();
});

test("a thread is ended in the middle of a task, and another one takes its place", async () => {
  const threads = startThreads(1, nodeEnvironment().timers);
  const root = temporaryDirectory();
  const [endless, file] = [join(root, "endless"), join(root, "file")];
  writeFileSync(endless, "");
  truncateSync(endless, 2 ** 40); // Nobody tells it to stop: hashing that takes minutes.
  writeFileSync(file, "content");
  const messageOf = (path: string): TaskMessage => {
    const state = new Int32Array(new SharedArrayBuffer(4));
    return { name: "hashFile", request: { path }, state, isRepeated: false };
  };
  const end = new AbortController();
  const first = messageOf(endless);
  const task = threads.run(first, end.signal);
  while (Atomics.load(first.state, 0) !== TaskState.running) await delay(5);
  end.abort();
  await assert.rejects(task);
  const reply = await threads.run(messageOf(file));
  const sha256 = createHash("sha256").update("content").digest("hex");
  assert.deepEqual(reply.outcome === "done" && reply.response, { lengthBytes: 7, sha256 });
  await threads.close();
});

test("a task whose code still loads is not under way: ending its thread then would end the process", async () => {
  const state = new Int32Array(new SharedArrayBuffer(4));
  const request = { path: "/nothing" };
  const message: TaskMessage = { name: "hashFile", request, state, isRepeated: false };
  const reply = runTask(message, nodeEnvironment().fileSystem);
  assert.equal(Atomics.load(state, 0), TaskState.queued);
  Atomics.store(state, 0, TaskState.cancelled);
  assert.deepEqual(await reply, { outcome: "stopped" });
});
