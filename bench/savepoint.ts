// npm run bench:savepoint -- --json
import { Report, readArguments, withScratch } from "./support/command.ts";
import { measureSavepoints } from "./savepoint/canonical.ts";

const help = `Usage: npm run bench:savepoint -- [--json] [--quick] [--only B6] [--help]

Canonical savepoints of the lsm backend, written and restored (B6), with rows of 100 and of 4,000
bytes; restored as they are, and with another number of key groups. A megabyte is one of keys and
values. The floor writes as many bytes as the savepoint has, and syncs them.

  --json   one JSON object a line
  --quick  100 MB instead of 500
  --only   only these
`;

const { json, quick, only } = readArguments(help);
const report = new Report(json);
const stateBytes = (quick ? 100 : 500) * 1e6;

await withScratch(async (scratch) => {
  if (only !== undefined && !only.includes("B6")) return;
  for (const valueBytes of [4000, 100]) {
    await measureSavepoints(report, {
      stateBytes,
      valueBytes,
      repetitions: quick ? 3 : 5,
      scratch,
    });
  }
});
