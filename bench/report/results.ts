// Results of benches as they are kept: one file of JSON lines for each, or one for each part of it
// (`rivals.E6.jsonl`), and one that says how it ended.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

export type Line = Readonly<Record<string, unknown>>;

export interface Ending {
  readonly command: string;
  readonly commit: string;
  readonly date: string;
  /** Processor, memory, file system, kernel, Node.js. */
  readonly machine: string;
  readonly seconds: number;
  /** null: it was interrupted. */
  readonly exitCode: number | null;
}

export interface BenchResult {
  /** Of the bench; several results may be parts of it. */
  readonly name: string;
  readonly lines: readonly Line[];
  /** Undefined while it runs, or if it was cut off: the lines are what there was. */
  readonly ending: Ending | undefined;
}

/** A measure that a later run made again is that run's: the lines of the earlier one are left out. */
export function readResults(directory: string): readonly BenchResult[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(".jsonl"));
  const results = names.toSorted().map((file): BenchResult => {
    const part = file.slice(0, -".jsonl".length);
    const ending = join(directory, `${part}.ending.json`);
    return {
      name: part.split(".", 1)[0]!,
      lines: parseLines(readFileSync(join(directory, file), "utf8")),
      ending: existsSync(ending) ? (JSON.parse(readFileSync(ending, "utf8")) as Ending) : undefined,
    };
  });
  const newest = new Map<string, BenchResult>();
  for (const result of results.toSorted((a, b) => (dateOf(a) < dateOf(b) ? -1 : 1))) {
    for (const line of result.lines) newest.set(measureOf(result, line), result);
  }
  return results.map((result) => ({
    ...result,
    lines: result.lines.filter(
      (line) => !("id" in line) || newest.get(measureOf(result, line)) === result,
    ),
  }));
}

/** One that did not end counts as the oldest: it may lack some of the lines of a measure. */
function dateOf({ ending }: BenchResult): string {
  return ending?.date ?? "";
}

function measureOf({ name }: BenchResult, line: Line): string {
  return [name, textOf(line, "id"), textOf(line, "name")].join("\n");
}

/** What is no whole line of JSON was being written when the bench ended. */
export function parseLines(text: string): Line[] {
  const lines: Line[] = [];
  for (const line of text.split("\n")) {
    if (!line.startsWith("{")) continue;
    try {
      lines.push(JSON.parse(line) as Line);
    } catch {
      // Cut.
    }
  }
  return lines;
}

export function linesOf(results: readonly BenchResult[], name: string): readonly Line[] {
  return results.filter((result) => result.name === name).flatMap(({ lines }) => lines);
}

export function numberOf(line: Line, field: string): number {
  const value = line[field];
  return typeof value === "number" ? value : Number.NaN;
}

export function textOf(line: Line, field: string): string {
  const value = line[field];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
