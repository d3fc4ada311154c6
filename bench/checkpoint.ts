// npm run bench:checkpoint -- --json
import { Report, readArguments, withScratch } from "./support/command.ts";
import { measureIncrementsAndRestore } from "./checkpoint/increments.ts";
import { measurePauses } from "./checkpoint/pauses.ts";

const help = `Usage: npm run bench:checkpoint -- [--json] [--quick] [--only A6,A7,A8] [--help]

Checkpoints of 10 MB to 2 GB of state: what they hold up (A6), the bytes of an incremental one
(A7), and the time to restore 1 GB (A8).

  --json    one JSON object a line
  --quick   at most 100 MB: under a minute
  --only    only these; A7 and A8 go together
`;

const { json, quick, only } = readArguments(help);
const report = new Report(json);
const megabyte = 1e6;
const sizes = (quick ? [10, 100] : [10, 100, 1000, 2000]).map((size) => size * megabyte);

await withScratch(async (scratch) => {
  if (only === undefined || only.includes("A6")) {
    await measurePauses(report, sizes, quick ? 20 : 50, scratch);
  }
  if (only === undefined || only.includes("A7") || only.includes("A8")) {
    const stateBytes = (quick ? 100 : 1000) * megabyte;
    await measureIncrementsAndRestore(report, stateBytes, quick ? 5 : 7, scratch);
  }
});
