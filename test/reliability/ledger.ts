// docs/reliability-ledger.jsonl: one line a chunk, only ever appended to. Totals are claimed from it.
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { Part } from "./part.ts";

const path = "docs/reliability-ledger.jsonl";

export interface Chunk {
  readonly commit: string;
  readonly part: string;
  /** First and last, both inclusive. */
  readonly seeds: readonly [from: number, to: number];
  readonly trials: number;
  readonly failures: number;
  /** Of the kind that the part is asked for besides; chunks of before it was told have none. */
  readonly also?: number;
  /** UTC. */
  readonly date: string;
}

export function readLedger(): Chunk[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Chunk);
}

export function appendChunk(chunk: Omit<Chunk, "commit" | "date">): void {
  const date = new Date().toISOString().slice(0, 19) + "Z";
  const { part, seeds, trials, failures, ...also } = chunk;
  const line: Chunk = { commit: currentCommit(), part, seeds, trials, failures, ...also, date };
  appendFileSync(path, `${JSON.stringify(line)}\n`);
}

/** A chunk goes on where the last one of its part ended. */
export function nextSeed(part: Part): number {
  const last = readLedger().findLast((chunk) => chunk.part === part.name);
  const next = (last?.seeds[1] ?? 0) + 1;
  return part.lastSeed === undefined ? next : ((next - 1) % part.lastSeed) + 1;
}

/** Of what is tried; with a plus if sources differ from it. */
function currentCommit(): string {
  const git = (...args: string[]): string =>
    spawnSync("git", args, { encoding: "utf8" }).stdout?.trim() ?? "";
  const isChanged = git("status", "--porcelain", "--", "src", "test/reliability") !== "";
  return `${git("rev-parse", "--short=12", "HEAD") || "unknown"}${isChanged ? "+" : ""}`;
}

export interface PartReport {
  readonly part: string;
  readonly trials: number;
  readonly failures: number;
  /** 95 % upper bound of the odds of a failure in one trial: 3/n, if none was seen. */
  readonly bound: number | null;
  /** After the last chunk with a failure; all, if none failed. Claims nothing: whether its cause is fixed is not known here. */
  readonly trialsSinceFailure: number;
  readonly asked: number;
  readonly unit: string;
  readonly also: { readonly kind: string; readonly count: number; readonly asked: number } | null;
  readonly reached: boolean;
  readonly commits: number;
  readonly to: string | null;
}

/** Totals of all chunks, failures included: what was fixed since stays in the ledger. */
export function reportOf(parts: readonly Part[]): PartReport[] {
  const ledger = readLedger();
  return parts.map(({ name, asked, unit, also: wanted }) => {
    const chunks = ledger.filter((chunk) => chunk.part === name);
    const sum = (of: (chunk: Chunk) => number): number =>
      chunks.reduce((total, chunk) => total + of(chunk), 0);
    const trials = sum((chunk) => chunk.trials);
    const failures = sum((chunk) => chunk.failures);
    const count = sum((chunk) => chunk.also ?? 0);
    const also = wanted === undefined ? null : { ...wanted, count };
    const lastFailed = chunks.findLastIndex((chunk) => chunk.failures > 0);
    const trialsSinceFailure = chunks
      .slice(lastFailed + 1)
      .reduce((total, chunk) => total + chunk.trials, 0);
    return {
      part: name,
      trials,
      failures,
      bound: failures === 0 && trials > 0 ? 3 / trials : null,
      trialsSinceFailure,
      asked,
      unit,
      also,
      reached: trials >= asked && count >= (wanted?.asked ?? 0) && failures === 0,
      commits: new Set(chunks.map(({ commit }) => commit)).size,
      to: chunks.at(-1)?.date ?? null,
    };
  });
}
