// Goal: rows of the main job's sink become visible with their checkpoint, whatever a crash leaves.
// Method: a crash is a sink that is dropped; recovery is another one on the same directory.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "vitest";
import { TransactionalFileSink } from "../../examples/flights/transactional-file-sink.ts";
import { canTrace, tracedCalls, tracerCommand } from "../support/tracer.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "varve-sink-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** What a reader sees. */
function visible(): string {
  const names = readdirSync(directory).filter((name) => name.endsWith(".csv"));
  return names
    .sort()
    .map((name) => readFileSync(join(directory, name), "utf8"))
    .join("");
}

describe("transactional file sink", () => {
  test.skipIf(!canTrace())(
    "syncs the names of the directories that it makes before a row is committed (skipped without strace)",
    () => {
      const output = join(directory, "new", "output");
      const module = new URL("../../examples/flights/transactional-file-sink.js", import.meta.url);
      const script = `
        const { TransactionalFileSink } = await import(${JSON.stringify(module.href)});
        const sink = await TransactionalFileSink.open(${JSON.stringify(output)}, undefined);
        sink.write(0, "LAS-PHL", 1);
        await sink.commit(await sink.cut());
        await sink.close();`;
      const trace = join(directory, "trace");
      const [strace, ...flags] = [...tracerCommand, "-y", "-o", trace, "-e", "trace=fsync,rename"];
      const job = [process.execPath, "--input-type=module", "-e", script];
      const env = { ...process.env, UV_USE_IO_URING: "0" };
      const { status, stderr } = spawnSync(strace!, [...flags, ...job], { env, encoding: "utf8" });
      assert.equal(status, 0, stderr);
      const calls = tracedCalls(readFileSync(trace, "utf8"));
      const committed = calls.findIndex((call) => call.startsWith("rename("));
      for (const path of [directory, dirname(output), output]) {
        const synced = calls.findIndex(
          (call) => /^fsync\(\d+</u.test(call) && call.includes(`<${path}>`),
        );
        assert.ok(synced >= 0 && synced < committed, `${path}: ${calls.join("\n")}`);
      }
    },
  );

  test("shows rows once their checkpoint is complete, not before", async () => {
    const sink = await TransactionalFileSink.open(directory, undefined);
    sink.write(0, "LAS-PHL", 1);
    sink.write(1_234_567_890, "A1-B2C3", 10);
    const metadata = await sink.cut();
    assert.equal(visible(), "");
    sink.write(2, "LAS-PHL", 2);
    await sink.commit(metadata);
    assert.equal(visible(), "0,LAS-PHL,1\n1234567890,A1-B2C3,10\n");
    await sink.close();
  });

  test("after a crash before the checkpoint is complete its rows are gone", async () => {
    const sink = await TransactionalFileSink.open(directory, undefined);
    sink.write(0, "LAS-PHL", 1);
    const first = await sink.cut();
    await sink.commit(first);
    sink.write(1, "LAS-PHL", 2);
    await sink.cut();
    await TransactionalFileSink.open(directory, first);
    assert.equal(visible(), "0,LAS-PHL,1\n");
    assert.equal(readdirSync(directory).length, 1);
  });

  test("after a crash between completion and commit its rows are there, however often it recovers", async () => {
    const sink = await TransactionalFileSink.open(directory, undefined);
    sink.write(0, "LAS-PHL", 1);
    const metadata = await sink.cut();
    await TransactionalFileSink.open(directory, metadata);
    assert.equal(visible(), "0,LAS-PHL,1\n");
    const again = await TransactionalFileSink.open(directory, metadata);
    again.write(1, "LAS-PHL", 2);
    await again.commit(await again.cut());
    assert.equal(visible(), "0,LAS-PHL,1\n1,LAS-PHL,2\n");
  });

  test("the checkpoint after an aborted one commits the rows of both", async () => {
    const sink = await TransactionalFileSink.open(directory, undefined);
    sink.write(0, "LAS-PHL", 1);
    await sink.cut(); // Aborted: nobody commits it.
    sink.write(1, "LAS-PHL", 2);
    await sink.commit(await sink.cut());
    assert.equal(visible(), "0,LAS-PHL,1\n1,LAS-PHL,2\n");
  });

  test("recovery refuses a committed file that its checkpoint does not know", async () => {
    const sink = await TransactionalFileSink.open(directory, undefined);
    sink.write(0, "LAS-PHL", 1);
    await sink.commit(await sink.cut());
    await assert.rejects(TransactionalFileSink.open(directory, undefined));
  });

  test("recovery refuses a file that lost rows", async () => {
    const sink = await TransactionalFileSink.open(directory, undefined);
    sink.write(0, "LAS-PHL", 1);
    const metadata = await sink.cut();
    truncateSync(join(directory, readdirSync(directory)[0]!), 3);
    await assert.rejects(TransactionalFileSink.open(directory, metadata));
  });

  test("writes more than its buffers hold", async () => {
    const sink = await TransactionalFileSink.open(directory, undefined);
    const count = 300_000;
    for (let position = 0; position < count; position++) {
      if (sink.needsRoom) await sink.roomy();
      if (position % 50_000 === 0) sink.flush();
      sink.write(position, "LAS-PHL", position + 1);
    }
    await sink.commit(await sink.cut());
    const lines = visible().split("\n");
    assert.equal(lines.length, count + 1);
    lines
      .slice(0, -1)
      .forEach((line, index) => assert.equal(line, `${index},LAS-PHL,${index + 1}`));
  });
});
