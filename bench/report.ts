// npm run bench:report
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { format } from "prettier";
import { commitOf, versionsOf } from "./report/machine.ts";
import { pageOf } from "./report/page.ts";
import { plotsOf } from "./report/plots.ts";
import { readResults } from "./report/results.ts";
import { type BenchPart, benchNames, runBenches } from "./report/run-benches.ts";
import { refuse } from "./support/command.ts";

const help = `Usage: npm run bench:report -- [--quick] [--only NAME,...] [--from DIRECTORY] [--help]

Runs all benches one after the other, keeps what they print, and writes docs/benchmarks.md and
docs/plots from it. More than two hours; the machine should do nothing else. An interrupted run keeps
what it had: name its directory by --from and the missing benches by --only to go on with it.

  --quick           each bench with --quick; pages go into the directory of the results, not into docs
  --only            run only these: ${benchNames.join(", ")};
                    some measures of one: rivals:E6+E7; "none" only writes the pages anew
  --from DIRECTORY  add to the results that are there; without it a new one below bench-results
`;

const docsDirectory = "docs";

function argumentsOf(): { quick: boolean; only: readonly BenchPart[]; from: string | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        only: { type: "string" },
        from: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(help);
      process.exit(0);
    }
    if (values.from !== undefined && !existsSync(values.from)) {
      throw new RangeError(`--from: there is no ${values.from}`);
    }
    return { quick: values.quick, only: chosenBy(values.only), from: values.from };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error), help);
  }
}

function chosenBy(only: string | undefined): readonly BenchPart[] {
  if (only === undefined) return benchNames.map((name) => ({ name, only: undefined }));
  if (only === "none") return [];
  return only.split(",").map((part) => {
    const [name = "", measures] = part.split(":");
    const known = benchNames.find((one) => one === name);
    if (known === undefined)
      throw new RangeError(`--only: there is no bench ${JSON.stringify(name)}`);
    return { name: known, only: measures };
  });
}

const { quick, only, from } = argumentsOf();
const commit = commitOf();
const stamp = new Date().toISOString().slice(0, 16).replaceAll(":", "");
const directory = from ?? join("bench-results", `${stamp}${quick ? "-quick" : ""}`);
const isWhole = await runBenches({ directory, benches: only, isQuick: quick, commit });

const results = readResults(directory);
const plots = plotsOf(results);
const target = quick ? directory : docsDirectory;
rmSync(join(target, "plots"), { recursive: true, force: true });
mkdirSync(join(target, "plots"), { recursive: true });
for (const { file, svg } of plots) writeFileSync(join(target, "plots", file), svg);
const page = pageOf({ versions: versionsOf(results), results, plots, rawPath: directory });
writeFileSync(
  join(target, "benchmarks.md"),
  await format(page, { parser: "markdown", printWidth: 100 }),
);
process.stdout.write(`${join(target, "benchmarks.md")} and ${plots.length} plots\n`);
if (!isWhole) process.exitCode = 1;
