// npm run bench:state -- --json
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Child } from "./support/child.ts";
import { Report, progress, readArguments, withScratch } from "./support/command.ts";
import { type Spread, spreadOf } from "./support/statistics.ts";
import type { Allocation } from "./state/allocation.process.ts";
import { fullColdPlan, measureCold, quickColdPlan } from "./state/cold.ts";
import { type Figure, type Schedule, compare } from "./state/compare.ts";
import {
  type BackendName,
  type KeyType,
  type Operation,
  isValueCall,
  keyTypes,
  operations,
} from "./state/operations.ts";

const help = `Usage: npm run bench:state -- [--json] [--quick] [--only A3,A4,valueGet,...] [--help]

State operations through the public API on the lsm and the memory backend, beside a bare Map and
classic-level itself, all in one run, repetition by repetition in turn; and the measures A1 to A4.
Operations per millisecond; for mapIterate entries per millisecond.

  --json    one JSON object a line
  --quick   only what the measures need, or what is named, short repetitions: under a minute
  --only    only these operations and measures (A3, A4)
`;

const fullSchedule: Schedule = {
  repetitions: 5,
  repetitionMs: 150,
  warmUpCalls: 600_000,
  checkedKeys: 150_000,
};
/** What the asked ratios rest on gets longer repetitions. */
const ratedSchedule: Schedule = {
  ...fullSchedule,
  repetitions: 9,
  repetitionMs: 300,
  warmUpCalls: 1_500_000,
};
const quickSchedule: Schedule = { ...fullSchedule, repetitionMs: 200, checkedKeys: 50_000 };

const ratedCollections: readonly string[] = ["listAdd", "mapPut", "mapGet"];
const askedOfMap: Readonly<Record<KeyType, number>> = { number: 0.8, string20: 1.6 };
const askedOfCollections = 0.5;

class StateBench {
  readonly #report: Report;
  readonly #isQuick: boolean;
  readonly #only: readonly string[] | undefined;
  readonly #scratch: string;
  /** A1's figure for numbers. */
  #numberRate: Spread | undefined;

  constructor(
    report: Report,
    isQuick: boolean,
    only: readonly string[] | undefined,
    scratch: string,
  ) {
    this.#report = report;
    this.#isQuick = isQuick;
    this.#only = only;
    this.#scratch = scratch;
  }

