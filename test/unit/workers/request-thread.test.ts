// Goal: requests of a thread get their answers, and none is left when it ends.
// Method: a thread that answers after a turn, in the reverse order, fails, or throws.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "vitest";
import { InvalidArgumentError, StorageError } from "../../../src/errors.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import {
  type AnswerMessage,
  RequestThread,
  requireWorkerFile,
} from "../../../src/workers/request-thread.ts";

interface Answer extends AnswerMessage {
  readonly failure?: string;
}

const source = `
  import { parentPort } from "node:worker_threads";
  let held;
  parentPort.on("message", ({ id, kind, request }) => {
    if (kind === "throw") throw new Error("broken");
    if (kind === "hold") held = id;
    if (kind === "refuse") parentPort.postMessage({ id, failure: request });
    if (kind !== "echo") return;
    parentPort.postMessage({ id, result: request });
    if (held !== undefined) parentPort.postMessage({ id: held, result: "held" });
    parentPort.postMessage({ id: 1_000, result: "nobody's" });
  });`;

function begin(): { thread: RequestThread<Answer>; causes: unknown[] } {
  const causes: unknown[] = [];
  const thread = new RequestThread<Answer>({
    name: "varve-test",
    entry: new URL(`data:text/javascript,${encodeURIComponent(source)}`),
    failureOf: ({ failure }) => (failure === undefined ? undefined : new Error(failure)),
    endedBy: (cause) => {
      causes.push(cause);
      return new StorageError("it has ended", { cause });
    },
  });
  return { thread, causes };
}

describe("a thread that answers requests", () => {
  test("T1: does not keep a process alive that never asks it anything", () => {
    const module = new URL("../../../src/workers/request-thread.js", import.meta.url);
    const script = `
      const { RequestThread } = await import(${JSON.stringify(module.href)});
      const entry = new URL("data:text/javascript,${encodeURIComponent(source)}");
      new RequestThread({ name: "varve-test", entry });
      setTimeout(() => process.stdout.write("ended"), 300);`;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      timeout: 60_000,
      encoding: "utf8",
    });
    assert.equal(output, "ended");
  });

  test("ties answers to requests, in whatever order they come", async () => {
    const { thread } = begin();
    const held = thread.call("hold", undefined);
    assert.equal(await thread.call("echo", "first"), "first");
    assert.equal(await held, "held");
    await assert.rejects(thread.call("refuse", "no"), { message: "no" });
    assert.equal(await thread.call("echo", "after a refusal"), "after a refusal");
    await thread.terminate();
  });

  test("T2: fails what is open and what comes later once it ends by itself, and tells once", async () => {
    const { thread, causes } = begin();
    const held = thread.call("hold", undefined);
    const throwing = thread.call("throw", undefined);
    await assert.rejects(held, StorageError);
    await assert.rejects(throwing, StorageError);
    await thread.exited();
    assert.deepEqual(
      causes.map((cause) => (cause as Error).message),
      ["broken"],
    );
    assert.ok(thread.ended instanceof StorageError);
    await assert.rejects(thread.call("echo", "later"), thread.ended);
  });

  test("T2: the same, without a cause, once it was ended", async () => {
    const { thread, causes } = begin();
    const held = thread.call("hold", undefined);
    held.catch(() => undefined);
    await thread.terminate();
    await assert.rejects(held, StorageError);
    assert.deepEqual(causes, [undefined]);
  });

  test("names the remedy if its file is missing", async () => {
    const entry = new URL("./no-such.worker.js", import.meta.url);
    await assert.rejects(
      requireWorkerFile(nodeEnvironment().fileSystem, entry),
      InvalidArgumentError,
    );
  });

  test("tells in an error of its own that its file cannot be looked for", async () => {
    const entry = new URL("./no-such.worker.js", import.meta.url);
    const { fileSystem } = memoryEnvironment();
    fileSystem.stat = async () => {
      throw Object.assign(new Error("EACCES: stat"), { code: "EACCES" });
    };
    await assert.rejects(requireWorkerFile(fileSystem, entry), StorageError);
  });
});
