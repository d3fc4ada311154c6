// The figures of the ledger as they stand in docs/guarantees.md.
import { readFileSync, writeFileSync } from "node:fs";
import { format } from "prettier";
import type { PartReport } from "./ledger.ts";

const path = "docs/guarantees.md";
const begin = "<!-- Written by npm run reliability -- report --write -->";
const end = "<!-- End of what is written -->";

/** The page with these figures in it, as Prettier has it. */
export async function pageWith(page: string, reports: readonly PartReport[]): Promise<string> {
  const [start, stop] = [page.indexOf(begin), page.indexOf(end)];
  if (start < 0 || stop < start) throw new Error(`${path} has no place for the figures`);
  const table = [begin, "", ...tableOf(reports), "", ""].join("\n");
  return format(page.slice(0, start) + table + page.slice(stop), {
    parser: "markdown",
    printWidth: 100,
  });
}

function tableOf(reports: readonly PartReport[]): string[] {
  const rows = reports.map((report) => {
    const { part, trials, failures, trialsSinceFailure, asked, unit, also, to } = report;
    const figure = (count: number): string => count.toLocaleString("en-US");
    const besides =
      also === null ? "" : `; ${figure(also.count)} of ${figure(also.asked)} ${also.kind}`;
    const clean = failures === 0 ? trials : trialsSinceFailure;
    const bound = clean === 0 ? "–" : (3 / clean).toExponential(1);
    return `| \`${part}\` | ${figure(trials)} of ${figure(asked)} ${unit}${besides} | ${failures} | ${figure(clean)} | ${bound} | ${to?.slice(0, 10) ?? "–"} |`;
  });
  return [
    "| part | tried | failures | tried since the last one | bound | last |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ];
}

export async function writeFigures(reports: readonly PartReport[]): Promise<void> {
  writeFileSync(path, await pageWith(readFileSync(path, "utf8"), reports));
}
