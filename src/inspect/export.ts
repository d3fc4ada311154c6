// A checkpoint as text.
import { InvalidArgumentError } from "../errors.ts";
import type { CheckpointView, ScanOptions } from "./checkpoint-view.ts";
import { csvHeaderOf, csvLinesOf } from "./csv-text.ts";
import { jsonLineOf } from "./json-text.ts";
import { opened } from "./open-checkpoint.ts";

export interface ExportOptions extends ScanOptions {
  /** `jsonl`: an object a line, exact. `csv`: for one state, types are lost. @defaultValue "jsonl" */
  readonly format?: "jsonl" | "csv" | undefined;
  /** @defaultValue all, by name */
  readonly states?: readonly string[] | undefined;
}

/** Whole lines, with their ends. */
export async function* exportCheckpoint(
  view: CheckpointView,
  options: ExportOptions = {},
): AsyncGenerator<string, void, void> {
  const open = opened(view);
  const { format = "jsonl", states, ...scan } = options;
  const names = states ?? view.states().map(({ name }) => name);
  if (format === "jsonl") {
    for (const name of names) {
      const { schema } = open.decoderOf(name);
      for await (const entry of view.scan(name, scan)) yield `${jsonLineOf(entry, schema)}\n`;
    }
    return;
  }
  if (format !== "csv") {
    throw new InvalidArgumentError(`format is "jsonl" or "csv", got ${JSON.stringify(format)}`);
  }
  const [name] = names;
  if (name === undefined || names.length > 1) {
    throw new InvalidArgumentError(
      `CSV has the columns of one state: name one of ${names.map((one) => JSON.stringify(one)).join(", ") || "none"}`,
    );
  }
  const decoder = open.decoderOf(name);
  yield `${csvHeaderOf(decoder)}\r\n`;
  for await (const entry of view.scan(name, scan)) {
    for (const text of csvLinesOf(entry, decoder)) yield `${text}\r\n`;
  }
}
