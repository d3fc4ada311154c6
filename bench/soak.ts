// npm run bench:soak -- --json --minutes 10
import { GIB, MIB } from "../src/index.ts";
import type { ChurnResult, Compared, Sample } from "./load/load.process.ts";
import { Child } from "./support/child.ts";
import { Report, progress, readOptions, withScratch } from "./support/command.ts";
import { treeSize } from "./support/own-process.ts";
import { spreadOf } from "./support/statistics.ts";

const help = `Usage: npm run bench:soak -- [--json] [--quick] [--minutes M] [--help]

W14: one process that runs on, with a state of eight times its memory budget, rows that change, sessions
that come and go, and a checkpoint every second (policy "changelog"): memory, heap, handles, threads and
files, largest of the last third over largest of the second one. All should be flat.

  --json       one JSON object a line
  --minutes M  10 without it
  --quick      half a minute and 64 MiB of budget: under a minute
`;

const { json, quick, minutes: askedMinutes } = readOptions(help, []);
const report = new Report(json);
const minutes = askedMinutes ?? (quick ? 0.4 : 10);
const memoryBudgetBytes = (quick ? 64 : 256) * MIB;
const rows = Math.floor((quick ? 0.25 * GIB : 8 * memoryBudgetBytes) / 1000);
const recordsPerSecond = quick ? 2000 : 5000;
const samples = 2000;
const askedGrowth = 1.05;
/** Files, heap and what it holds outside breathe: bases come and go, and the collector has moods. */
const askedBreathing = 1.5;

interface Line {
  readonly name: string;
  readonly asked: number;
  readonly values: readonly number[];
}

function print({ name, asked, values }: Line): void {
  const third = Math.floor(values.length / 3);
  const largest = (part: number): number =>
    Math.max(...values.slice(part * third, (part + 1) * third));
  const growth = largest(2) / largest(1);
  report.measure({
    id: "W14",
    name: `${name}, last third / second third`,
    value: growth,
    asked: `<= ${asked}`,
    ok: growth <= asked,
    unit: "ratio",
    spread: spreadOf(values),
    details: { minutes, samples: values.length },
  });
}

await withScratch(async (directory) => {
  const child = new Child(new URL("./load/load.process.js", import.meta.url));
  child.onProgress = (done) => progress(`filling: ${done} of ${rows} rows`);
  const files: number[] = [];
  const timer = setInterval(() => {
    void treeSize(directory).then((size) => files.push(size.files));
  }, 1000);
  try {
    const task = { directory, task: "0", restore: "latest-or-new", rows, memoryBudgetBytes };
    await child.call("open", task);
    await child.call("fill");
    files.length = 0;
    progress(`soak: ${minutes} minutes`);
    const churned = await child.call<ChurnResult>("churn", {
      ms: minutes * 60_000,
      perSecond: recordsPerSecond,
    });
    if (churned.checkpointError !== undefined) throw new Error(churned.checkpointError);
    const of = (name: string, asked: number, field: (sample: Sample) => number): Line => ({
      name,
      asked,
      values: churned.samples.map(field),
    });
    print(of("anonymous memory", askedGrowth, ({ anonymousBytes }) => anonymousBytes));
    print(of("JavaScript heap", askedBreathing, ({ heapBytes }) => heapBytes));
    print(of("external memory", askedBreathing, ({ externalBytes }) => externalBytes));
    print(of("open handles", askedBreathing, ({ handles }) => handles));
    print(of("threads", askedGrowth, ({ threads }) => threads));
    print({ name: "files", asked: askedBreathing, values: files });
    const { compared, differing } = await child.call<Compared>("verify", samples);
    report.measure({
      id: "W14",
      name: "rows that differ: compared whole, and met by records",
      value: differing + churned.wrong,
      asked: "0",
      ok: differing + churned.wrong === 0 && compared > 0,
      unit: "rows",
      details: {
        compared,
        records: churned.records,
        checkpoints: churned.checkpointMs.length,
        materializations: churned.materializations,
        longestStallMs: churned.longestStallMs,
      },
    });
  } finally {
    clearInterval(timer);
    await child.close();
  }
});
