// What the commands share: arguments, output, progress, scratch directories.
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Spread, rounded } from "./statistics.ts";

export interface Arguments {
  readonly json: boolean;
  readonly quick: boolean;
  readonly minutes: number | undefined;
  readonly only: readonly string[] | undefined;
}

/** Arguments of a command with options of its own, which are numbers. */
export interface NumberArguments extends Arguments {
  /** Throws, as for any wrong argument, by ending the process. */
  number(name: string, byDefault: number, min: number, max: number): number;
}

/**
 * Reads the arguments; prints the help, or what is wrong with them, and ends the process. With
 * `measures`, only those may be asked for, and there is no `--minutes`.
 */
export function readArguments(help: string, measures?: readonly string[]): Arguments {
  try {
    const read = parse(help, []);
    if (measures !== undefined) refuseUnknown(read, measures);
    return read;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error), help);
  }
}

/** As `readArguments`, with `--minutes`, without `--only`, and with these options. */
export function readOptions(help: string, names: readonly string[]): NumberArguments {
  try {
    const read = parse(help, names);
    if (read.only !== undefined) throw new RangeError("Unknown option '--only'");
    const number: NumberArguments["number"] = (name, byDefault, min, max) => {
      const text = read.texts[name];
      if (text === undefined) return byDefault;
      const value = Number(text);
      if (value >= min && value <= max) return value;
      return refuse(`--${name} must be from ${min} to ${max}, got ${text}`, help);
    };
    return { ...read, number };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error), help);
  }
}

/** Ends the process: the arguments are not ones that it can do something with. */
export function refuse(message: string, help = ""): never {
  process.stderr.write(`${message}\n${help === "" ? "" : `\n${help}`}`);
  process.exit(2);
}

type Parsed = Arguments & { readonly texts: Readonly<Record<string, string | undefined>> };

function parse(help: string, names: readonly string[]): Parsed {
  const own = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const { values } = parseArgs({
    options: {
      ...own,
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      minutes: { type: "string" },
      only: { type: "string" },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    process.exit(0);
  }
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  if (minutes !== undefined && !(minutes > 0 && minutes <= 1440)) {
    throw new RangeError(`--minutes must be above 0 and at most 1440, got ${values.minutes}`);
  }
  const texts = values as Readonly<Record<string, unknown>>;
  return {
    json: values.json,
    quick: values.quick,
    minutes,
    only: values.only?.split(","),
    texts: Object.fromEntries(names.map((name) => [name, texts[name] as string | undefined])),
  };
}

function refuseUnknown({ minutes, only }: Arguments, measures: readonly string[]): void {
  if (minutes !== undefined) throw new RangeError("Unknown option '--minutes'");
  const unknown = only?.find((name) => !measures.includes(name));
  if (unknown === undefined) return;
  throw new RangeError(`--only takes ${measures.join(",")}, got ${JSON.stringify(unknown)}`);
}

/** One row of the table of the issue. */
export interface Measure {
  readonly id: string;
  /** What is compared, where an id has several. */
  readonly name: string;
  readonly value: number;
  /** The bound: a ratio of at least, or a figure of at most. */
  readonly asked: string;
  readonly ok: boolean;
  readonly unit: string;
  readonly floor?: number | undefined;
  readonly ratio?: number | undefined;
  readonly spread?: Spread | undefined;
  readonly details?: Readonly<Record<string, number | string>> | undefined;
}

export class Report {
  readonly #isJson: boolean;

  constructor(isJson: boolean) {
    this.#isJson = isJson;
  }

  measure(measure: Measure): void {
    const { spread, details, ...rest } = measure;
    this.line({ ...rest, ...spread, ...details });
  }

  line(fields: Readonly<Record<string, unknown>>): void {
    const entries = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, typeof value === "number" ? rounded(value) : value] as const);
    const text = this.#isJson
      ? JSON.stringify(Object.fromEntries(entries))
      : entries.map(([name, value]) => `${name} ${String(value)}`).join("  ");
    progress("");
    process.stdout.write(`${text}\n`);
  }
}

/** Replaces the last line of a terminal. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

/** Where scratch files go. On a real disk: VARVE_BENCH_DIR or the current directory. */
export function scratchParent(): string {
  return process.env["VARVE_BENCH_DIR"] ?? process.cwd();
}

/** A directory of this run, removed at its end. */
export async function withScratch<R>(body: (directory: string) => Promise<R>): Promise<R> {
  const directory = await mkdtemp(join(scratchParent(), "dist-bench-scratch-"));
  try {
    return await body(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
