// npm run coverage: which branches of the code the tests take, in threads and child processes too. Node itself
// counts (NODE_V8_COVERAGE): what a test starts inherits it. Processes that are killed count nothing.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const help = `Usage: npm run coverage -- [--json] [--again] [--help]

Runs the tests and tells the share of branches that they take, by directory; several minutes.

  --json   one JSON object a directory
  --again  only the report, from the last run's counts

Exit code: 0 all directories have what is asked; 1 one has less, or a test failed; 2 wrong arguments.
`;

/** Share of branches in percent, of the directories that the guarantees rest on; key groups are in `common`. */
const asked: Readonly<Record<string, number>> = {
  common: 95,
  format: 95,
  checkpoint: 95,
  changelog: 95,
  lsm: 95,
};
const root = fileURLToPath(new URL("../../..", import.meta.url));
const raw = "coverage/raw";

interface Counts {
  readonly total: number;
  readonly covered: number;
}

function argumentsOf(): { readonly json: boolean; readonly again: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: "boolean", default: false },
        again: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(help);
      process.exit(0);
    }
    return values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${help}`);
    process.exit(2);
  }
}

/** True if all tests passed. */
function runTests(): boolean {
  rmSync("coverage", { recursive: true, force: true });
  const vitest = "node_modules/vitest/vitest.mjs";
  const config = "dist/test/coverage/vitest.config.js";
  const { status } = spawnSync(process.execPath, [vitest, "run", "--config", config], {
    stdio: ["ignore", process.stderr, process.stderr],
    env: { ...process.env, NODE_V8_COVERAGE: raw },
  });
  return status === 0;
}

/** Branches by file, as the compiled code's source maps place them. */
function branchesByFile(): ReadonlyMap<string, Counts> {
  const options = ["--temp-directory", raw, "--reports-dir", "coverage"];
  const filter = ["--exclude-after-remap", "--include", "src/**/*.ts"];
  const reporters = ["--reporter", "json-summary", "--reporter", "html"];
  const args = ["node_modules/c8/bin/c8.js", "report", ...options, ...filter, ...reporters];
  const { status } = spawnSync(process.execPath, args, {
    stdio: ["ignore", process.stderr, process.stderr],
  });
  if (status !== 0) throw new Error(`c8 ended with ${status}`);
  const summary = JSON.parse(readFileSync("coverage/coverage-summary.json", "utf8")) as Record<
    string,
    { readonly branches: Counts }
  >;
  const files = new Map<string, Counts>();
  for (const [path, { branches }] of Object.entries(summary)) {
    if (path !== "total") files.set(relative(root, path), branches);
  }
  return files;
}

/** Sums by directory below src, of those that code lies in. */
function byDirectory(files: ReadonlyMap<string, Counts>): ReadonlyMap<string, Counts> {
  const sums = new Map<string, Counts>();
  for (const [path, { total, covered }] of files) {
    const [, directory = "", ...rest] = path.split(sep);
    const name = rest.length === 0 ? "." : directory;
    const before = sums.get(name) ?? { total: 0, covered: 0 };
    sums.set(name, { total: before.total + total, covered: before.covered + covered });
  }
  return new Map([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Where most branches are missing: what a test would be worth most for. */
function worstOf(files: ReadonlyMap<string, Counts>, directory: string): readonly string[] {
  return [...files]
    .filter(([path]) => path.startsWith(`src${sep}${directory}${sep}`))
    .map(([path, { total, covered }]) => ({ path, missing: total - covered }))
    .filter(({ missing }) => missing > 0)
    .sort((a, b) => b.missing - a.missing)
    .slice(0, 5)
    .map(({ path, missing }) => `${path} (${missing})`);
}

const { json, again } = argumentsOf();
process.chdir(root);
if (again && !existsSync(raw)) {
  process.stderr.write("there are no counts of a run before: leave --again out\n");
  process.exit(2);
}
let isOk = again || runTests();
const files = branchesByFile();
for (const [directory, { total, covered }] of byDirectory(files)) {
  const value = total === 0 ? 100 : Math.floor((covered / total) * 1000) / 10;
  const least = asked[directory];
  const ok = least === undefined || value >= least;
  isOk &&= ok;
  const worst = ok ? [] : worstOf(files, directory);
  const line = { id: "coverage", directory, value, asked: least, ok, unit: "% of branches" };
  if (json) console.log(JSON.stringify({ ...line, branches: total, covered, worst }));
  else {
    const judged = least === undefined ? "" : ok ? `, asked ${least}` : `, asked ${least}: MISSED`;
    console.log(`${directory.padEnd(14)} ${value} % of ${total} branches${judged}`);
    for (const one of worst) console.log(`                 ${one}`);
  }
}
process.exitCode = isOk ? 0 : 1;
