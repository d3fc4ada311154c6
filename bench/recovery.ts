// npm run bench:recovery -- --json
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Bases, rowsOf } from "./changelog/subject.ts";
import type { JobAssignment, Recovered } from "./recovery/job.process.ts";
import { Child } from "./support/child.ts";
import { Report, progress, readArguments, withScratch } from "./support/command.ts";
import { percentile, spreadOf } from "./support/statistics.ts";

const help = `Usage: npm run bench:recovery -- [--json] [--quick] [--help]

W10: a job is killed (kill -9) while it changes rows and takes checkpoints, and started again: time from
the start of the process to the backend asked for, opened, the first record, every byte verified, and
the first checkpoint; by size of the state and length of the log. The floor reads all files of the
checkpoint. What was completed before the kill must be there.

  --json    one JSON object a line
  --quick   10 and 50 MB, two kills each: under a minute
`;

const { json, quick } = readArguments(help, []);
const report = new Report(json);
const sizes = quick ? [10e6, 50e6] : [10e6, 100e6, 1000e6];
const kills = quick ? 2 : 5;
const valueBytes = 100;

interface Case {
  readonly stateBytes: number;
  readonly policy: "incremental" | "changelog";
  readonly verification: "before" | "behind";
  /** Rounds of changes of 1 % that the log holds. */
  readonly rounds: number;
}

function* cases(): Generator<Case> {
  for (const stateBytes of sizes) {
    for (const verification of ["before", "behind"] as const) {
      yield { stateBytes, policy: "incremental", verification, rounds: 1 };
      for (const rounds of quick ? [8] : [1, 8]) {
        yield { stateBytes, policy: "changelog", verification, rounds };
      }
    }
  }
}

function start(): Child {
  return new Child(new URL("./recovery/job.process.js", import.meta.url));
}

async function measure(bases: Bases, one: Case, scratch: string): Promise<void> {
  const rows = rowsOf(one.stateBytes, valueBytes);
  const directory = join(scratch, "job");
  await mkdir(directory);
  const { policy, verification } = one;
  const assignment: JobAssignment = { directory, rows, policy, verification };
  const found: Recovered[] = [];
  const floors: number[] = [];
  let job = start();
  try {
    await job.call("open", { ...assignment, base: await bases.of(rows) });
    for (let kill = 0; kill < kills; kill++) {
      progress(
        `${one.stateBytes / 1e6} MB, ${policy}, ${verification}, kill ${kill + 1} of ${kills}`,
      );
      const count = Math.ceil(rows.count / 100);
      const completed = await job.call<number>("change", { count, rounds: one.rounds });
      await job.call("changeForEver", Math.ceil(rows.count / 1000));
      await delay(50 + 40 * kill);
      await job.kill();
      job = start();
      const recovered = await job.call<Recovered>("recover", assignment);
      if (recovered.version < completed) throw new Error("a completed checkpoint is lost");
      found.push(recovered);
      floors.push(await readAll(join(directory, "checkpoints", "files")));
      // Rounds that the log already has would make it longer each time.
      await job.call("change", { count: 1, rounds: 1 });
    }
  } finally {
    await job.close();
    await rm(directory, { recursive: true, force: true });
  }
  print(one, found, floors);
}

function print(one: Case, found: readonly Recovered[], floors: readonly number[]): void {
  const median = (of: (recovered: Recovered) => number): number => percentile(found.map(of), 50);
  const first = spreadOf(found.map(({ startMs, firstRecordMs }) => startMs + firstRecordMs));
  report.line({
    bench: "recovery",
    id: "W10",
    ...one,
    kills: found.length,
    msToFirstRecord: first.median,
    min: first.min,
    max: first.max,
    processMs: median(({ startMs }) => startMs),
    openMs: median(({ openMs }) => openMs),
    firstReadMs: median(({ firstRecordMs, openMs }) => firstRecordMs - openMs),
    verifiedMs: median(({ verifiedMs }) => verifiedMs),
    firstCheckpointMs: median(({ checkpointMs }) => checkpointMs),
    logBytes: median(({ logBytes }) => logBytes),
    totalBytes: median(({ totalBytes }) => totalBytes),
    floor: percentile(floors, 50),
    ratio: spreadOf(found.map((each, i) => each.firstRecordMs / floors[i]!)).median,
  });
}

/** Milliseconds to read all files, one after the other. */
async function readAll(directory: string): Promise<number> {
  const started = performance.now();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    try {
      await readFile(join(entry.parentPath, entry.name));
    } catch {
      // No checkpoint needs it any more: deleted since.
    }
  }
  return performance.now() - started;
}

await withScratch(async (scratch) => {
  const bases = new Bases(scratch);
  for (const one of cases()) {
    try {
      await measure(bases, one, scratch);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      report.line({ bench: "recovery", id: "W10", ...one, error: message });
      process.exitCode = 1;
    }
  }
});
