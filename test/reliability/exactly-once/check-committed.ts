// What readers of committed output may see of a bank: every side of every transfer up to an offset, once,
// each account's in its order, and never one side of a transfer without the other. Each sink commits for
// itself: until a job that died between two sinks' commits has been restored, sides may be apart that were
// written to different sinks.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { OutputFault } from "../workload/output.ts";
import { accountKey, replay, transferAt } from "./bank.ts";

export interface Committed {
  readonly directories: readonly string[];
  readonly seed: number;
  /** All before it must be there. */
  readonly from: number;
  /** Nothing from there on may be. */
  readonly to: number;
  /** The sink that a side of an account went to. */
  readonly sinkOf: (account: number) => number;
}

export function checkCommitted(committed: Committed): Map<OutputFault, string> {
  const { directories, seed, from, to, sinkOf } = committed;
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
  for (let at = 0; at < to; at++) {
    const { from: payer, to: payee } = transferAt(seed, at);
    const isWhole = seen.has(at * 2) === seen.has(at * 2 + 1);
    if (isWhole || sinkOf(payer) !== sinkOf(payee)) continue;
    fault("torn", `one side of transfer ${at} of account ${payer} to ${payee}`);
  }
  replay(seed, to, (position, account, sequence) => {
    const found = seen.get(position);
    if (found === undefined) {
      if (position < from * 2) fault("lost", `${position} of ${from * 2}`);
      return;
    }
    const expected = `${accountKey(account)} ${sequence}`;
    if (found !== expected) fault("wrong", `${position}: ${found} instead of ${expected}`);
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
