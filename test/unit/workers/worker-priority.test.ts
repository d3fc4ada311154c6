import assert from "node:assert/strict";
import { test } from "vitest";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { openWorkerPoolOn } from "../../../src/workers/worker-pool.ts";

test("runs what nobody waits for on half of the threads, after what somebody waits for", async () => {
  const started: string[] = [];
  const finish = new Map<string, () => void>();
  const pool = openWorkerPoolOn(
    {
      run: (message) => {
        const { path } = message.request as { path: string };
        started.push(path);
        return new Promise((resolve) => {
          finish.set(path, () => resolve({ outcome: "done", response: {}, codec: undefined }));
        });
      },
      close: () => Promise.resolve(),
    },
    2,
  );
  const { timers } = nodeEnvironment();
  const submit = (path: string, isBackground: boolean): Promise<unknown> =>
    pool.submit("hashFile", { path }, { isBackground });
  const all = [submit("behind 1", true), submit("behind 2", true)];
  await timers.yieldTurn();
  all.push(submit("first", false), submit("second", false));
  await timers.yieldTurn();
  assert.deepEqual(started, ["behind 1", "first"]);
  finish.get("behind 1")!();
  await timers.yieldTurn();
  assert.deepEqual(started, ["behind 1", "first", "second"]);
  finish.get("first")!();
  await timers.yieldTurn();
  assert.deepEqual(started, ["behind 1", "first", "second", "behind 2"]);
  finish.get("second")!();
  finish.get("behind 2")!();
  await Promise.all(all);
});
