import { parseArgs } from "node:util";
import type { Part } from "./part.ts";

export interface Arguments {
  /** Undefined: all, one after the other. */
  readonly part: string | undefined;
  readonly json: boolean;
  /** Undefined: each part's own slice. */
  readonly minutes: number | undefined;
  readonly seed: number | undefined;
  /** So many seeds instead of minutes. */
  readonly seeds: number | undefined;
  readonly ledger: boolean;
  readonly failFast: boolean;
  /** The report's figures go into docs/guarantees.md, too. */
  readonly write: boolean;
}

function helpOf(parts: readonly Part[]): string {
  const lines = parts.map(({ name, what }) => `  ${name.padEnd(13)} ${what}`);
  return `Usage: npm run reliability -- [PART] [--json] [--minutes N] [--seed S] [--help]

Attacks what docs/guarantees.md promises. Without PART all parts run, one after the other.

${lines.join("\n")}
  report        totals of docs/reliability-ledger.jsonl, with what was asked; --write puts them
                into docs/guarantees.md

  --json        one JSON object a part
  --minutes N   of each part, in chunks of at most 8 minutes (default: a slice)
  --seed S      the first one (default: the one after the last in the ledger)
  --seeds N     so many seeds instead of minutes: a failure says which
  --slice       each part's slice for CI, from seed 1; writes no ledger
  --fail-fast   ends a part with the first seed that failed
  --no-ledger   appends nothing (default below one minute); --ledger appends always

Exit code 1 if anything failed, 2 if the arguments are wrong.
`;
}

/** Reads the arguments; prints the help, or what is wrong with them, and ends the process. */
export function readArguments(parts: readonly Part[]): Arguments {
  const help = helpOf(parts);
  try {
    return parse(parts, help);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}

function parse(parts: readonly Part[], help: string): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      slice: { type: "boolean", default: false },
      ledger: { type: "boolean", default: false },
      "fail-fast": { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      "no-ledger": { type: "boolean", default: false },
      minutes: { type: "string" },
      seed: { type: "string" },
      seeds: { type: "string" },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    process.exit(0);
  }
  const [part, ...more] = positionals;
  if (more.length > 0) throw new RangeError(`one part at a time, got ${positionals.join(" ")}`);
  if (part !== undefined && part !== "report" && !parts.some(({ name }) => name === part)) {
    throw new RangeError(`there is no part ${JSON.stringify(part)}`);
  }
  const minutes = numberOf("minutes", values.minutes, 0.01, 1440);
  const seeds = integerOf("seeds", values.seeds, 1);
  if ([minutes, seeds, values.slice || undefined].filter((one) => one !== undefined).length > 1) {
    throw new RangeError("--minutes, --seeds and --slice exclude each other");
  }
  if (values.ledger && (values["no-ledger"] || values.slice)) {
    throw new RangeError("--ledger contradicts --no-ledger and --slice");
  }
  if (values.write && part !== "report") throw new RangeError("--write belongs to report");
  const byDefault = minutes !== undefined && minutes >= 1;
  return {
    part,
    json: values.json,
    minutes,
    seeds,
    failFast: values["fail-fast"],
    write: values.write,
    seed: integerOf("seed", values.seed, 1) ?? (values.slice ? 1 : undefined),
    ledger: values.ledger || (byDefault && !values["no-ledger"]),
  };
}

function integerOf(name: string, text: string | undefined, min: number): number | undefined {
  const number = numberOf(name, text, min, 2 ** 40);
  if (number === undefined || Number.isInteger(number)) return number;
  throw new RangeError(`--${name} takes a whole number, got ${text}`);
}

function numberOf(
  name: string,
  text: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,13}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new RangeError(`--${name} takes a number from ${min} to ${max}, got ${text}`);
}
