// docs/benchmarks.md from results: measures with what was asked, losses first, plots and tables.
import type { Plot } from "./plots.ts";
import { type BenchResult, type Line, linesOf, numberOf, textOf } from "./results.ts";
import { short } from "./svg.ts";

export interface Page {
  /** Of what was measured, and of the rivals. */
  readonly versions: readonly string[];
  readonly results: readonly BenchResult[];
  readonly plots: readonly Plot[];
  /** Where the raw output is. */
  readonly rawPath: string;
}

export function pageOf({ versions, results, plots, rawPath }: Page): string {
  const measures = results.flatMap(({ lines }) => lines.filter(isMeasure));
  const rated = measures.filter((line) => isRated(line));
  const missed = rated.filter(({ ok }) => ok !== true);
  const parts = [
    "# Benchmarks",
    "",
    "Written by `npm run bench:report` from the output of the benches; [benchmark-methods.md](benchmark-methods.md) says what each measures and how.",
    "Every figure is a ratio or stands beside a floor or a rival of the same run. Losses are listed first;",
    "[benchmark-profiles.md](benchmark-profiles.md) has what profiles say of them, and figures of earlier runs.",
    "",
    versions.join(", "),
    "",
    ...runsTable(results, rawPath),
    "",
    `## Reached: ${rated.length - missed.length} of ${rated.length}`,
    "",
    "### Missed",
    "",
    ...(missed.length === 0 ? ["Nothing."] : measureTable(missed)),
    "",
    ...notRun(results),
    ...measureSection(
      "Reached",
      rated.filter(({ ok }) => ok === true),
    ),
    ...measureSection(
      "Printed beside",
      measures.filter((line) => !isRated(line)),
    ),
    "## Plots",
    "",
    ...plots.flatMap(({ title, caption, file }) => [
      `### ${title}`,
      "",
      caption,
      "",
      `![${title}](plots/${file})`,
      "",
    ]),
    ...tables(results),
    ...unfairness(linesOf(results, "rivals")),
  ];
  return `${parts.join("\n").trimEnd()}\n`;
}

function isMeasure(line: Line): boolean {
  return typeof line["id"] === "string" && "ok" in line && "asked" in line;
}

/** Whether anything was asked of it. */
function isRated(line: Line): boolean {
  return line["asked"] !== null && !textOf(line, "asked").startsWith("none");
}

function runsTable(results: readonly BenchResult[], rawPath: string): string[] {
  const machines = [...new Set(results.map(({ ending }) => ending?.machine ?? "unknown"))];
  const letterOf = (machine = "unknown"): string =>
    String.fromCharCode(65 + machines.indexOf(machine));
  const rows = results.map(({ name, ending, lines }) => {
    if (ending === undefined) return [name, `interrupted, ${lines.length} lines kept`];
    const { command, commit, date, seconds, exitCode, machine } = ending;
    const whole =
      exitCode === 0 ? "whole" : exitCode === null ? "interrupted" : "not all could be measured";
    const began = date.slice(0, 16);
    return [`\`${command}\``, whole, letterOf(machine), commit, began, `${Math.round(seconds)} s`];
  });
  return [
    ...table(["command", "run", "machine", "commit", "began", "took"], rows),
    "",
    ...machines.map((machine) => `- Machine ${letterOf(machine)}: ${machine}`),
    "",
    `Raw output: \`${rawPath}\`.`,
  ];
}

function notRun(results: readonly BenchResult[]): string[] {
  const lines = results.flatMap(({ name, lines: all }) =>
    all
      .filter((line) => "notRun" in line || "skipped" in line || "error" in line)
      .filter((line) => typeof (line["notRun"] ?? line["skipped"] ?? line["error"]) === "string")
      .map((line) => [
        name,
        [textOf(line, "id"), textOf(line, "name"), textOf(line, "test")].filter(Boolean).join(" "),
        String(line["notRun"] ?? line["skipped"] ?? line["error"]),
      ]),
  );
  if (lines.length === 0) return [];
  return ["### Not measured", "", ...table(["bench", "what", "why"], lines), ""];
}

function measureSection(title: string, measures: readonly Line[]): string[] {
  return measures.length === 0 ? [] : [`### ${title}`, "", ...measureTable(measures), ""];
}

function measureTable(measures: readonly Line[]): string[] {
  const rows = measures.map((line) => [
    textOf(line, "id"),
    `${textOf(line, "name")}${line["rivalName"] === undefined ? "" : ` / ${textOf(line, "rivalName")}`}`,
    askedOf(line),
    `${figure(line, "value")} ${unitOf(line)}`,
    "min" in line ? `${figure(line, "min")} to ${figure(line, "max")}` : "",
    besideOf(line),
  ]);
  return table(["id", "measure", "asked", "got", "range", "floor or rival"], rows);
}

