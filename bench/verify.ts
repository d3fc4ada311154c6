// npm run bench:verify -- --json
import { Report, readArguments, withScratch } from "./support/command.ts";
import { measureVerify } from "./verify/verify-bench.ts";

const help = `Usage: npm run bench:verify -- [--json] [--quick] [--help]

Bytes a second of the command \`varve verify\`, against the SHA-256 of the same files in bare threads,
one for each core (B4). Both with everything in the page cache, and without the start of the process.

  --json   one JSON object a line
  --quick  256 MB instead of 2 GB
`;

const { json, quick } = readArguments(help);
const report = new Report(json);
const stateBytes = (quick ? 256 : 2000) * 1e6;

await withScratch(async (scratch) => {
  await measureVerify(report, { stateBytes, repetitions: quick ? 5 : 7, scratch });
});
