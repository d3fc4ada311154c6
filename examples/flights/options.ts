// The command line of the flights job: flags, their ranges, and the help text. Pure.
import { parseArgs } from "node:util";
import { DEFAULT_INPUT } from "./default-input.ts";

export type BackendKind = "lsm" | "memory";
export type Policy = "full" | "incremental" | "changelog";

export interface FlightsOptions {
  readonly inputPath: string;
  /** First records of the file to use; undefined is all of them. */
  readonly limit: number | undefined;
  /** Undefined is the default, which depends on how many records there are. */
  readonly kills: number | undefined;
  readonly backend: BackendKind;
  readonly policy: Policy;
  readonly budgetMib: number;
  readonly intervalMs: number;
  /** Where routes.csv is kept; undefined keeps nothing. */
  readonly outputDirectory: string | undefined;
  readonly seed: number;
  readonly json: boolean;
  /** Leave the temporary directory in place. */
  readonly keep: boolean;
}

/** The command line or the input cannot be used: exit code 2, and nothing was created. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Below this many records there is no time to kill anything: `--kills` is 0. */
export const KILLS_RECORDS_MIN = 1_000;
const KILLS_DEFAULT = 2;
/** A quarter of the state of the whole file is 37 MiB. */
const LSM_BUDGET_MIB = 32;
/** The memory backend holds everything. */
const MEMORY_BUDGET_MIB = 1_024;

export const HELP: string = `npm start -- [flags]

On-time performance of three million flights, computed with exactly-once state. A supervisor kills
the job with SIGKILL, restarts it from its latest checkpoint, and verifies every key of every state
and every output row against an independent computation.

  --kills N            SIGKILLs, at least one of them during a checkpoint; 0 to 100   (default 2)
  --limit N            use the first N records of the input only                  (default: all)
  --backend KIND       lsm or memory                                               (default lsm)
  --policy POLICY      full, incremental or changelog; memory knows full only
                                                                             (default changelog)
  --budget MIB         memory budget of the backend, 16 to 65536    (default lsm 32, memory 1024)
  --interval MS        time between checkpoints, 10 to 600000                      (default 500);
                       at most 500 from where a kill is due until it happens
  --output DIR         keep the results as DIR/routes.csv
  --input PATH         Parquet file with date, delay, distance, origin, destination
                                                         (default: flights-3m of vega-datasets)
  --seed N             decides when to kill; 0 to 4294967295                         (default 1)
  --keep               leave the temporary directory (checkpoints, output rows) in place
  --json               print a summary as one JSON object, as the last line
  --help               print this

Below ${KILLS_RECORDS_MIN} records nothing is killed. Exit code: 0 all is right; 1 something was lost, duplicated
or wrong, or the job failed; 2 the flags or the input cannot be used, and nothing was created.
`;

const flags = {
  kills: { type: "string" },
  limit: { type: "string" },
  backend: { type: "string" },
  policy: { type: "string" },
  budget: { type: "string" },
  interval: { type: "string" },
  output: { type: "string" },
  input: { type: "string" },
  seed: { type: "string" },
  keep: { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean" },
} as const;

/** The options, or "help" if that was asked for. Throws UsageError. */
export function parseOptions(args: readonly string[]): FlightsOptions | "help" {
  const values = parseFlags(args);
  if (values.help === true) return "help";
  const backend = oneOf("--backend", values.backend ?? "lsm", ["lsm", "memory"]);
  const isMemory = backend === "memory";
  const policy = oneOf("--policy", values.policy ?? (isMemory ? "full" : "changelog"), [
    "full",
    "incremental",
    "changelog",
  ]);
  if (isMemory && policy !== "full") {
    throw new UsageError("--policy: the memory backend takes full checkpoints only");
  }
  const limit = optionalInteger("--limit", values.limit, 1, 2 ** 31 - 1);
  const kills = optionalInteger("--kills", values.kills, 0, 100);
  if (limit !== undefined) killCount(kills, limit);
  const defaultBudget = isMemory ? MEMORY_BUDGET_MIB : LSM_BUDGET_MIB;
  return {
    inputPath: nonEmpty("--input", values.input) ?? DEFAULT_INPUT,
    limit,
    kills,
    backend,
    policy,
    budgetMib: optionalInteger("--budget", values.budget, 16, 65_536) ?? defaultBudget,
    intervalMs: optionalInteger("--interval", values.interval, 10, 600_000) ?? 500,
    outputDirectory: nonEmpty("--output", values.output),
    seed: optionalInteger("--seed", values.seed, 0, 2 ** 32 - 1) ?? 1,
    json: values.json ?? false,
    keep: values.keep ?? false,
  };
}

/** How often to kill a job over this many records. */
export function killCount(kills: number | undefined, recordCount: number): number {
  if (recordCount >= KILLS_RECORDS_MIN) return kills ?? KILLS_DEFAULT;
  if (kills !== undefined && kills > 0) {
    throw new UsageError(
      `--kills needs at least ${KILLS_RECORDS_MIN} records, and there are ${recordCount}`,
    );
  }
  return 0;
}

type FlagValues = ReturnType<typeof parseArgs<{ options: typeof flags }>>["values"];

function parseFlags(args: readonly string[]): FlagValues {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true }).values;
  } catch (error) {
    // Node names the flag; its second sentence explains escaping, which helps nobody here.
    const message = error instanceof Error ? error.message.split(". ")[0] : String(error);
    throw new UsageError(`${message}; --help lists the flags`);
  }
}

function oneOf<const T extends string>(flag: string, value: string, known: readonly T[]): T {
  const found = known.find((candidate) => candidate === value);
  if (found === undefined) {
    throw new UsageError(`${flag} is ${known.join(" or ")}, got ${JSON.stringify(value)}`);
  }
  return found;
}

function optionalInteger(
  flag: string,
  text: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new UsageError(
      `${flag} is an integer from ${min} to ${max}, got ${JSON.stringify(text)}`,
    );
  }
  return value;
}

function nonEmpty(flag: string, text: string | undefined): string | undefined {
  if (text === "") throw new UsageError(`${flag} is empty`);
  return text;
}
