import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Report } from "../support/command.ts";
import { type MeasureId, unfairness } from "./measures.ts";
import type { RivalRow } from "./rows.ts";

/** Prints rows as they come, and keeps them below native-bench/out. */
export class RivalReport {
  readonly path: string;
  readonly #report: Report;
  readonly #isQuick: boolean;
  readonly #isJson: boolean;
  /** Rows whose bound does not hold. */
  missed = 0;
  notRun = 0;

  constructor(isJson: boolean, isQuick: boolean, directory: string) {
    this.#report = new Report(isJson);
    this.#isJson = isJson;
    this.#isQuick = isQuick;
    mkdirSync(directory, { recursive: true });
    const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
    this.path = join(directory, `${stamp}.jsonl`);
  }

  row(row: RivalRow): void {
    if (row.ok === false) this.missed++;
    if (row.notRun !== undefined) this.notRun++;
    const { details, ...rest } = row;
    const unfair = this.#isJson ? unfairness[row.id as MeasureId] : undefined;
    this.line({ ...rest, ...details, ...(this.#isQuick ? { quick: true } : {}), unfair });
  }

  line(fields: Readonly<Record<string, unknown>>): void {
    appendFileSync(this.path, `${JSON.stringify(fields)}\n`);
    this.#report.line(fields);
  }
}
