// B1: one task to two and two to one, by files and by rows.
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type KeyGroupRange,
  type KeyedStateBackend,
  MIB,
  type RestoreTarget,
  type ValueState,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { HashFloor, storedFiles } from "../checkpoint/hash-floor.ts";
import { type Report, progress } from "../support/command.ts";
import { fillBytes } from "../support/sequences.ts";
import { type Spread, spreadOf } from "../support/statistics.ts";

const valueBytes = 100;
const memoryBudgetBytes = 256 * MIB;
const max = 128;
const whole: KeyGroupRange = { max, first: 0, last: max - 1 };
const halves: readonly KeyGroupRange[] = [
  { max, first: 0, last: max / 2 - 1 },
  { max, first: max / 2, last: max - 1 },
];
const askedTimes = 20;
const askedShare = 0.05;

class Task {
  readonly backend: KeyedStateBackend;
  readonly state: ValueState<Uint8Array>;

  constructor(backend: KeyedStateBackend) {
    this.backend = backend;
    this.state = backend.valueState({ name: "value", value: bytes });
  }

  static async open(
    scratch: string,
    name: string,
    restore: RestoreTarget,
    keyGroups: KeyGroupRange,
  ): Promise<Task> {
    const backend = await openKeyedStateBackend({
      workingDirectory: join(scratch, "working", name),
      checkpointStorage: fileSystemStorage(join(scratch, name)),
      restore,
      keyGroups,
      memoryBudgetBytes,
      retainedCheckpoints: 1,
    });
    return new Task(backend);
  }

  async put(key: number, value: Uint8Array): Promise<void> {
    this.backend.setCurrentKey(key);
    this.state.update(value);
    if (this.backend.needsDrain) await this.backend.drained();
  }
}

/** Whether the task owns the key, told by asking it. */
function owns(task: Task, key: number): boolean {
  try {
    task.backend.setCurrentKey(key);
    return true;
  } catch {
    return false;
  }
}

interface Rescale {
  readonly name: "split" | "merge";
  readonly to: readonly KeyGroupRange[];
  readonly restore: RestoreTarget;
}

interface Times {
  readonly ms: number[];
  clippedBytes: number;
}

export async function measureRescale(
  report: Report,
  rows: number,
  repetitions: number,
  scratch: string,
): Promise<void> {
  const stateBytes = await load(scratch, rows);
  const split: Rescale = { name: "split", to: halves, restore: join(scratch, "whole") };
  await makeHalves(scratch, split);
  const paths = halves.map((_range, index) => join(scratch, `half-${index}`));
  const merge: Rescale = { name: "merge", to: [whole], restore: paths };
  const hashMs = await hashFloorMs(join(scratch, "whole"));
  for (const rescale of [split, merge]) {
    const times: Times = { ms: [], clippedBytes: 0 };
    for (let repetition = 0; repetition < repetitions; repetition++) {
      progress(`rescale: ${rescale.name}, ${repetition + 1}`);
      await byFiles(scratch, rescale, rows, times);
    }
    progress(`rescale: ${rescale.name} by rows`);
    const byRowsMs = await byRows(scratch, rescale, rows);
    print(report, { rescale, times, byRowsMs, hashMs, stateBytes });
  }
}

async function load(scratch: string, rows: number): Promise<number> {
  const value = new Uint8Array(valueBytes);
  const task = await Task.open(scratch, "whole", "latest-or-new", whole);
  for (let key = 0; key < rows; key++) {
    if (key % 100_000 === 0) progress(`rescale: loading ${key}`);
    fillBytes(value, key, 0);
    await task.put(key, value);
  }
  // Until compaction has settled: as a job that has run for a while.
  for (let quiet = 0; quiet < 3;) {
    const { uploadedBytes } = await task.backend.checkpoint();
    quiet = uploadedBytes < MIB ? quiet + 1 : 0;
    await delay(300);
  }
  const { totalBytes } = await task.backend.checkpoint();
  await task.backend.close();
  return totalBytes;
}

