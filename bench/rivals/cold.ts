// E4 and E5: read-modify-writes of rows most of which are not in memory, under one limit for all.
import { writeFileSync } from "node:fs";
import { mkdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MIB } from "../../src/index.ts";
import { progress } from "../support/command.ts";
import { xorshift32, zipfNumbers } from "../support/sequences.ts";
import { type Command, LineChild } from "./contestant.ts";
import { flinkCommand } from "./flink.ts";
import type { Installation, RivalSource } from "./install.ts";
import type { MeasureId } from "./measures.ts";
import { MemoryLimit } from "./memory-limit.ts";
import { nativeCommand, npmCommand } from "./native.ts";
import type { RivalTiming } from "./operations.ts";
import type { RivalReport } from "./rival-report.ts";
import { type Question, type Rates, differenceOf, notRunRow, ratioRow } from "./rows.ts";

export interface RowsAssignment {
  readonly subject: "rows";
  readonly backend: string;
  readonly keys: number;
  readonly valueBytes: number;
  /** For caches and write buffers together. */
  readonly managedBytes: number;
  readonly ingest: boolean;
  readonly prefetch: boolean;
  readonly directory: string;
}

const valueBytes = 1000;
/** Value, key, and what engines add. */
const rowBytes = 1016;
const stateToLimit = 8;
const draws = 2_000_000;
const diskFactor = 3;

interface Plan {
  /** Undefined: no limit but `managedBytes`, of which the state is eight times. */
  readonly limitBytes: number | undefined;
  readonly managedBytes: number;
  /** Calls before anything counts, and until compaction is at its pace. */
  readonly warmUpCalls: number;
  readonly repetitions: number;
  readonly callsPerRepetition: number;
  readonly isQuick: boolean;
}

const fullPlan: Plan = {
  limitBytes: 384 * MIB,
  managedBytes: 160 * MIB,
  warmUpCalls: 300_000,
  repetitions: 5,
  callsPerRepetition: 30_000,
  isQuick: false,
};
const quickPlan: Plan = {
  limitBytes: undefined,
  managedBytes: 16 * MIB,
  warmUpCalls: 10_000,
  repetitions: 3,
  callsPerRepetition: 5_000,
  isQuick: true,
};

interface Engine {
  readonly name: string;
  readonly backend: string;
  readonly source: RivalSource | "ours";
  readonly prefetch?: boolean;
  /** What is asked of Varve beside it, uniform and skewed; absent: for orientation. */
  readonly asked?: Readonly<Record<"E4" | "E5", number>>;
  readonly isInQuick?: boolean;
}

const engines: readonly Engine[] = [
  { name: "Varve", backend: "varve", source: "ours", isInQuick: true },
  {
    name: "Varve, rows of the next batch prefetched",
    backend: "varve",
    source: "ours",
    prefetch: true,
  },
  {
    name: "Flink RocksDB, managed memory",
    backend: "rocksdb",
    source: "flink",
    asked: { E4: 1, E5: 3 },
  },
  {
    name: "classic-level, getSync and batches of 1,000",
    backend: "classic-level",
    source: "npm",
    asked: { E4: 1, E5: 3 },
    isInQuick: true,
  },
  {
    name: "lmdb, transactions of 1,000",
    backend: "lmdb",
    source: "npm",
    asked: { E4: 0.5, E5: 1 },
  },
  { name: "RocksDB from C++", backend: "rocksdb", source: "native" },
  { name: "LevelDB from C++", backend: "leveldb", source: "native" },
];

interface Entered extends Engine {
  readonly child: LineChild;
  readonly limit: MemoryLimit;
  readonly rates: number[];
  failure: string | undefined;
}

export async function measureCold(
  report: RivalReport,
  installation: Installation,
  asked: readonly MeasureId[],
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const plan = isQuick ? quickPlan : fullPlan;
  const keys = Math.floor(((plan.limitBytes ?? plan.managedBytes) * stateToLimit) / rowBytes);
  const chosen = engines.filter((engine) => !isQuick || engine.isInQuick === true);
  const needed = keys * rowBytes * diskFactor * chosen.length;
  const { bavail, bsize } = await statfs(scratch);
  if (bavail * bsize < needed) {
    const because = `the disk has ${Math.floor((bavail * bsize) / 1e9)} GB free of ${Math.ceil(needed / 1e9)}`;
    for (const id of asked) report.row(notRunRow(questionOf(id, undefined), "all", because));
    return;
  }
  const directory = join(scratch, "cold");
  const entered: Entered[] = [];
  const absent = new Map<string, string>();
  try {
    for (const engine of chosen) {
      const absence =
        engine.source === "ours" ? undefined : await installation.absence(engine.source);
      if (absence !== undefined) absent.set(engine.name, absence);
      else entered.push(await enter(engine, plan, keys, join(directory, String(entered.length))));
    }
    for (const id of asked) {
      await measureDraws(entered, id as "E4" | "E5", plan, keys, directory);
      print(report, id as "E4" | "E5", plan, entered, absent);
    }
  } finally {
    await Promise.all(entered.map(({ child }) => child.close()));
    for (const { limit } of entered) limit.remove();
    await rm(directory, { recursive: true, force: true });
  }
}

