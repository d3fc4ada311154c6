// E1, E2, E3 and the further engines: state operations, all contestants in turns, repetition by repetition.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../../src/index.ts";
import { progress } from "../support/command.ts";
import { type Contestant, LineChild, OwnChild } from "./contestant.ts";
import { flinkCommand } from "./flink.ts";
import type { Installation, RivalSource } from "./install.ts";
import type { MeasureId } from "./measures.ts";
import { nativeCommand, npmCommand } from "./native.ts";
import {
  type OperationAssignment,
  type RivalChecksum,
  type RivalOperation,
  type RivalTiming,
  countsCalls,
  rivalOperations,
  wholeCycleCalls,
} from "./operations.ts";
import type { RivalReport } from "./rival-report.ts";
import { type Question, type Rates, bestOf, differenceOf, notRunRow, ratioRow } from "./rows.ts";

const ours = "Varve";

const furtherOperations: readonly string[] = [
  "valueGet",
  "valueUpdate",
  "valueRmw500k",
  "valueRmw10k",
];
const furtherManagedBytes = 512 * MIB;

/** Who takes part, by the measures that ask for it. */
interface Entrant {
  readonly name: string;
  readonly measures: readonly MeasureId[];
  readonly source: RivalSource | "ours";
  readonly backend: string;
  readonly managedBytes: number;
  readonly isInQuick: boolean;
  readonly start: () => Contestant;
}

function own(name: string, backend: string, measures: readonly MeasureId[]): Entrant {
  const module = new URL("./operations.process.js", import.meta.url);
  const start = (): Contestant => new OwnChild(module, ["--max-old-space-size=6144"]);
  return { name, measures, source: "ours", backend, managedBytes: 0, isInQuick: true, start };
}

type FlinkSetting = Pick<Entrant, "backend" | "managedBytes" | "isInQuick">;

function flink(
  name: string,
  measure: MeasureId,
  collector: "G1" | "Parallel",
  setting: FlinkSetting,
): Entrant {
  const isPreTouched = setting.backend === "heap";
  const start = (): Contestant =>
    new LineChild(flinkCommand({ heapMegabytes: 4096, collector, isPreTouched }));
  return { name, measures: [measure], source: "flink", ...setting, start };
}

function further(
  name: string,
  source: "npm" | "native",
  backend: string,
  isInQuick = false,
): Entrant {
  const command = source === "npm" ? npmCommand(backend) : nativeCommand(backend);
  const start = (): Contestant => new LineChild(command);
  const managedBytes = furtherManagedBytes;
  return { name, measures: ["further"], source, backend, managedBytes, isInQuick, start };
}

const entrants: readonly Entrant[] = [
  own(ours, "varve", ["E1", "E2", "E3", "further"]),
  own("JavaScript Map", "map", ["E3", "further"]),
  flink("Flink RocksDB, default", "E1", "G1", {
    backend: "rocksdb",
    managedBytes: 0,
    isInQuick: false,
  }),
  flink("Flink RocksDB, managed 256 MB", "E1", "G1", {
    backend: "rocksdb",
    managedBytes: 256 * MIB,
    isInQuick: true,
  }),
  flink("Flink heap, G1", "E2", "G1", { backend: "heap", managedBytes: 0, isInQuick: false }),
  flink("Flink heap, parallel collector", "E2", "Parallel", {
    backend: "heap",
    managedBytes: 0,
    isInQuick: true,
  }),
  further("memory-level", "npm", "memory-level"),
  further("lmdb, transactions of 1,000", "npm", "lmdb", true),
  further("better-sqlite3, transactions of 1,000", "npm", "better-sqlite3"),
  further("classic-level, getSync and batches of 1,000", "npm", "classic-level"),
  further("level, getSync and batches of 1,000", "npm", "level"),
  further("RocksDB from C++", "native", "rocksdb"),
  further("LevelDB from C++", "native", "leveldb"),
];

interface Schedule {
  readonly repetitions: number;
  readonly repetitionMs: number;
  /** Calls after which all states are compared first. */
  readonly gateCalls: number;
  readonly warmUpMs: number;
  readonly checkedKeys: number;
}

