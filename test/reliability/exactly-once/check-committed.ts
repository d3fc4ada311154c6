// What readers of committed output may see of a bank: every side of every transfer up to an offset, once,
// each account's in its order, and never one side of a transfer without the other.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { OutputFault } from "../workload/output.ts";
import { accountKey, replay } from "./bank.ts";

/** `from`: before it all must be there; `to`: nothing from there on may be. */
export function checkCommitted(
  directories: readonly string[],
  seed: number,
  from: number,
  to: number,
): Map<OutputFault, string> {
  const faults = new Map<OutputFault, string>();
  const fault = (kind: OutputFault, what: string): void => {
    if (!faults.has(kind)) faults.set(kind, what);
  };
  const seen = new Map<number, string>();
  for (const directory of directories) {
    const last = new Map<string, number>();
    for (const [position, key, sequence] of rowsIn(directory, fault)) {
      if (seen.has(position)) fault("duplicated", `${directory}: ${position}`);
      if (position >= to * 2) fault("abortedRead", `${directory}: ${position} of ${to * 2}`);
      if (sequence <= (last.get(key) ?? 0)) fault("reordered", `${directory}: ${key}, ${sequence}`);
      last.set(key, sequence);
      seen.set(position, `${key} ${sequence}`);
    }
  }
  replay(seed, to, (position, account, sequence) => {
    const found = seen.get(position);
    if (found === undefined) {
      if (position < from * 2) fault("lost", `${position} of ${from * 2}`);
      else if (position % 2 === 1 && seen.has(position - 1)) fault("torn", `${position}`);
      return;
    }
    const expected = `${accountKey(account)} ${sequence}`;
    if (found !== expected) fault("wrong", `${position}: ${found} instead of ${expected}`);
    const other = position % 2 === 1 ? position - 1 : position + 1;
    if (!seen.has(other)) fault("torn", `${position} without ${other}`);
  });
  return faults;
}

type Fault = (kind: OutputFault, what: string) => void;

function* rowsIn(directory: string, fault: Fault): Generator<[number, string, number]> {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory).sort()) {
    if (!name.endsWith(".csv")) continue;
    const text = readFileSync(join(directory, name), "utf8");
    if (text !== "" && !text.endsWith("\n")) fault("torn", `${name} ends within a row`);
    for (const line of text.split("\n").slice(0, -1)) {
      const [position = "", key = "", sequence = ""] = line.split(",");
      yield [Number(position), key, Number(sequence)];
    }
  }
}
