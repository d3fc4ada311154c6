// npm run bench:operators -- --json
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../src/index.ts";
import type { Popularity } from "./operators/events.ts";
import type { OperatorAssignment } from "./operators/operator.process.ts";
import { type OperatorName, operatorNames } from "./operators/operators.ts";
import type { StoreName } from "./stores/stores.ts";
import { Child } from "./support/child.ts";
import { Report, readArguments, withScratch } from "./support/command.ts";
import { type Contestant, contest, ratioOf } from "./support/contest.ts";

const help = `Usage: npm run bench:operators -- [--json] [--quick] [--only NAME,...] [--help]

W2: the state accesses of stream operators, after Gadget: windows, sessions, joins, aggregations over
1,000,000 keys by popularity (Zipf 0.99, and uniform), 2 % of the records out of order, the watermark
at each record. Records per millisecond on Varve (lsm, memory), a bare Map and classic-level (getSync,
batches of 1,000), in turns; all end with the same results.

  --json    one JSON object a line
  --quick   four operators, 100,000 keys: under a minute
  --only    only these: ${operatorNames.join(", ")}
`;

const quickOperators: readonly OperatorName[] = [
  "tumbling-incremental",
  "sliding-holistic",
  "session-incremental",
  "interval-join",
];

const { json, quick, only } = readArguments(help, operatorNames);
const report = new Report(json);
const chosen = only ?? (quick ? quickOperators : operatorNames);
const stores: readonly StoreName[] = quick
  ? ["lsm", "map", "classic-level"]
  : ["lsm", "memory", "map", "classic-level"];
const keyCount = quick ? 100_000 : 1_000_000;
let directories = 0;

async function measure(
  operator: OperatorName,
  popularity: Popularity,
  scratch: string,
): Promise<void> {
  const contestants: Contestant[] = [];
  try {
    for (const store of stores) {
      const directory = join(scratch, `${++directories}`);
      await mkdir(directory);
      const child = new Child(new URL("./operators/operator.process.js", import.meta.url));
      contestants.push({ name: store, child });
      await child.call("open", {
        store,
        directory,
        memoryBudgetBytes: 256 * MIB,
        operator,
        keyCount,
        popularity,
      } satisfies OperatorAssignment);
    }
    const standings = await contest(contestants, {
      label: `${operator}, ${popularity}`,
      repetitions: quick ? 3 : 5,
      slowestMs: quick ? 300 : 600,
    });
    const map = standings.find(({ name }) => name === "map")!;
    for (const standing of standings) {
      const { median, min, max } = standing.callsPerMs;
      report.line({
        bench: "operators",
        id: "W2",
        operator,
        popularity,
        keys: keyCount,
        store: standing.name,
        recordsPerMs: median,
        min,
        max,
        floor: map.callsPerMs.median,
        ratio: ratioOf(standing, map).median,
      });
    }
  } finally {
    await Promise.all(contestants.map(({ child }) => child.close()));
  }
}

await withScratch(async (scratch) => {
  for (const name of chosen) {
    const operator = operatorNames.find((one) => one === name)!;
    for (const popularity of quick
      ? (["zipf 0.99"] as const)
      : (["zipf 0.99", "uniform"] as const)) {
      try {
        await measure(operator, popularity, scratch);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        report.line({ bench: "operators", id: "W2", operator, popularity, error: message });
        process.exitCode = 1;
      }
    }
  }
});
