// npm run bench:latency -- --json
import { MIB } from "../src/index.ts";
import { type LatencyResult, measureLoad } from "./latency/loaded.ts";
import { Report, progress, readArguments, withScratch } from "./support/command.ts";

const help = `Usage: npm run bench:latency -- [--json] [--quick] [--help]

W9: latency of records in an open loop (each counts from when it was due) at 50 and 80 % of the highest
rate: read-modify-write, Zipf 0.99 over 1,000,000 keys, a checkpoint every second, policies "changelog"
and "incremental". p50 to p99.9 and the longest, apart for records during checkpoints, during
materialization, and outside; and p99.9 of each tenth of a second, with what went on in it.

  --json    one JSON object a line
  --quick   200,000 keys, 5 seconds instead of 60 for each load: under a minute
`;

const { json, quick } = readArguments(help, []);
const report = new Report(json);
const shares = [0.5, 0.8] as const;

function print(policy: string, share: number, result: LatencyResult): void {
  for (const [window, histogram] of Object.entries(result.histograms)) {
    if (histogram.count === 0) continue;
    report.line({
      bench: "latency",
      id: "W9",
      policy,
      load: share,
      window,
      records: histogram.count,
      msP50: histogram.percentile(50),
      msP99: histogram.percentile(99),
      msP999: histogram.percentile(99.9),
      msMax: histogram.maxMs,
      recordsPerMs: result.recordsPerMs,
      checkpoints: result.checkpoints,
      materializations: result.materializations,
    });
  }
  report.line({
    bench: "latency",
    id: "W9",
    policy,
    load: share,
    series: result.series.map(({ atMs, msP999, during }) => [
      atMs,
      Number(msP999.toPrecision(3)),
      during,
    ]),
  });
}

await withScratch(async (scratch) => {
  for (const policy of ["changelog", "incremental"] as const) {
    for (const share of shares) {
      progress(`${policy}, at ${share * 100} % of the highest rate`);
      const result = await measureLoad(scratch, {
        policy,
        share,
        keyCount: quick ? 200_000 : 1_000_000,
        memoryBudgetBytes: 256 * MIB,
        closedMs: quick ? 500 : 5000,
        openMs: quick ? 5000 : 60_000,
        // So short that bases are made every few seconds.
        materializationLogBytes: (quick ? 6 : 32) * MIB,
      });
      print(policy, share, result);
    }
  }
});
