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

export function readResults(directory: string): readonly BenchResult[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(".jsonl"));
  return names.toSorted().map((file) => {
    const part = file.slice(0, -".jsonl".length);
    const ending = join(directory, `${part}.ending.json`);
    return {
      name: part.split(".", 1)[0]!,
      lines: parseLines(readFileSync(join(directory, file), "utf8")),
      ending: existsSync(ending) ? (JSON.parse(readFileSync(ending, "utf8")) as Ending) : undefined,
    };
  });
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
