// Checks what a transactional sink has committed: every record up to an offset, once, in its order.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Model } from "./model.ts";

export type OutputFault = "lost" | "duplicated" | "reordered" | "wrong" | "abortedRead" | "torn";

export interface OutputReport {
  readonly rows: number;
  readonly faults: ReadonlyMap<OutputFault, string>;
}

/**
 * `committed`: everything before this offset must be there. `restored`: nothing from this offset on may
 * be, since no completed checkpoint had it.
 */
export function checkOutput(
  directory: string,
  seed: number,
  committed: number,
  restored: number,
): OutputReport {
  const faults = new Map<OutputFault, string>();
  const fault = (kind: OutputFault, what: string): void => {
    if (!faults.has(kind)) faults.set(kind, what);
  };
  const model = new Model();
  const seen = new Set<number>();
  let rows = 0;
  let next = 0;
  for (const name of existsSync(directory) ? readdirSync(directory).sort() : []) {
    if (!name.endsWith(".csv")) continue;
    const text = readFileSync(join(directory, name), "utf8");
    if (text.length > 0 && !text.endsWith("\n")) fault("torn", `${name} ends within a row`);
    for (const line of text.split("\n").slice(0, -1)) {
      const [position = "", key = "", total = ""] = line.split(",");
      const offset = Number(position);
      rows++;
      if (seen.has(offset)) fault("duplicated", `${name}: ${offset}`);
      else if (offset < next) fault("reordered", `${name}: ${offset} after ${next - 1}`);
      else if (offset > next) fault("lost", `${name}: ${next} to ${offset - 1}`);
      if (offset >= restored) fault("abortedRead", `${name}: ${offset}, restored ${restored}`);
      seen.add(offset);
      while (next <= offset && next < restored) {
        const expected = model.apply(seed, next);
        if (next === offset && (expected.key !== key || String(expected.total) !== total)) {
          fault("wrong", `${name}: ${line} instead of ${JSON.stringify(expected)}`);
        }
        next++;
      }
    }
  }
  if (next < committed) fault("lost", `${next} to ${committed - 1}`);
  return { rows, faults };
}
