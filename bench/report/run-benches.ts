// Runs benches one after the other, each in a process of its own; what they print is kept as it comes,
// so that an interrupted run leaves what it had.
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { progress } from "../support/command.ts";
import { machineText } from "./machine.ts";
import type { Ending } from "./results.ts";

/** In the order in which they run; `bench:restore` runs bench:registry, bench:verify and bench:savepoint. */
export const benchNames = [
  "state",
  "checkpoint",
  "changelog",
  "rescale",
  "restore",
  "operators",
  "ycsb",
  "db",
  "matrix",
  "latency",
  "recovery",
  "amplification",
  "rivals",
  "memory",
  "soak",
  "load",
] as const;
export type BenchName = (typeof benchNames)[number];

/** A bench, or those of its measures that `--only` names. */
export interface BenchPart {
  readonly name: BenchName;
  readonly only: string | undefined;
}

export interface RunPlan {
  readonly directory: string;
  readonly benches: readonly BenchPart[];
  readonly isQuick: boolean;
  readonly commit: string;
}

/** Resolves to whether all could measure everything. */
export async function runBenches(plan: RunPlan): Promise<boolean> {
  mkdirSync(plan.directory, { recursive: true });
  let isWhole = true;
  for (const [i, part] of plan.benches.entries()) {
    progress(`${fileOf(part)}, ${i + 1} of ${plan.benches.length}`);
    isWhole = (await runBench(plan, part)) && isWhole;
  }
  return isWhole;
}

function fileOf({ name, only }: BenchPart): string {
  return only === undefined ? name : `${name}.${only}`;
}

async function runBench(plan: RunPlan, part: BenchPart): Promise<boolean> {
  const { name, only } = part;
  const path = fileURLToPath(new URL(`../${name}.js`, import.meta.url));
  const output = join(plan.directory, `${fileOf(part)}.jsonl`);
  const endingPath = join(plan.directory, `${fileOf(part)}.ending.json`);
  rmSync(endingPath, { force: true });
  const flags = ["--json"];
  if (plan.isQuick) flags.push("--quick");
  if (only !== undefined) flags.push("--only", only.replaceAll("+", ","));
  const start = performance.now();
  const date = new Date().toISOString();
  const exitCode = existsSync(path) ? await run(path, flags, output) : null;
  const script = name === "load" ? "load" : `bench:${name}`;
  const ending: Ending = {
    command: `npm run ${script} -- ${flags.join(" ")}`,
    commit: plan.commit,
    date,
    machine: machineText(),
    seconds: (performance.now() - start) / 1000,
    exitCode,
  };
  writeFileSync(endingPath, `${JSON.stringify(ending)}\n`);
  return exitCode === 0;
}

/** Its exit code; null if a signal ended it. */
function run(path: string, flags: readonly string[], output: string): Promise<number | null> {
  const file = openSync(output, "w");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path, ...flags], {
      stdio: ["ignore", file, "inherit"],
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      closeSync(file);
      resolve(code);
    });
  });
}
