// npm run bench:restore -- --json
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { measureRestores } from "./restore/restores.ts";
import { Report, readArguments, withScratch } from "./support/command.ts";

const help = `Usage: npm run bench:restore -- [--json] [--quick] [--only B2,B3,B4,B5,B6] [--help]

Time from opening a backend to the first record, by size of the checkpoint, with every byte verified
before it and behind it (B2), and of a branch: another backend of the same checkpoint, beside the
one it was taken by (B5; measured with B2). Then, each in a process of its own, what bench:registry
(B3), bench:verify (B4) and bench:savepoint (B6) measure.

  --json    one JSON object a line
  --quick   at most 200 MB of state
  --only    only these
`;

const { json, quick, only } = readArguments(help);
const report = new Report(json);
const isAsked = (...ids: string[]): boolean =>
  only === undefined || ids.some((id) => only.includes(id));

if (isAsked("B2", "B5")) {
  const sizes = (quick ? [50, 200] : [100, 1000, 5000]).map((size) => size * 1e6);
  await withScratch((scratch) => measureRestores(report, sizes, quick ? 5 : 7, scratch));
}
for (const [id, name] of [
  ["B3", "registry"],
  ["B4", "verify"],
  ["B6", "savepoint"],
] as const) {
  if (!isAsked(id)) continue;
  const flags = [json ? "--json" : [], quick ? "--quick" : []].flat();
  const path = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  const { status } = spawnSync(process.execPath, [path, ...flags], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