const fullSchedule: Schedule = {
  repetitions: 5,
  repetitionMs: 500,
  gateCalls: 500_000,
  warmUpMs: 1500,
  checkedKeys: 100_000,
};
const quickSchedule: Schedule = {
  repetitions: 3,
  repetitionMs: 150,
  gateCalls: 50_000,
  warmUpMs: 300,
  checkedKeys: 20_000,
};
const quickKeys = 100_000;
/** What a quick run measures, unless operations are named. */
function quickOperationOf(id: MeasureId): string {
  return id === "further" ? "valueRmw500k" : "stringRmw500k/fresh";
}

interface Running extends Entrant {
  readonly child: Contestant;
  readonly rates: number[];
}

export async function measureOperations(
  report: RivalReport,
  installation: Installation,
  asked: readonly MeasureId[],
  chosen: readonly string[] | undefined,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  for (const operation of rivalOperations) {
    if (chosen?.includes(operation.name) === false) continue;
    const isTaken = (id: MeasureId): boolean =>
      !isQuick || chosen !== undefined || quickOperationOf(id) === operation.name;
    const groups = asked.filter((id) => concerns(id, operation) && isTaken(id));
    if (groups.length === 0) continue;
    const directory = join(scratch, operation.name.replaceAll("/", "-"));
    // Fewer keys: RocksDB takes seconds for a cycle.
    const measured = isQuick
      ? { ...operation, keys: Math.min(operation.keys, quickKeys) }
      : operation;
    await measureOne(report, installation, measured, groups, isQuick, directory);
    await rm(directory, { recursive: true, force: true });
  }
}

/** E3 is about one operation, whose keys are made per record; the further engines have values only. */
function concerns(id: MeasureId, { name }: RivalOperation): boolean {
  if (id === "E3") return name === "stringRmw500k/fresh";
  return id !== "further" || furtherOperations.includes(name);
}

async function measureOne(
  report: RivalReport,
  installation: Installation,
  operation: RivalOperation,
  groups: readonly MeasureId[],
  isQuick: boolean,
  directory: string,
): Promise<void> {
  const running: Running[] = [];
  const absent = new Map<string, string>();
  try {
    for (const entrant of entrants) {
      const isChosen = entrant.measures.some((id) => groups.includes(id));
      if (!isChosen || (isQuick && !entrant.isInQuick)) continue;
      const absence =
        entrant.source === "ours" ? undefined : await installation.absence(entrant.source);
      if (absence !== undefined) absent.set(entrant.name, absence);
      else running.push({ ...entrant, child: entrant.start(), rates: [] });
    }
    const schedule = isQuick ? quickSchedule : fullSchedule;
    await measureAll(running, operation, schedule, directory);
    print(report, operation, groups, running, absent, isQuick);
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    for (const id of groups) report.row(notRunRow(questionOf(operation, id), "all", because));
  } finally {
    await Promise.all(running.map(({ child }) => child.close()));
  }
}

async function measureAll(
  running: readonly Running[],
  operation: RivalOperation,
  schedule: Schedule,
  directory: string,
): Promise<void> {
  // One after the other: the memory of the machine takes the fills of all, its two cores do not.
  for (const [index, entrant] of running.entries()) {
    progress(`${operation.name}: state before, ${entrant.name}`);
    const own = join(directory, String(index));
    await mkdir(own, { recursive: true });
    await attempt(entrant, () => entrant.child.call("open", assignmentOf(operation, entrant, own)));
  }
  for (const entrant of running) {
    progress(`${operation.name}: warming up, ${entrant.name}`);
    const body = (): Promise<unknown> => warmUp(entrant.child, operation, schedule);
    await attempt(entrant, body);
  }
  await requireEqual(running, schedule, 0);
  for (const entrant of running) {
    const millis = schedule.warmUpMs;
    await attempt(entrant, () => entrant.child.call("repetition", { millis }));
  }
  for (let repetition = 0; repetition < schedule.repetitions; repetition++) {
    for (const entrant of running) {
      progress(`${operation.name}: ${entrant.name}, ${repetition + 1} of ${schedule.repetitions}`);
      const fields = { millis: schedule.repetitionMs };
      const timing = await attempt(entrant, () =>
        entrant.child.call<RivalTiming>("repetition", fields),
      );
      entrant.rates.push((timing.ops * operation.unitsPerCall) / timing.millis);
    }
  }
  await compareAtEnd(running, operation, schedule);
}

async function attempt<R>(entrant: Running, body: () => Promise<R>): Promise<R> {
  try {
    return await body();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`${entrant.name}: ${text}`, { cause: error });
  }
}

