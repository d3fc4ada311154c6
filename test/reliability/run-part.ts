// Runs a part: seeds in chunks, until the time is over or the seeds are through.
import { appendChunk, nextSeed } from "./ledger.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "./part.ts";

const CHUNK_MINUTES_MAX = 8;
const ALIKE_PRINTED_MAX = 4;

export interface RunOptions {
  readonly minutes: number | undefined;
  readonly seed: number | undefined;
  readonly seeds: number | undefined;
  readonly ledger: boolean;
  /** Ends with the first seed that failed. */
  readonly failFast: boolean;
}

export interface PartReport {
  readonly part: string;
  readonly trials: number;
  readonly failures: number;
  readonly kinds: Readonly<Record<string, number>>;
  /** The first one, and how many. */
  readonly seed: number;
  readonly seeds: number;
  readonly minutes: number;
  /** Null if it did not run. */
  readonly ok: boolean | null;
  readonly notRun?: string;
  readonly [detail: string]: unknown;
}

export async function runPart(part: Part, options: RunOptions): Promise<PartReport> {
  const seed = options.seed ?? (options.ledger ? nextSeed(part) : 1);
  const obstacle = part.obstacle?.();
  if (obstacle !== undefined) {
    const none = { trials: 0, failures: 0, kinds: {}, seed, seeds: 0, minutes: 0 };
    return { part: part.name, ...none, ok: null, notRun: `because ${obstacle}` };
  }
  const begun = performance.now();
  const run = await part.open();
  const total = new Tally();
  const seen = new Map<string, number>();
  let next = seed;
  let seeds = 0;
  let isStuck = false;
  try {
    const minutes = options.minutes ?? (options.seeds === undefined ? undefined : Infinity);
    let seedsLeft = options.seeds ?? (minutes === undefined ? part.sliceSeeds : Infinity);
    const endMs = begun + (minutes ?? Infinity) * 60_000;
    while (seedsLeft > 0 && performance.now() < endMs && !isStuck) {
      const chunkEndMs = Math.min(endMs, performance.now() + CHUNK_MINUTES_MAX * 60_000);
      const chunk = new Tally();
      const from = next;
      while (seedsLeft-- > 0 && !isStuck) {
        progress(`${part.name}: seed ${next}, ${total.trials + chunk.trials} ${part.unit}`);
        const result = await trialOf(part, run, next);
        isStuck = result === undefined;
        explain(part, next, result ?? stuck(part), seen);
        chunk.add(result ?? stuck(part));
        seeds++;
        next++;
        if (next > (part.lastSeed ?? Infinity)) break;
        if (performance.now() >= chunkEndMs) break;
        if (options.failFast && chunk.failures.length > 0) seedsLeft = 0;
      }
      total.add(chunk);
      const { trials, failures } = chunk;
      const range = [from, next - 1] as const;
      if (options.ledger) {
        const also = part.also === undefined ? {} : { also: chunk.kinds[part.also.kind] ?? 0 };
        appendChunk({ part: part.name, seeds: range, trials, failures: failures.length, ...also });
      }
      if (next > (part.lastSeed ?? Infinity)) {
        next = 1;
        if (seed === 1 || options.seeds === undefined) break; // Everything there is was tried.
      }
    }
  } finally {
    progress("");
    if (!isStuck) await run.close();
  }
  const failures = total.failures.length;
  return {
    part: part.name,
    trials: total.trials,
    failures,
    kinds: total.kinds,
    seed,
    seeds,
    minutes: Math.round((performance.now() - begun) / 600) / 100,
    ...run.details?.(),
    ok: failures === 0 && total.trials > 0,
  };
}

function stuck({ trialSecondsMax = 120 }: Part): TrialResult {
  const failures = [`stuck: no end after ${trialSecondsMax} s`];
  return { trials: 1, kinds: { stuck: 1 }, failures };
}

/** Undefined if it does not end. */
async function trialOf(part: Part, run: PartRun, seed: number): Promise<TrialResult | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, (part.trialSecondsMax ?? 120) * 1000, undefined);
  });
  try {
    return await Promise.race([run.trial(seed), late]);
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const tally = new Tally();
    tally.trials = 1;
    tally.fail("unexpected", what);
    return tally;
  } finally {
    clearTimeout(timer);
  }
}

/** One line for each failure; of those that begin alike, the first ones. */
function explain(part: Part, seed: number, result: TrialResult, seen: Map<string, number>): void {
  for (const failure of result.failures) {
    const beginning = failure.split(":", 2).join(":");
    const count = (seen.get(beginning) ?? 0) + 1;
    seen.set(beginning, count);
    if (count > ALIKE_PRINTED_MAX) continue;
    const command = `npm run reliability -- ${part.name} --seed ${seed} --seeds 1`;
    progress("");
    process.stderr.write(`FAILED ${part.name} seed ${seed}: ${failure} | again: ${command}\n`);
  }
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}