  /** Whether all could be measured. */
  async run(): Promise<boolean> {
    let isWhole = true;
    for (const operation of operations) {
      if (!this.#isChosen(operation.call)) continue;
      for (const keyType of keyTypes) {
        const isNamed = this.#only !== undefined;
        if (this.#isQuick && !isNamed && !isQuickOperation(operation, keyType)) continue;
        isWhole = (await this.#attempt(() => this.#operation(operation, keyType))) && isWhole;
      }
    }
    if (this.#isChosen("A3")) {
      isWhole = (await this.#attempt(() => this.#allocation())) && isWhole;
    }
    if (this.#isChosen("A4")) {
      const plan = this.#isQuick ? quickColdPlan : fullColdPlan;
      const cold = (): Promise<void> => measureCold(this.#report, plan, this.#scratch);
      isWhole = (await this.#attempt(cold)) && isWhole;
    }
    return isWhole;
  }

  #isChosen(name: string): boolean {
    return this.#only === undefined || this.#only.includes(name);
  }

  /** What cannot be measured is said, and the rest goes on. */
  async #attempt(body: () => Promise<void>): Promise<boolean> {
    try {
      await body();
      return true;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#report.line({ bench: "state", error: message });
      return false;
    }
  }

  async #operation(operation: Operation, keyType: KeyType): Promise<void> {
    const isRated =
      operation.keys === 500_000 &&
      (operation.call === "valueReadModifyWrite" || ratedCollections.includes(operation.call));
    const thorough = isRated ? ratedSchedule : fullSchedule;
    const schedule = this.#isQuick ? quickSchedule : thorough;
    const contestants = contestantsOf(operation, this.#isQuick);
    const figures = await compare(operation, keyType, contestants, schedule, this.#scratch);
    for (const figure of figures) this.#print(operation, keyType, figure);
    if (!isRated) return;
    if (operation.call === "valueReadModifyWrite") this.#rateValues(keyType, figures);
    else if (keyType === "number") this.#rateCollection(operation, figures);
  }

  #print(operation: Operation, keyType: KeyType, { backend, opsPerMs }: Figure): void {
    this.#report.line({
      bench: "state",
      backend,
      op: operation.call,
      keyType,
      keys: operation.keys,
      opsPerMs: opsPerMs.median,
      min: opsPerMs.min,
      max: opsPerMs.max,
    });
  }

  #rateValues(keyType: KeyType, figures: readonly Figure[]): void {
    const ours = figureOf(figures, "lsm");
    const map = figureOf(figures, "map");
    const ratios = spreadOf(ours.perRepetition.map((rate, i) => rate / map.perRepetition[i]!));
    if (keyType === "number") this.#numberRate = ours.opsPerMs;
    this.#report.measure({
      id: "A1",
      name: `value read-modify-write, ${keyType} keys / Map`,
      value: ratios.median,
      asked: `>= ${askedOfMap[keyType]}`,
      ok: ratios.median >= askedOfMap[keyType],
      unit: "ratio",
      floor: map.opsPerMs.median,
      ratio: ratios.median,
      spread: ratios,
      details: { keyType, opsPerMs: ours.opsPerMs.median, floorUnit: "ops/ms" },
    });
  }

  #rateCollection(operation: Operation, figures: readonly Figure[]): void {
    const base = this.#numberRate?.median;
    if (base === undefined) return;
    const { opsPerMs } = figureOf(figures, "lsm");
    const ratio = opsPerMs.median / base;
    this.#report.measure({
      id: "A2",
      name: `${operation.call} / A1's figure for number keys`,
      value: ratio,
      asked: `>= ${askedOfCollections}`,
      ok: ratio >= askedOfCollections,
      unit: "ratio",
      floor: base,
      ratio,
      spread: { median: ratio, min: opsPerMs.min / base, max: opsPerMs.max / base },
      details: { op: operation.call, opsPerMs: opsPerMs.median, floorUnit: "ops/ms" },
    });
  }

  async #allocation(): Promise<void> {
    const runs: Allocation[] = [];
    for (let run = 0; run < (this.#isQuick ? 1 : 5); run++) {
      progress(`allocation: ${run + 1}`);
      const directory = join(this.#scratch, `allocation-${run}`);
      await mkdir(directory);
      runs.push(await allocationIn(directory));
    }
    const perUpdate = spreadOf(runs.map(({ bytesPerUpdate }) => bytesPerUpdate));
    const floor = spreadOf(runs.map(({ floorBytesPerUpdate }) => floorBytesPerUpdate)).median;
    this.#report.measure({
      id: "A3",
      name: "heap bytes allocated per hot numeric update",
      value: perUpdate.median,
      asked: "0 (below 0.01: the measuring itself allocates)",
      ok: perUpdate.median < 0.01,
      unit: "bytes",
      floor,
      spread: perUpdate,
      details: {
        updates: runs[0]!.updates,
        externalBytes: Math.max(...runs.map(({ externalBytes }) => externalBytes)),
        collections: Math.max(...runs.map(({ collections }) => collections)),
      },
    });
  }
}

async function allocationIn(directory: string): Promise<Allocation> {
  const module = new URL("./state/allocation.process.js", import.meta.url);
  const child = new Child(module, ["--expose-gc", "--max-semi-space-size=64"]);
  try {
    return await child.call<Allocation>("measure", directory);
  } finally {
    await child.close();
  }
}

function contestantsOf(operation: Operation, isQuick: boolean): readonly BackendName[] {
  if (isQuick) return ["lsm", "map"];
  return isValueCall(operation.call)
    ? ["lsm", "map", "memory", "classic-level"]
    : ["lsm", "map", "memory"];
}

function isQuickOperation(operation: Operation, keyType: KeyType): boolean {
  if (operation.keys !== 500_000) return false;
  if (operation.call === "valueReadModifyWrite") return true;
  return keyType === "number" && ratedCollections.includes(operation.call);
}

function figureOf(figures: readonly Figure[], backend: BackendName): Figure {
  const figure = figures.find((one) => one.backend === backend);
  if (figure === undefined) throw new Error(`${backend} was not measured`);
  return figure;
}

const { json, quick, only } = readArguments(help);
const isWhole = await withScratch((scratch) =>
  new StateBench(new Report(json), quick, only, scratch).run(),
);
if (!isWhole) process.exitCode = 1;
