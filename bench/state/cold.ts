// A4: cold read-modify-write against classic-level itself.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../../src/index.ts";
import { Child } from "../support/child.ts";
import { type Report, progress } from "../support/command.ts";
import { mean, spreadOf } from "../support/statistics.ts";
import type { ColdAssignment, ColdTiming } from "./cold.process.ts";

/** Value, row header and row key. */
const rowBytes = 116;
const stateToBudget = 8;
const asked = 0.8;

export interface ColdPlan {
  readonly memoryBudgetBytes: number;
  /** Share of the rows that is rewritten before anything counts. */
  readonly warmUpShare: number;
  readonly repetitions: number;
  readonly callsPerRepetition: number;
}

export const fullColdPlan: ColdPlan = {
  memoryBudgetBytes: 32 * MIB,
  warmUpShare: 1,
  repetitions: 7,
  callsPerRepetition: 200_000,
};

export const quickColdPlan: ColdPlan = {
  memoryBudgetBytes: 16 * MIB,
  warmUpShare: 0.1,
  repetitions: 5,
  callsPerRepetition: 30_000,
};

export async function measureCold(report: Report, plan: ColdPlan, scratch: string): Promise<void> {
  const keys = Math.floor((plan.memoryBudgetBytes * stateToBudget) / rowBytes);
  progress("cold read-modify-write: loading");
  const [ours, bare] = await Promise.all([
    start("lsm", plan, keys, scratch),
    start("classic-level", plan, keys, scratch),
  ]);
  try {
    const warmUpCalls = Math.ceil((keys * plan.warmUpShare) / 1000) * 1000;
    progress("cold read-modify-write: warming up");
    for (const child of [ours, bare]) await child.call("readModifyWrite", warmUpCalls);
    const rates: { ours: number; bare: number; coldShare: number }[] = [];
    for (let repetition = 0; repetition < plan.repetitions; repetition++) {
      progress(`cold read-modify-write: ${repetition + 1}`);
      const timing = await ours.call<ColdTiming>("readModifyWrite", plan.callsPerRepetition);
      const floor = await bare.call<ColdTiming>("readModifyWrite", plan.callsPerRepetition);
      rates.push({
        ours: timing.calls / timing.ms,
        bare: floor.calls / floor.ms,
        coldShare: timing.coldReads / timing.calls,
      });
    }
    if ((await ours.call("checksum", keys)) !== (await bare.call("checksum", keys))) {
      throw new Error("cold read-modify-write: the states differ");
    }
    print(report, plan, keys, rates);
  } finally {
    await Promise.all([ours.close(), bare.close()]);
  }
}

async function start(
  backend: ColdAssignment["backend"],
  plan: ColdPlan,
  keys: number,
  scratch: string,
): Promise<Child> {
  const directory = join(scratch, `cold-${backend}`);
  await mkdir(directory);
  const child = new Child(new URL("./cold.process.js", import.meta.url));
  const { memoryBudgetBytes } = plan;
  await child.call("open", {
    backend,
    directory,
    keys,
    memoryBudgetBytes,
  } satisfies ColdAssignment);
  return child;
}

function print(
  report: Report,
  plan: ColdPlan,
  keys: number,
  rates: readonly { ours: number; bare: number; coldShare: number }[],
): void {
  const ratios = spreadOf(rates.map(({ ours, bare }) => ours / bare));
  report.measure({
    id: "A4",
    name: "cold read-modify-write / bare getSync + batches of 1,000",
    value: ratios.median,
    asked: `>= ${asked}`,
    ok: ratios.median >= asked,
    unit: "ratio",
    ratio: ratios.median,
    floor: spreadOf(rates.map(({ bare }) => bare)).median,
    spread: ratios,
    details: {
      opsPerMs: spreadOf(rates.map(({ ours }) => ours)).median,
      floorUnit: "ops/ms",
      keys,
      memoryBudgetBytes: plan.memoryBudgetBytes,
      coldShare: mean(rates.map(({ coldShare }) => coldShare)),
    },
  });
}
