// E1, E2 and E3: state operations, all contestants in turns, repetition by repetition.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { progress } from "../support/command.ts";
import { type Contestant, LineChild, OwnChild } from "./contestant.ts";
import { flinkCommand } from "./flink.ts";
import type { Installation } from "./install.ts";
import type { MeasureId } from "./measures.ts";
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

const mapName = "JavaScript Map";
const ours = "Varve";

/** Who takes part, by the measure that asks for it. */
interface Entrant {
  readonly name: string;
  readonly group: "E1" | "E2" | "E3" | "ours";
  readonly backend: string;
  readonly managedBytes: number;
  readonly isInQuick: boolean;
  readonly start: () => Contestant;
}

function jvm(collector: "G1" | "Parallel", isPreTouched: boolean): () => Contestant {
  return () => new LineChild(flinkCommand({ heapMegabytes: 4096, collector, isPreTouched }));
}

function own(): Contestant {
  const module = new URL("./operations.process.js", import.meta.url);
  return new OwnChild(module, ["--max-old-space-size=6144"]);
}

const entrants: readonly Entrant[] = [
  { name: ours, group: "ours", backend: "varve", managedBytes: 0, isInQuick: true, start: own },
  { name: mapName, group: "E3", backend: "map", managedBytes: 0, isInQuick: true, start: own },
  {
    name: "Flink RocksDB, default",
    group: "E1",
    backend: "rocksdb",
    managedBytes: 0,
    isInQuick: false,
    start: jvm("G1", false),
  },
  {
    name: "Flink RocksDB, managed 256 MB",
    group: "E1",
    backend: "rocksdb",
    managedBytes: 256 * 1024 * 1024,
    isInQuick: true,
    start: jvm("G1", false),
  },
  {
    name: "Flink heap, G1",
    group: "E2",
    backend: "heap",
    managedBytes: 0,
    isInQuick: false,
    start: jvm("G1", true),
  },
  {
    name: "Flink heap, parallel collector",
    group: "E2",
    backend: "heap",
    managedBytes: 0,
    isInQuick: true,
    start: jvm("Parallel", true),
  },
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
  gateCalls: 100_000,
  warmUpMs: 300,
  checkedKeys: 20_000,
};
const quickOperations: readonly string[] = ["stringRmw500k/fresh"];

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
    const names = chosen ?? (isQuick ? quickOperations : undefined);
    if (names !== undefined && !names.includes(operation.name)) continue;
    const groups = asked.filter((id) => id !== "E3" || hasMap(operation));
    if (groups.length === 0) continue;
    const directory = join(scratch, operation.name.replaceAll("/", "-"));
    await measureOne(report, installation, operation, groups, isQuick, directory);
    await rm(directory, { recursive: true, force: true });
  }
}

/** E3 is about one operation, whose keys are made per record. */
function hasMap({ name }: RivalOperation): boolean {
  return name === "stringRmw500k/fresh";
}

async function measureOne(
  report: RivalReport,
  installation: Installation,
  operation: RivalOperation,
  groups: readonly MeasureId[],
  isQuick: boolean,
  directory: string,
): Promise<void> {
  const absence = await installation.absence("flink");
  const running: Running[] = [];
  const failures = new Map<string, string>();
  try {
    for (const entrant of entrants) {
      const isChosen = entrant.group === "ours" || groups.includes(entrant.group);
      if (!isChosen || (isQuick && !entrant.isInQuick)) continue;
      if (absence !== undefined && (entrant.group === "E1" || entrant.group === "E2")) {
        failures.set(entrant.name, absence);
      } else running.push({ ...entrant, child: entrant.start(), rates: [] });
    }
    const schedule = isQuick ? quickSchedule : fullSchedule;
    await measureAll(running, operation, schedule, directory);
    print(report, operation, groups, running, failures);
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
    const calls = Math.ceil(made / wholeCycleCalls) * wholeCycleCalls;
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
  return { id, name, asked: 1.6, bound, figuresUnit };
}

function print(
  report: RivalReport,
  operation: RivalOperation,
  groups: readonly MeasureId[],
  running: readonly Running[],
  failures: ReadonlyMap<string, string>,
): void {
  const ratesOf = ({ name, rates }: Running): Rates => ({ name, perRepetition: rates });
  const mine = ratesOf(running.find(({ group }) => group === "ours")!);
  for (const id of groups) {
    const question = questionOf(operation, id);
    const rivals = running.filter(({ group }) => group === id).map(ratesOf);
    const best = bestOf(rivals, "highest");
    if (best === undefined) {
      const because = [...failures.values()][0] ?? "nobody took part";
      report.row(notRunRow(question, id === "E1" ? "Flink RocksDB" : "Flink heap", because));
      continue;
    }
    const others = rivals.filter((rival) => rival !== best);
    const beside = Object.fromEntries(
      others.map((rival) => [rival.name, ratioRow(question, mine, rival)]),
    );
    const details = Object.fromEntries(
      Object.entries(beside).map(([name, row]) => [`× ${name}`, row.value]),
    );
    report.row(ratioRow(question, mine, best, details));
  }
}
