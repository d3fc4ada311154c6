// npm run bench:ycsb -- --json
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../src/index.ts";
import type { StoreName } from "./stores/stores.ts";
import { Child } from "./support/child.ts";
import { Report, progress, readArguments, withScratch } from "./support/command.ts";
import { type Contestant, type Standing, contest, ratioOf } from "./support/contest.ts";
import { type WorkloadName, type YcsbAssignment, workloadNames } from "./ycsb/ycsb.process.ts";

const help = `Usage: npm run bench:ycsb -- [--json] [--quick] [--only A,F,...] [--help]

W3: YCSB's workloads A to F as the state grows from half of the memory budget to sixteen times: keys of
16 bytes, values of 100 and 1,000 bytes, Zipf 0.99 and uniform. Varve beside classic-level with the
same budget (getSync, batches of 1,000), and a bare Map, which has no budget, where all fits (0.5).
Calls per millisecond, in turns; all end with the same results. E scans 1 to 50 entries of a map, of
64: keyed state has no order over keys.

  --json    one JSON object a line
  --quick   A and F, 16 MiB of memory, states of half and four times that: under a minute
  --only    only these workloads
`;

const { json, quick, only } = readArguments(help, ["A", "B", "C", "D", "E", "F"]);
const report = new Report(json);
const memoryBudgetBytes = (quick ? 16 : 32) * MIB;
const ratios = quick ? [0.5, 4] : [0.5, 1, 4, 16];
const chosen = only ?? (quick ? ["A", "F"] : workloadNames);
/** Of a row besides its value: key and what stores add. */
const rowOverheadBytes = 40;
const mapHasAllAt = 0.5;
let directories = 0;

interface Case {
  readonly workload: WorkloadName;
  readonly valueBytes: number;
  readonly isZipf: boolean;
  readonly stateToMemory: number;
}

function* cases(): Generator<Case> {
  for (const name of chosen) {
    const workload = workloadNames.find((one) => one === name)!;
    for (const stateToMemory of ratios) {
      yield { workload, valueBytes: 100, isZipf: true, stateToMemory };
      if (quick) continue;
      yield { workload, valueBytes: 1000, isZipf: true, stateToMemory };
      // The cliff is steepest where nothing is hot.
      if (workload === "A" || workload === "C" || workload === "F") {
        yield { workload, valueBytes: 100, isZipf: false, stateToMemory };
      }
    }
  }
}

async function measure(one: Case, scratch: string): Promise<void> {
  const { stateToMemory, valueBytes } = one;
  const rows = Math.floor((memoryBudgetBytes * stateToMemory) / (valueBytes + rowOverheadBytes));
  const label = `${one.workload}, ${valueBytes} bytes, state ${stateToMemory} x memory`;
  const stores: StoreName[] = ["lsm", "classic-level"];
  if (stateToMemory <= mapHasAllAt) stores.push("map");
  const contestants: Contestant[] = [];
  const parent = join(scratch, `${++directories}`);
  try {
    for (const store of stores) {
      progress(`${label}: ${store}, loading`);
      const directory = join(parent, store);
      await mkdir(directory, { recursive: true });
      const child = new Child(new URL("./ycsb/ycsb.process.js", import.meta.url));
      contestants.push({ name: store, child });
      const { workload, isZipf } = one;
      await child.call("open", {
        store,
        directory,
        memoryBudgetBytes,
        workload,
        rows,
        valueBytes,
        isZipf,
      } satisfies YcsbAssignment);
    }
    const standings = await contest(contestants, {
      label,
      repetitions: quick ? 3 : 5,
      slowestMs: quick ? 200 : 400,
      warmUpCalls: Math.ceil(rows / (quick ? 10 : 2)),
    });
    const coldReads = await contestants[0]!.child.call<number>("coldReads");
    for (const standing of standings) print(one, rows, standing, standings, coldReads);
  } finally {
    await Promise.all(contestants.map(({ child }) => child.close()));
    await rm(parent, { recursive: true, force: true });
  }
}

function print(
  one: Case,
  rows: number,
  standing: Standing,
  standings: readonly Standing[],
  coldReads: number,
): void {
  const bare = standings.find(({ name }) => name === "classic-level")!;
  const { median, min, max } = standing.callsPerMs;
  report.line({
    bench: "ycsb",
    id: "W3",
    workload: one.workload,
    valueBytes: one.valueBytes,
    keys: one.isZipf ? "zipf 0.99" : "uniform",
    stateToMemory: one.stateToMemory,
    rows,
    store: standing.name,
    callsPerMs: median,
    min,
    max,
    floor: bare.callsPerMs.median,
    ratio: ratioOf(standing, bare).median,
    ...(standing.name === "lsm" ? { coldReads } : {}),
  });
}

await withScratch(async (scratch) => {
  for (const one of cases()) {
    try {
      await measure(one, scratch);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      report.line({ bench: "ycsb", id: "W3", ...one, error: message });
      process.exitCode = 1;
    }
  }
});
