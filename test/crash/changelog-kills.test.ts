// Goal: with policy "changelog" nothing acknowledged is lost and nothing is applied twice, whenever the
// process is killed: while it appends, while it makes a base, while it replays (G1, G2).
// Method: the job of tight-budget-child.ts, which compares every row with a model whenever it starts;
// SIGKILL at moments taken from a seed after it said what it is about to do.
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
const RECORDS = isLong ? 60_000 : 12_000;
const RECORDS_PER_CHECKPOINT = 400;

type Policy = "changelog" | "incremental" | "full";

/** The `count`th time that the job says `word` it is killed, so many ms later. */
interface Kill {
  readonly word: "opening" | "completed" | "materializing";
  readonly count: number;
  readonly delayMs: number;
}

interface Completed {
  readonly offset: number;
  readonly appends: number;
  readonly materializations: number;
}

interface Attempt {
  /** Undefined if it was killed before it had restored and compared everything. */
  readonly restored: number | undefined;
  readonly completed: readonly Completed[];
  readonly basesBegun: number;
  readonly isDone: boolean;
}

/** Runs the job, and kills it unless it ends before. */
async function attempt(root: string, policy: Policy, kill?: Kill): Promise<Attempt> {
  const args = [child, root, String(RECORDS), String(RECORDS_PER_CHECKPOINT), policy];
  const job = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(job, "exit");
  let restored: number | undefined;
  let isDone = false;
  const completed: Completed[] = [];
  const counts = { opening: 0, completed: 0, materializing: 0 };
  for await (const line of createInterface(job.stdout)) {
    const [word = "", value = ""] = line.split(/ (.*)/);
    if (word === "restored") restored = Number(value);
    if (word === "done") isDone = true;
    if (word === "completed") completed.push(JSON.parse(value) as Completed);
    if (!(word in counts)) continue;
    const count = ++counts[word as keyof typeof counts];
    if (word !== kill?.word || count !== kill.count) continue;
    void delay(kill.delayMs).then(() => job.kill("SIGKILL"));
  }
  const [status, signal] = (await ended) as [number | null, string | null];
  assert.ok(isDone || signal === "SIGKILL", `the job failed with status ${status}`);
  return { restored, completed, basesBegun: counts.materializing, isDone };
}

test("a job with a changelog is exact through kills while it appends, materializes and replays", async () => {
  const root = quickDirectory("varve-changelog-");
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const random = seededRandom(20_261_125);
  const all: Completed[] = [];
  const kills = { opening: 0, completed: 0, materializing: 0 };
  let basesBegun = 0;
  let acknowledged = 0;
  let run: Attempt | undefined;
  for (let turn = 0; run?.isDone !== true; turn++) {
    const kill = killOf(turn, random);
    run = await attempt(root, "changelog", kill);
    if (run.restored !== undefined) {
      // A kill may lose the report of a checkpoint but not the checkpoint: newer is fine, older is not.
      const lead = run.restored - acknowledged;
      assert.ok(lead >= 0 && lead <= RECORDS_PER_CHECKPOINT, `${lead} after ${turn} kills`);
      acknowledged = run.restored; // Each life may lose the report of one.
    }
    acknowledged = run.completed.at(-1)?.offset ?? acknowledged;
    all.push(...run.completed);
    basesBegun += run.basesBegun;
    if (!run.isDone) kills[kill.word]++;
    assert.ok(turn < 200, "no end after 200 kills");
  }
  const least = isLong ? 4 : 1;
  for (const [word, count] of Object.entries(kills)) {
    assert.ok(count >= least, `${count} kills after "${word}" only`);
  }
  assert.ok(basesBegun >= least);
  assert.ok(
    all.some(({ materializations }) => materializations > 0) || !isLong,
    "no base was used",
  );
  assert.ok(all.some(({ appends }) => appends > 1));
  // Once more, from the last checkpoint: it restores and compares the end.
  assert.equal((await attempt(root, "changelog")).restored, RECORDS);
}, 300_000);

/** In turn: soon after the start, at a checkpoint, while a base is made. */
function killOf(turn: number, random: () => number): Kill {
  switch (turn % 3) {
    case 0:
      return { word: "completed", count: 2 + Math.floor(random() * 8), delayMs: random() * 40 };
    case 1:
      // Replay is a part of the first half second; the comparison is after it.
      return { word: "opening", count: 1, delayMs: random() * 500 };
    default:
      // Every second time at the second one, which begins once the first is in use.
      return { word: "materializing", count: 1 + (turn & 1), delayMs: random() * 80 };
  }
}

test.skipIf(!isLong)(
  "a job that is killed and changes its policy each time is exact",
  async () => {
    const root = quickDirectory("varve-policies-");
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    const random = seededRandom(20_261_126);
    const policies: readonly Policy[] = ["changelog", "incremental", "changelog", "full"];
    let acknowledged = 0;
    for (let turn = 0, isDone = false; !isDone; turn++) {
      const policy = policies[turn % policies.length]!;
      const count = 2 + Math.floor(random() * 12);
      const run = await attempt(root, policy, { word: "completed", count, delayMs: random() * 40 });
      const lead = run.restored! - acknowledged;
      assert.ok(lead >= 0 && lead <= RECORDS_PER_CHECKPOINT, `${lead} after ${turn} kills`);
      acknowledged = run.completed.at(-1)?.offset ?? run.restored!;
      isDone = run.isDone;
    }
  },
  300_000,
);
