// npm run bench:rescale -- --json
import { Report, readArguments, withScratch } from "./support/command.ts";
import { measureRescale } from "./rescale/split-merge.ts";

const help = `Usage: npm run bench:rescale -- [--json] [--quick] [--help]

Rescaling 1 GB of state, values of 100 bytes, from one task to two and back: time until the first
read, with the verification of the files reported apart, beside copying the rows through the public
API in the same run (B1).

  --json    one JSON object a line
  --quick   100 MB: under a minute
`;

const { json, quick } = readArguments(help);
const report = new Report(json);
await withScratch(async (scratch) => {
  const rows = quick ? 800_000 : 8_000_000;
  await measureRescale(report, rows, quick ? 3 : 5, scratch);
});