function commandOf({ source, backend }: Engine): Command {
  if (source === "flink") {
    return flinkCommand({ heapMegabytes: 96, collector: "G1", isPreTouched: false });
  }
  if (source === "npm") return npmCommand(backend);
  if (source === "native") return nativeCommand(backend);
  const module = fileURLToPath(new URL("./cold-rows.process.js", import.meta.url));
  return { file: process.execPath, arguments: [module] };
}

async function enter(
  engine: Engine,
  plan: Plan,
  keys: number,
  directory: string,
): Promise<Entered> {
  await mkdir(directory, { recursive: true });
  const limit =
    plan.limitBytes === undefined
      ? undefined
      : MemoryLimit.create(plan.limitBytes, `${engine.source}-${engine.name}`);
  const command = commandOf(engine);
  const child = new LineChild(limit?.within(command) ?? command);
  const entered: Entered = {
    ...engine,
    child,
    limit: limit ?? MemoryLimit.none("a quick run"),
    rates: [],
    failure: undefined,
  };
  const assignment: RowsAssignment = {
    subject: "rows",
    backend: engine.backend,
    keys,
    valueBytes,
    managedBytes: plan.managedBytes,
    ingest: false,
    prefetch: engine.prefetch === true,
    directory,
  };
  await attempt(entered, async () => {
    await child.call("open", assignment);
    progress(`cold: loading ${engine.name}`);
    await child.call("load");
  });
  return entered;
}

/** One that fails, killed at its limit for example, says so in its row; the others go on. */
async function attempt(entered: Entered, body: () => Promise<void>): Promise<void> {
  if (entered.failure !== undefined) return;
  try {
    await body();
  } catch (error) {
    entered.failure = error instanceof Error ? error.message : String(error);
  }
}

async function measureDraws(
  entered: readonly Entered[],
  id: "E4" | "E5",
  plan: Plan,
  keys: number,
  directory: string,
): Promise<void> {
  const path = join(directory, `${id}.draws`);
  const numbers = id === "E4" ? uniformNumbers(keys, draws) : zipfNumbers(keys, draws, 0.99, 48);
  writeFileSync(path, new Uint8Array(numbers.buffer));
  for (const one of entered) {
    one.rates.length = 0;
    progress(`${id}: warming up ${one.name}`);
    await attempt(one, async () => {
      await one.child.call("draws", { path });
      await one.child.call("readModifyWrite", { calls: plan.warmUpCalls });
    });
  }
  for (let repetition = 0; repetition < plan.repetitions; repetition++) {
    for (const one of entered) {
      progress(`${id}: ${one.name}, ${repetition + 1} of ${plan.repetitions}`);
      await attempt(one, async () => {
        const calls = plan.callsPerRepetition;
        const timing = await one.child.call<RivalTiming>("readModifyWrite", { calls });
        one.rates.push(timing.ops / timing.millis);
      });
    }
  }
  await requireEqual(entered);
}

/** All made the same calls. Reads every 211th row. */
async function requireEqual(entered: readonly Entered[]): Promise<void> {
  const checksums: { name: string; checksum: string }[] = [];
  for (const one of entered) {
    await attempt(one, async () => {
      const checksum = await one.child.call<number>("checksum", { every: 211 });
      checksums.push({ name: one.name, checksum: String(checksum) });
    });
  }
  const difference = differenceOf(checksums);
  if (difference === undefined) return;
  for (const one of entered) one.failure ??= difference;
}

function uniformNumbers(count: number, length: number): Int32Array {
  let x = 47;
  return Int32Array.from({ length }, () => {
    x = xorshift32(x);
    return (x >>> 0) % count;
  });
}

function questionOf(id: MeasureId, asked: number | undefined): Question {
  return {
    id,
    name: `cold read-modify-write, state 8 × memory, ${id === "E4" ? "uniform" : "zipf 0.99"}`,
    asked: asked ?? null,
    bound: asked === undefined ? null : "at least",
    figuresUnit: "calls/ms",
  };
}

function print(
  report: RivalReport,
  id: "E4" | "E5",
  plan: Plan,
  entered: readonly Entered[],
  absent: ReadonlyMap<string, string>,
): void {
  const mine = entered.find(({ backend, prefetch }) => backend === "varve" && prefetch !== true)!;
  for (const engine of engines) {
    if (engine.backend === "varve" && engine.prefetch !== true) continue;
    if (plan.isQuick && engine.isInQuick !== true) continue;
    const question = questionOf(id, engine.asked?.[id]);
    const one = entered.find(({ name }) => name === engine.name);
    const because = absent.get(engine.name) ?? mine.failure ?? one?.failure;
    if (one === undefined || because !== undefined) {
      report.row(notRunRow(question, engine.name, because ?? "it did not take part"));
      continue;
    }
    const ratesOf = ({ name, rates }: Entered): Rates => ({ name, perRepetition: rates });
    const details = { limit: one.limit.description, managedBytes: plan.managedBytes };
    report.row(ratioRow(question, ratesOf(mine), ratesOf(one), details));
  }
}
