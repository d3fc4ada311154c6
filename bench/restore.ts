// npm run bench:restore -- --json
import { measureRestores } from "./restore/restores.ts";
import { Report, readArguments, withScratch } from "./support/command.ts";

const help = `Usage: npm run bench:restore -- [--json] [--quick] [--help]

Time from opening a backend to the first record, by size of the checkpoint, with every byte verified
before it and behind it (B2), and of a branch: another backend of the same checkpoint, beside the
one it was taken by (B5).

  --json    one JSON object a line
  --quick   at most 200 MB: under a minute
`;

const { json, quick } = readArguments(help);
const report = new Report(json);
const megabyte = 1e6;
const sizes = (quick ? [50, 200] : [100, 1000, 5000]).map((size) => size * megabyte);
await withScratch((scratch) => measureRestores(report, sizes, quick ? 5 : 7, scratch));
