// npm run check:lifecycle -- --json
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type LogMergeTrace, logMergeTracing } from "../../src/diagnostics.ts";
import { enumerateLives } from "./enumeration.ts";
import { runLife } from "./life-run.ts";
import type { LifeOptions, LifeResult } from "./life-run.ts";
import { violationKinds } from "./violations.ts";

const help = `Usage: npm run check:lifecycle -- [--json] [--quick] [--sequences N] [--seed N] [--help]

Lives of jobs of one to three tasks: checkpoints, aborts, timeouts, failing storage, kills, paused
owners, restores, rescales, pins, clock jumps, in random order, up to 200 operations each, on real
coordinators and backends; after each operation the storage is audited. Then every history of up to
five letters of the protocol on the coordinator and its registry alone. Exit code 1 if any promise
was broken.

  --json         one JSON object a line
  --quick        fewer sequences, and letters: under a minute
  --sequences N  random lives on the memory backend, in an environment with power losses
                 (default 250; on the lsm backend, on this machine's disk, a sixteenth as many in
                 each of the three policies, and again with another policy at every start; every
                 second one on a storage that takes whole objects only)
  --seed N       of the first life (default 1); life n has seed + n
`;

interface Arguments {
  readonly json: boolean;
  readonly quick: boolean;
  readonly sequences: number;
  readonly seed: number;
}

function readArguments(): Arguments {
  const integer = (name: string, text: string): number => {
    if (/^\d{1,9}$/.test(text)) return Number(text);
    throw new RangeError(`--${name} takes a number, got ${text}`);
  };
  try {
    const { values } = parseArgs({
      options: {
        json: { type: "boolean", default: false },
        quick: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
        sequences: { type: "string" },
        seed: { type: "string", default: "1" },
      },
    });
    if (values.help) {
      process.stdout.write(help);
      process.exit(0);
    }
    const byDefault = values.quick ? "60" : "250";
    return {
      json: values.json,
      quick: values.quick,
      sequences: integer("sequences", values.sequences ?? byDefault),
      seed: integer("seed", values.seed),
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}

const { json, quick, sequences, seed } = readArguments();

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

function report(object: Readonly<Record<string, unknown>>): void {
  progress("");
  if (json) process.stdout.write(`${JSON.stringify(object)}\n`);
  else
    process.stdout.write(`${Object.entries(object).map(String).join("  ").replaceAll(",", " ")}\n`);
}

/** Times that small segments were put together. */
let mergeCount = 0;
logMergeTracing.asyncEnd.subscribe((trace) => {
  if ((trace as LogMergeTrace).uploadedBytes !== undefined) mergeCount++;
});

type Subject = Pick<LifeOptions, "backend" | "policy">;

/** Lives on one backend, summed up. True if nothing was broken. */
async function live(subject: Subject, count: number, operationsMax: number): Promise<boolean> {
  const { backend, policy } = subject;
  const name = policy === undefined ? backend : `${backend}, ${policy}`;
  const total = { operations: 0, checkpoints: 0, kills: 0, restores: 0, rescales: 0 };
  const violations: Record<string, number> = {};
  for (const kind of violationKinds) violations[kind] = 0;
  mergeCount = 0;
  for (let life = 0; life < count; life++) {
    progress(`${name}: life ${life + 1} of ${count}`);
    const result = await one(subject, seed + life, operationsMax);
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += result[name];
    for (const [kind, found] of result.violations) {
      violations[kind]! += found.length;
      process.stderr.write(`${name}, seed ${seed + life}, ${kind}: ${found[0]}\n`);
    }
    if (result.violations.size > 0) process.stderr.write(`${result.history.join(" ")}\n`);
  }
  const ok = Object.values(violations).every((found) => found === 0);
  report({
    check: "lifecycle",
    ...subject,
    sequences: count,
    ...total,
    merges: mergeCount,
    violations,
    ok,
  });
  return ok;
}

async function one(
  { backend, policy }: Subject,
  lifeSeed: number,
  operationsMax: number,
): Promise<LifeResult> {
  // Short ones and long ones: what goes wrong early must not be hidden by what comes later.
  const operations = 10 + ((lifeSeed * 37) % (operationsMax - 9));
  if (backend === "memory") {
    return runLife({ seed: lifeSeed, operations, backend, directory: "" });
  }
  const directory = await mkdtemp(join(tmpdir(), "varve-lifecycle-"));
  try {
    return await runLife({ seed: lifeSeed, operations, backend, policy, directory });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function enumerate(): boolean {
  const length = quick ? 4 : 5;
  const result = enumerateLives(length, (count) => progress(`enumeration: ${count} histories`));
  for (const violation of result.violations.slice(0, 5)) process.stderr.write(`${violation}\n`);
  const ok = result.violations.length === 0;
  report({
    check: "enumeration",
    length,
    sequences: result.sequences,
    violations: result.violations.length,
    ok,
  });
  return ok;
}

const results = [await live({ backend: "memory" }, sequences, 200)];
for (const policy of ["full", "incremental", "changelog", "any"] as const) {
  const count = Math.ceil(sequences / 16);
  results.push(await live({ backend: "lsm", policy }, count, quick ? 30 : 60));
}
results.push(enumerate());
process.exitCode = results.every(Boolean) ? 0 : 1;