/** Checkpoints of two tasks, to be merged. */
async function makeHalves(scratch: string, split: Rescale): Promise<void> {
  for (const [index, range] of halves.entries()) {
    const task = await Task.open(scratch, `half-${index}`, split.restore, range);
    await task.backend.checkpoint();
    await task.backend.close();
  }
}

/** Wall time of all new tasks, one after the other, each until its first read. */
async function byFiles(
  scratch: string,
  { name, to, restore }: Rescale,
  rows: number,
  times: Times,
): Promise<void> {
  const start = performance.now();
  const tasks: Task[] = [];
  for (const [index, range] of to.entries()) {
    const task = await Task.open(scratch, `${name}-${index}`, restore, range);
    let key = rows >>> 1;
    while (!owns(task, key)) key++;
    if (task.state.value()?.length !== valueBytes) throw new Error("a row is lost");
    tasks.push(task);
  }
  times.ms.push(performance.now() - start);
  times.clippedBytes = tasks.reduce((sum, { backend }) => sum + backend.stats().clippedBytes, 0);
  for (const { backend } of tasks) await backend.close();
}

/** The same through the public API: every row read from the old tasks and put into the new ones. */
async function byRows(scratch: string, { name, to, restore }: Rescale, rows: number) {
  const from: Task[] = [];
  const paths = typeof restore === "string" ? [restore] : (restore as readonly string[]);
  const ranges = paths.length === 1 ? [whole] : halves;
  for (const [index, path] of paths.entries()) {
    from.push(await Task.open(scratch, `from-${name}-${index}`, path, ranges[index]!));
  }
  const start = performance.now();
  const tasks: Task[] = [];
  for (const [index, range] of to.entries()) {
    tasks.push(await Task.open(scratch, `rows-${name}-${index}`, "latest-or-new", range));
  }
  let copied = 0;
  for (const source of from) {
    for await (const key of source.state.keys()) {
      source.backend.setCurrentKey(key);
      const value = source.state.value()!;
      const target = tasks.find((task) => owns(task, key as number))!;
      await target.put(key as number, value);
      copied++;
    }
  }
  if (copied !== rows) throw new Error(`copied ${copied} rows of ${rows}`);
  const ms = performance.now() - start;
  for (const { backend } of [...from, ...tasks]) await backend.close();
  return ms;
}

async function hashFloorMs(checkpoints: string): Promise<number> {
  const floor = new HashFloor();
  try {
    const { paths } = await storedFiles(checkpoints);
    await floor.hash(paths);
    return await floor.hash(paths);
  } finally {
    await floor.close();
  }
}

interface Result {
  readonly rescale: Rescale;
  readonly times: Times;
  readonly byRowsMs: number;
  readonly hashMs: number;
  readonly stateBytes: number;
}

function print(report: Report, { rescale, times, byRowsMs, hashMs, stateBytes }: Result): void {
  const apart = times.ms.map((ms) => Math.max(1, ms - hashMs));
  const spread: Spread = spreadOf(apart.map((ms) => byRowsMs / ms));
  const share = times.clippedBytes / stateBytes;
  const bound = rescale.name === "split" ? askedShare : 0;
  report.measure({
    id: "B1",
    name: `${rescale.name}: copying rows through the public API / linking and clipping`,
    value: spread.median,
    asked: `>= ${askedTimes}; rewritten <= ${bound * 100} %`,
    ok: spread.median >= askedTimes && share <= bound,
    unit: "ratio",
    floor: byRowsMs,
    ratio: spread.median,
    spread,
    details: {
      wallMs: spreadOf(times.ms).median,
      wallMsWithoutVerification: spreadOf(apart).median,
      verificationMs: hashMs,
      byRowsMs,
      rewrittenShare: share,
      rewrittenBytes: times.clippedBytes,
      stateBytes,
      floorUnit: "ms",
    },
  });
}
