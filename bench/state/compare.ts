// Measures one operation on several backends, repetition by repetition in turn.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Child } from "../support/child.ts";
import { progress } from "../support/command.ts";
import { type Spread, spreadOf } from "../support/statistics.ts";
import type { Assignment, BackendName, KeyType, Operation, Timing } from "./operations.ts";

export interface Figure {
  readonly backend: BackendName;
  readonly opsPerMs: Spread;
  readonly perRepetition: readonly number[];
}

export interface Schedule {
  readonly repetitions: number;
  readonly repetitionMs: number;
  readonly warmUpCalls: number;
  /** Keys whose state is compared, at most: a sample, since they come shuffled. */
  readonly checkedKeys: number;
}

interface Contestant {
  readonly backend: BackendName;
  readonly child: Child;
  readonly rates: number[];
}

let directories = 0;

/** Rejects if the backends do not end with the same state. */
export async function compare(
  operation: Operation,
  keyType: KeyType,
  backends: readonly BackendName[],
  schedule: Schedule,
  scratch: string,
): Promise<Figure[]> {
  const contestants = backends.map(enter);
  try {
    progress(`${operation.call} ${operation.keys} ${keyType}: state before`);
    const { checkedKeys } = schedule;
    await Promise.all(
      contestants.map(({ backend, child }) =>
        assign(child, scratch, { backend, operation, keyType, checkedKeys }),
      ),
    );
    await warmUp(contestants, operation, schedule);
    for (let repetition = 0; repetition < schedule.repetitions; repetition++) {
      await oneRound(contestants, operation, keyType, schedule, repetition);
    }
    await compareStates(contestants, operation);
  } finally {
    await Promise.all(contestants.map(({ child }) => child.close()));
  }
  return contestants.map(({ backend, rates }) => ({
    backend,
    opsPerMs: spreadOf(rates),
    perRepetition: rates,
  }));
}

function enter(backend: BackendName): Contestant {
  const module = new URL("./subject.process.js", import.meta.url);
  return { backend, child: new Child(module, ["--max-old-space-size=6144"]), rates: [] };
}

async function assign(
  child: Child,
  scratch: string,
  assignment: Omit<Assignment, "directory">,
): Promise<void> {
  const directory = join(scratch, `subject-${++directories}`);
  await mkdir(directory);
  await child.call("open", { ...assignment, directory } satisfies Assignment);
}

async function warmUp(
  contestants: readonly Contestant[],
  operation: Operation,
  schedule: Schedule,
): Promise<void> {
  for (const { child } of contestants) {
    if (operation.passCalls === undefined) await child.call("runTo", schedule.warmUpCalls);
    else await child.call("repetition", 0);
  }
  await requireEqual(contestants, operation, "after warming up");
}

async function oneRound(
  contestants: readonly Contestant[],
  operation: Operation,
  keyType: KeyType,
  schedule: Schedule,
  repetition: number,
): Promise<void> {
  for (const { backend, child, rates } of contestants) {
    progress(`${operation.call} ${operation.keys} ${keyType} ${backend}: ${repetition + 1}`);
    const { calls, ms } = await child.call<Timing>("repetition", schedule.repetitionMs);
    rates.push((calls * operation.unitsPerCall) / ms);
  }
}

/** Brings all to the same number of calls first. classic-level would need minutes: see `warmUp`. */
async function compareStates(
  contestants: readonly Contestant[],
  operation: Operation,
): Promise<void> {
  const compared = contestants.filter(({ backend }) => backend !== "classic-level");
  if (operation.passCalls === undefined) {
    let calls = 0;
    for (const { child } of compared) {
      calls = Math.max(calls, await child.call<number>("runTo", 0));
    }
    for (const { child } of compared) await child.call("runTo", calls);
  }
  await requireEqual(compared, operation, "at the end");
}

async function requireEqual(
  contestants: readonly Contestant[],
  operation: Operation,
  moment: string,
): Promise<void> {
  const checksums: string[] = [];
  for (const { child } of contestants) checksums.push(await child.call<string>("checksum"));
  if (new Set(checksums).size === 1) return;
  const list = contestants.map(({ backend }, i) => `${backend} ${checksums[i]}`).join(", ");
  throw new Error(`${operation.call}: the states differ ${moment}: ${list}`);
}