function assignmentOf(
  { name, keys, passCalls, fresh }: RivalOperation,
  { backend, managedBytes }: Entrant,
  directory: string,
): OperationAssignment {
  const subject = "operations";
  return { subject, operation: name, keys, passCalls, fresh, backend, managedBytes, directory };
}

function warmUp(
  child: Contestant,
  operation: RivalOperation,
  { gateCalls }: Schedule,
): Promise<unknown> {
  if (operation.passCalls > 0) return child.call("repetition", { millis: 0 });
  return child.call("runTo", { calls: gateCalls });
}

/**
 * The contestants have made different numbers of calls by now. At a whole number of cycles the state
 * no longer depends on it, but for what counts calls: there every key has the number of cycles, which is
 * subtracted. Sums do depend on it for ever, so reducing state is compared before only.
 */
async function compareAtEnd(
  running: readonly Running[],
  operation: RivalOperation,
  schedule: Schedule,
): Promise<void> {
  if (operation.passCalls > 0) return requireEqual(running, schedule, 0);
  if (operation.name.startsWith("reducing")) return;
  const bases = new Map<string, number>();
  for (const entrant of running) {
    progress(`${operation.name}: comparing, ${entrant.name}`);
    const made = await entrant.child.call<number>("runTo", { calls: 0 });
    const cycle = countsCalls(operation.name) ? operation.keys : wholeCycleCalls;
    const calls = Math.ceil(made / cycle) * cycle;
    await entrant.child.call("runTo", { calls });
    bases.set(entrant.name, countsCalls(operation.name) ? calls / operation.keys : 0);
  }
  await requireEqual(running, schedule, bases);
}

async function requireEqual(
  running: readonly Running[],
  schedule: Schedule,
  bases: number | ReadonlyMap<string, number>,
): Promise<void> {
  const checksums: { name: string; checksum: string }[] = [];
  for (const { name, child } of running) {
    const isStart = typeof bases === "number";
    const base = isStart ? bases : bases.get(name)!;
    const keys = schedule.checkedKeys;
    const { state, sum } = await child.call<RivalChecksum>("checksum", { keys, base });
    checksums.push({ name, checksum: isStart ? `${state}/${sum.toPrecision(10)}` : `${state}` });
  }
  const difference = differenceOf(checksums);
  if (difference !== undefined) throw new Error(difference);
}

function questionOf(operation: RivalOperation, id: MeasureId): Question {
  const bound = "at least";
  const figuresUnit = operation.unitsPerCall === 1 ? "calls/ms" : "entries/ms";
  const { name } = operation;
  if (id === "E1") return { id, name, asked: operation.askedOfRocksdb, bound, figuresUnit };
  if (id === "E2") return { id, name, asked: operation.askedOfHeap, bound, figuresUnit };
  if (id === "E3") return { id, name, asked: 1.6, bound, figuresUnit };
  return { id, name, asked: null, bound: null, figuresUnit };
}

function print(
  report: RivalReport,
  operation: RivalOperation,
  groups: readonly MeasureId[],
  running: readonly Running[],
  absent: ReadonlyMap<string, string>,
  isQuick: boolean,
): void {
  const mine = ratesOf(running.find(({ name }) => name === ours)!);
  for (const id of groups) {
    const question = questionOf(operation, id);
    const asked = entrants.filter(
      ({ name, measures, isInQuick }) =>
        name !== ours && measures.includes(id) && (!isQuick || isInQuick),
    );
    for (const { name } of asked) {
      const because = absent.get(name);
      if (because !== undefined) report.row(notRunRow(question, name, because));
    }
    const rivals = running.filter(({ name }) => asked.some((one) => one.name === name));
    if (id === "further") {
      for (const rival of rivals) report.row(ratioRow(question, mine, ratesOf(rival)));
    } else printBest(report, question, mine, rivals.map(ratesOf));
  }
}

function ratesOf({ name, rates }: Running): Rates {
  return { name, perRepetition: rates };
}

/** Beside the better of a rival's settings, with the ratio to the other. */
function printBest(
  report: RivalReport,
  question: Question,
  mine: Rates,
  rivals: readonly Rates[],
): void {
  const best = bestOf(rivals, "highest");
  if (best === undefined) return;
  const details = rivals
    .filter((rival) => rival !== best)
    .map((rival) => [`× ${rival.name}`, ratioRow(question, mine, rival).value] as const);
  report.row(ratioRow(question, mine, best, Object.fromEntries(details)));
}