function askedOf(line: Line): string {
  const asked = textOf(line, "asked");
  if (typeof line["asked"] !== "number") return asked;
  return `${line["bound"] === "at most" ? "<=" : ">="} ${asked}`;
}

function unitOf(line: Line): string {
  const unit = textOf(line, "unit");
  return unit === "ratio" ? "" : unit;
}

function besideOf(line: Line): string {
  if (typeof line["ours"] === "number") {
    return `${figure(line, "ours")} against ${figure(line, "rival")} ${textOf(line, "figuresUnit")}`;
  }
  return typeof line["floor"] === "number"
    ? `${figure(line, "floor")} ${textOf(line, "floorUnit")}`
    : "";
}

function figure(line: Line, field: string): string {
  const value = numberOf(line, field);
  return Number.isFinite(value) ? short(value) : "–";
}

interface TableSpec {
  readonly bench: string;
  readonly title: string;
  /** A line belongs in the table if it has this field. */
  readonly has: string;
  readonly columns: readonly string[];
}

const tableSpecs: readonly TableSpec[] = [
  {
    bench: "operators",
    title: "W2: stream operators",
    has: "recordsPerMs",
    columns: ["operator", "popularity", "store", "recordsPerMs", "min", "max", "ratio"],
  },
  {
    bench: "ycsb",
    title: "W3: YCSB",
    has: "callsPerMs",
    columns: [
      "workload",
      "valueBytes",
      "keys",
      "stateToMemory",
      "store",
      "callsPerMs",
      "min",
      "max",
      "ratio",
    ],
  },
  {
    bench: "db",
    title: "W4: db_bench",
    has: "microsecondsPerCall",
    columns: ["test", "store", "microsecondsPerCall", "min", "max", "ratio"],
  },
  {
    bench: "matrix",
    title: "W8: checkpoints",
    has: "durationMsP50",
    columns: [
      "stateBytes",
      "policy",
      "changesPerSecond",
      "keys",
      "intervalMs",
      "pauseMsP50",
      "durationMsP50",
      "durationMsMax",
      "newBytes",
      "referencedBytes",
      "cpuSeconds",
    ],
  },
  {
    bench: "matrix",
    title: "W8: growth of the duration for ten times the state",
    has: "durationFactorPerDecade",
    columns: ["slope", "durationFactorPerDecade"],
  },
  {
    bench: "latency",
    title: "W9: latency of records",
    has: "window",
    columns: ["policy", "load", "window", "records", "msP50", "msP99", "msP999", "msMax"],
  },
  {
    bench: "recovery",
    title: "W10: recovery",
    has: "msToFirstRecord",
    columns: [
      "stateBytes",
      "policy",
      "verification",
      "rounds",
      "msToFirstRecord",
      "processMs",
      "openMs",
      "verifiedMs",
      "firstCheckpointMs",
      "floor",
    ],
  },
  {
    bench: "amplification",
    title: "W12: amplification",
    has: "physicalBytesPerByte",
    columns: [
      "subject",
      "rate",
      "physicalBytesPerByte",
      "logicalBytesPerByte",
      "physicalBytesPerNetByte",
      "spaceAmplification",
      "seconds",
    ],
  },
  {
    bench: "load",
    title: "Load test: rounds",
    has: "round",
    columns: [
      "round",
      "recordsPerSecond",
      "checkpoints",
      "checkpointMsP50",
      "checkpointMsP99",
      "longestStallMs",
      "recordMsP999",
      "anonymousBytesMax",
    ],
  },
];

function tables(results: readonly BenchResult[]): string[] {
  return tableSpecs.flatMap(({ bench, title, has, columns }) => {
    const lines = linesOf(results, bench).filter((line) => has in line);
    if (lines.length === 0) return [];
    const rows = lines.map((line) =>
      columns.map((column) =>
        typeof line[column] === "number" ? short(numberOf(line, column)) : textOf(line, column),
      ),
    );
    return [`## ${title}`, "", ...table(columns, rows), ""];
  });
}

/** What the rivals' bench says beside its figures, each once. */
function unfairness(lines: readonly Line[]): string[] {
  const texts = new Set(
    lines.map(({ unfair }) => unfair).filter((text): text is string => typeof text === "string"),
  );
  if (texts.size === 0) return [];
  return [
    "## What makes comparisons with rivals unfair",
    "",
    ...[...texts].map((text) => `- ${text}`),
    "",
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${head.map((_, i) => (cells[i] ?? "").replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}
