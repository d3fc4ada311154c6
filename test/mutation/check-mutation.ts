// npm run mutation: which changes of the code no test notices. Stryker changes the compiled code, one place at a
// time, in a copy of the package with an installation of its own, and runs the tests that reach the place.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const help = `Usage: npm run mutation -- [DIRECTORY ...] [--files NAME,...] [--json] [--help]

Changes the compiled code of directories below src, one place at a time, and tells the share of changes that the
tests notice. Installs Stryker into a folder of its own first. Takes about a second a change: hours for all.

  DIRECTORY        DIRECTORIES; default: all of them
  --files NAME,... only these files, such as key-codec,frame
  --json           one JSON object a file and a directory

The report stands in coverage/mutation/reports/mutation. Texts are not changed: what an error says is no promise.

Exit code: 0 every directory has what is asked; 1 one has less, or it could not be measured; 2 wrong arguments.
`;

/** Tests that are about a directory: the others start processes or take a disk's time, for every change. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  format: ["unit/format", "unit/state"],
  checkpoint: ["unit/checkpoint", "unit/coordinator"],
  changelog: [
    "unit/changelog",
    "unit/format/changelog",
    "integration/changelog.test",
    "integration/changelog-failures",
  ],
  lsm: ["unit/lsm"],
  "common/key-group": ["unit/common", "unit/format/key-codec", "unit/state"],
};
const asked = 85;
const stryker = "9.6.1";
const copy = "coverage/mutation";
const report = `${copy}/reports/mutation/mutation.json`;

interface Arguments {
  readonly directories: readonly string[];
  readonly files: readonly string[];
  readonly json: boolean;
}

/** What Stryker's report has of a change. */
interface Change {
  readonly status: string;
  readonly mutatorName: string;
  readonly location: { readonly start: { readonly line: number; readonly column: number } };
}

interface Counts {
  readonly noticed: number;
  readonly unnoticed: number;
  readonly unreached: number;
}

function fail(message: string): never {
  process.stderr.write(`${message}\n${helpText()}`);
  process.exit(2);
}

function helpText(): string {
  return help.replace("DIRECTORIES", Object.keys(testsOf).join(", "));
}

function argumentsOf(): Arguments {
  const { values, positionals } = parse();
  if (values.help) {
    process.stdout.write(helpText());
    process.exit(0);
  }
  const unknown = positionals.find((name) => testsOf[name] === undefined);
  if (unknown !== undefined) fail(`unknown directory "${unknown}"`);
  const directories = positionals.length === 0 ? Object.keys(testsOf) : positionals;
  const files = values.files?.split(",") ?? [];
  for (const file of files) {
    if (!directories.some((directory) => compiledFiles(directory, [file]).length > 0)) {
      fail(`there is no file "${file}" in ${directories.join(", ")}`);
    }
  }
  return { directories, files, json: values.json };
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        files: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

/** Paths from the package's root; the files of `only`, or all. */
function compiledFiles(directory: string, only: readonly string[]): readonly string[] {
  const path = `dist/src/${directory}`;
  const all = existsSync(`${path}.js`)
    ? [`${path}.js`]
    : readdirSync(path, { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".js"))
        .map((name) => join(path, name));
  if (only.length === 0) return all;
  return all.filter((file) => only.some((name) => file.endsWith(`/${name}.js`)));
}

/** A copy of the package, so that nothing that is installed for this is left in it. */
function makeCopy(): void {
  const installed = join(copy, "package-lock.json");
  const isInstalled =
    existsSync(join(copy, "node_modules/@stryker-mutator/vitest-runner")) &&
    readFileSync(installed, "utf8") === readFileSync("package-lock.json", "utf8");
  mkdirSync(copy, { recursive: true });
  for (const part of [
    "package.json",
    "package-lock.json",
    "README.md",
    "dist",
    "docs",
    "src",
    "test",
  ]) {
    rmSync(join(copy, part), { recursive: true, force: true });
    cpSync(part, join(copy, part), { recursive: true });
  }
  if (isInstalled) return;
  const quietly = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"];
  const packages = ["core", "vitest-runner"].map((name) => `@stryker-mutator/${name}@${stryker}`);
  for (const command of [["ci"], ["install", "--no-save", ...packages]]) {
    const { status } = spawnSync("npm", [...command, ...quietly], { cwd: copy, stdio: "inherit" });
    if (status !== 0) throw new Error(`npm ${command.join(" ")} ended with ${status}`);
  }
}

/** Changes by file. */
function mutate(
  files: readonly string[],
  tests: readonly string[],
): ReadonlyMap<string, readonly Change[]> {
  const include = tests.flatMap((path) => [`${path}/**/*.test.js`, `${path}*.js`]);
  const test = { dir: "dist/test", include, testTimeout: 60_000 };
  const options = {
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "vitest.config.mjs", related: false, dir: test.dir },
    mutate: files,
    mutator: { excludedMutations: ["StringLiteral"] },
    coverageAnalysis: "perTest",
    reporters: ["json", process.stderr.isTTY ? "progress" : "progress-append-only"],
    timeoutMS: 20_000,
    allowConsoleColors: false,
  };
  writeFileSync(join(copy, "vitest.config.mjs"), `export default ${JSON.stringify({ test })};\n`);
  writeFileSync(join(copy, "stryker.config.json"), JSON.stringify(options));
  rmSync(report, { force: true });
  const { status } = spawnSync("npx", ["stryker", "run"], {
    cwd: copy,
    stdio: ["ignore", process.stderr, process.stderr],
  });
  if (status !== 0) throw new Error(`Stryker ended with ${status}`);
  const found = JSON.parse(readFileSync(report, "utf8")) as {
    readonly files: Readonly<Record<string, { readonly mutants: readonly Change[] }>>;
  };
  return new Map(Object.entries(found.files).map(([file, { mutants }]) => [file, mutants]));
}

function count(changes: readonly Change[]): Counts {
  const of = (...statuses: readonly string[]): number =>
    changes.filter(({ status }) => statuses.includes(status)).length;
  return {
    noticed: of("Killed", "Timeout"),
    unnoticed: of("Survived"),
    unreached: of("NoCoverage"),
  };
}

/** Percent of the changes that are no error by themselves. */
function scoreOf({ noticed, unnoticed, unreached }: Counts): number {
  const all = noticed + unnoticed + unreached;
  return all === 0 ? 100 : Math.floor((noticed / all) * 1000) / 10;
}

function tell(json: boolean, name: string, changes: readonly Change[], isFile: boolean): boolean {
  const counts = count(changes);
  const value = scoreOf(counts);
  const ok = value >= asked;
  const { noticed, unnoticed, unreached } = counts;
  const worst = changes
    .filter(({ status }) => status === "Survived")
    .map(({ mutatorName, location: { start } }) => `${start.line}:${start.column} ${mutatorName}`);
  if (json) {
    const line = isFile ? { file: name } : { id: "mutation", directory: name, asked, ok };
    const places = isFile ? { unnoticedAt: worst } : {};
    console.log(JSON.stringify({ ...line, value, unit: "%", ...counts, ...places }));
  } else {
    const judged = isFile ? "" : ok ? `, asked ${asked}` : `, asked ${asked}: MISSED`;
    const rest = `${unnoticed} are not, ${unreached} are reached by no test`;
    console.log(`${isFile ? "  " : ""}${name}: ${value} %, ${noticed} noticed, ${rest}${judged}`);
  }
  return ok;
}

process.chdir(fileURLToPath(new URL("../../..", import.meta.url)));
const { directories, files, json } = argumentsOf();
let isOk = true;
makeCopy();
for (const directory of directories) {
  const mutated = compiledFiles(directory, files);
  if (mutated.length === 0) continue;
  const changes = mutate(mutated, testsOf[directory]!);
  for (const [file, ofFile] of changes) tell(json, file, ofFile, true);
  isOk = tell(json, directory, [...changes.values()].flat(), false) && isOk;
}
process.exitCode = isOk ? 0 : 1;
