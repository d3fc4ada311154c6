// Goal: with state larger than the smallest budget, incremental checkpoints stay exact through many
// kills, restores and compactions: nothing acknowledged is lost, nothing is applied twice (G1, G2).
// Method: a process that compares every row with a model whenever it starts; SIGKILL at moments taken
// from a seed, before, within and after checkpoints.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { onTestFinished, test } from "vitest";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import { isLong } from "../support/long-tests.ts";
import { quickDirectory } from "../support/subjects.ts";

const child = fileURLToPath(new URL("./tight-budget-child.js", import.meta.url));
const RECORDS = 60_000;
const RECORDS_PER_CHECKPOINT = 800;
const KILLS_MIN = 8;

/** What the child tells when a checkpoint has completed. */
interface Completed {
  readonly offset: number;
  readonly reusedFiles: number;
  readonly drains: number;
  readonly coldReads: number;
}

interface Attempt {
  readonly restored: number;
  readonly completed: readonly Completed[];
  readonly isDone: boolean;
}

/** Runs the job; kills it `delayMs` after its checkpoint number `killAfter`, unless it ends before. */
async function attempt(root: string, killAfter: number, delayMs: number): Promise<Attempt> {
  const args = [child, root, String(RECORDS), String(RECORDS_PER_CHECKPOINT)];
  const job = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(job, "exit");
  let restored = -1;
  let isDone = false;
  const completed: Completed[] = [];
  for await (const line of createInterface(job.stdout)) {
    const [word, value = ""] = line.split(/ (.*)/);
    if (word === "restored") restored = Number(value);
    if (word === "done") isDone = true;
    if (word !== "completed") continue;
    completed.push(JSON.parse(value) as Completed);
    if (completed.length === killAfter) void delay(delayMs).then(() => job.kill("SIGKILL"));
  }
  const [status, signal] = (await ended) as [number | null, string | null];
  assert.ok(isDone || signal === "SIGKILL", `the job failed with status ${status}`);
  return { restored, completed, isDone };
}

test.skipIf(!isLong)(
  "incremental checkpoints in the smallest budget are exact through many kills",
  async () => {
    const root = quickDirectory("varve-tight-");
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    const random = seededRandom(20_261_124);
    const all: Completed[] = [];
    let kills = 0;
    for (let isDone = false; !isDone;) {
      const acknowledged = all.at(-1)?.offset ?? 0;
      const killAfter = 2 + Math.floor(random() * 11);
      const run = await attempt(root, killAfter, Math.floor(random() * 60));
      // A kill may lose the report of a checkpoint but not the checkpoint: newer is fine, older is not.
      const lead = run.restored - acknowledged;
      assert.ok(lead >= 0 && lead <= RECORDS_PER_CHECKPOINT, `${lead} after ${kills} kills`);
      assert.ok(run.completed.length > 0 || run.isDone, `no progress after ${kills} kills`);
      all.push(...run.completed);
      isDone = run.isDone;
      if (!isDone) kills++;
    }
    assert.ok(kills >= KILLS_MIN, `${kills} kills only`);
    // What the budget and the policy are for has taken place.
    const most = (of: (one: Completed) => number): number => Math.max(...all.map(of));
    assert.ok(most((one) => one.drains) >= 5, "hardly anything was drained");
    assert.ok(most((one) => one.coldReads) > 1000, "everything was in memory");
    assert.ok(most((one) => one.reusedFiles) >= 3, "every checkpoint uploaded everything");
    // Once more, from the last checkpoint: it restores and compares the end.
    assert.equal((await attempt(root, 1, 0)).restored, RECORDS);
  },
);
