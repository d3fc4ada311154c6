// npm run bench:changelog -- --json
import { measureDurations, measureTail } from "./changelog/durations.ts";
import { measureGrowth } from "./changelog/growth.ts";
import { measureLatency } from "./changelog/latency.ts";
import { measureRecovery } from "./changelog/recovery.ts";
import { measureRetained } from "./changelog/retained.ts";
import { Bases } from "./changelog/subject.ts";
import { measureTasks } from "./changelog/tasks.ts";
import { measureThroughput } from "./changelog/throughput.ts";
import { measureWindowLog, measureZipfLog } from "./changelog/volume.ts";
import { Report, readArguments, withScratch } from "./support/command.ts";

const help = `Usage: npm run bench:changelog -- [--json] [--quick] [--only C1,C4] [--help]

Checkpoints with policy "changelog".

  C1   duration, 10 KB to 8 MB of net change, beside a floor: the same bytes appended to a file and
       synced, then 4 KiB of metadata in a new file, in turns
  C2   p99.9 of the duration beside the floor's, while the LSM compacts and materializes
  C3   duration and pause, 10 MB to 10 GB of state
  C4   log bytes beside a log of every change, zipf 0.99
  C5   the same for tumbling windows, bytes of the LSM included
  C6   bytes of a retained checkpoint beside policy "incremental"
  C7   recovery with a log of 8 x 1 % of 1 GB beside none
  C8   throughput with checkpoints every 1 s and 100 ms beside none
  C9   latency p99.9 during checkpoints and materialization beside outside, open loop
  C10  files and syncs of a checkpoint of 8 tasks in one process

  --json    one JSON object a line
  --quick   at most 100 MB, few repetitions: under a minute
  --only    only these
`;

const ids = ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10"] as const;
const { json, quick, only } = readArguments(help, ids);
const report = new Report(json);

/** What cannot be measured is said, and the rest goes on. True if all could. */
async function measureAll(scratch: string): Promise<boolean> {
  const bases = new Bases(scratch);
  const measures: Readonly<Record<(typeof ids)[number], () => Promise<void>>> = {
    C1: () => measureDurations(report, bases, quick, scratch),
    C2: () => measureTail(report, bases, quick, scratch),
    C3: () => measureGrowth(report, bases, quick, scratch),
    C4: () => measureZipfLog(report, quick, scratch),
    C5: () => measureWindowLog(report, quick, scratch),
    C6: () => measureRetained(report, bases, quick, scratch),
    C7: () => measureRecovery(report, bases, quick, scratch),
    C8: () => measureThroughput(report, quick, scratch),
    C9: () => measureLatency(report, quick, scratch),
    C10: () => measureTasks(report, quick, scratch),
  };
  let isWhole = true;
  for (const id of ids) {
    if (only !== undefined && !only.includes(id)) continue;
    try {
      await measures[id]();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      report.line({ id, error: message });
      isWhole = false;
    }
  }
  return isWhole;
}

if (!(await withScratch(measureAll))) process.exitCode = 1;
