// Contestants, each in a child process of its own, do the same calls in turns. There is no figure
// unless all end with the same checksum.
import { type Child } from "./child.ts";
import { progress } from "./command.ts";
import { type Spread, spreadOf } from "./statistics.ts";

export interface Timing {
  readonly calls: number;
  readonly ms: number;
}

/** Its process answers `run` with a number of calls to make, and `checksum`. */
export interface Contestant {
  readonly name: string;
  readonly child: Child;
}

export interface Standing {
  readonly name: string;
  readonly callsPerMs: Spread;
  readonly perRepetition: readonly number[];
}

export interface ContestPlan {
  readonly label: string;
  readonly repetitions: number;
  /** About what a repetition of the slowest takes. */
  readonly slowestMs: number;
  /** Made before anything counts, so that caches and files have their steady shape. @defaultValue 0 */
  readonly warmUpCalls?: number | undefined;
}

const trialCalls = 2000;
const callsAtMost = 500_000;

/** Rejects if the contestants do not end with the same checksum. */
export async function contest(
  contestants: readonly Contestant[],
  plan: ContestPlan,
): Promise<Standing[]> {
  const calls = await callsOfRepetition(contestants, plan);
  const rates = contestants.map((): number[] => []);
  for (let repetition = 0; repetition < plan.repetitions; repetition++) {
    for (const [i, { name, child }] of contestants.entries()) {
      progress(`${plan.label}: ${name}, ${repetition + 1} of ${plan.repetitions}`);
      const timing = await child.call<Timing>("run", calls);
      rates[i]!.push(timing.calls / timing.ms);
    }
  }
  await requireEqual(contestants, plan.label);
  return contestants.map(({ name }, i) => ({
    name,
    callsPerMs: spreadOf(rates[i]!),
    perRepetition: rates[i]!,
  }));
}

/** Doubles a trial, which is also the warm-up, until the slowest takes long enough. */
async function callsOfRepetition(
  contestants: readonly Contestant[],
  { label, slowestMs, warmUpCalls = 0 }: ContestPlan,
): Promise<number> {
  for (const { name, child } of contestants) {
    progress(`${label}: ${name}, warming up`);
    if (warmUpCalls > 0) await child.call<Timing>("run", warmUpCalls);
  }
  for (let calls = trialCalls; ; calls *= 2) {
    let slowest = 0;
    for (const { child } of contestants) {
      const { ms } = await child.call<Timing>("run", calls);
      slowest = Math.max(slowest, ms);
    }
    if (slowest >= slowestMs / 2 || calls >= callsAtMost) return calls;
  }
}

export async function requireEqual(
  contestants: readonly Contestant[],
  label: string,
): Promise<void> {
  const checksums: unknown[] = [];
  for (const { child } of contestants) checksums.push(await child.call("checksum"));
  if (new Set(checksums).size === 1) return;
  const list = contestants.map(({ name }, i) => `${name} ${String(checksums[i])}`).join(", ");
  throw new Error(`${label}: the results differ: ${list}`);
}

/** Ours in each repetition as a multiple of another's. */
export function ratioOf(ours: Standing, other: Standing): Spread {
  return spreadOf(ours.perRepetition.map((rate, i) => rate / other.perRepetition[i]!));
}
