// npm run bench:db -- --json
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../src/index.ts";
import { type DbAssignment, type DbResult, type TestName, testNames } from "./db/db.process.ts";
import { Child } from "./support/child.ts";
import { Report, progress, readArguments, withScratch } from "./support/command.ts";
import { spreadOf } from "./support/statistics.ts";

const help = `Usage: npm run bench:db -- [--json] [--quick] [--help]

W4: the tests of LevelDB's db_bench, keys of 16 and values of 100 bytes, half of which compresses, on
Varve beside classic-level itself with the same memory (getSync, batches of 1,000; fillsync: one entry
and a sync, with ours a checkpoint of policy "changelog"). Microseconds a call, in turns. seekrandom
is not run: keyed state has no order over keys.

  --json    one JSON object a line
  --quick   100,000 entries instead of 1,000,000: under a minute
`;

const { json, quick } = readArguments(help, []);
const report = new Report(json);
const entries = quick ? 100_000 : 1_000_000;
const repetitions = 3;
const stores = ["lsm", "classic-level"] as const;
type Store = (typeof stores)[number];
type Times = Record<Store, number[]>;

/** Those that begin with an empty store. */
const freshTests: ReadonlySet<TestName> = new Set(["fillseq", "fillrandom", "fillsync"]);

async function open(store: Store, directory: string, test: TestName): Promise<Child> {
  await mkdir(directory, { recursive: true });
  const child = new Child(new URL("./db/db.process.js", import.meta.url));
  await child.call("open", {
    store,
    directory,
    memoryBudgetBytes: 64 * MIB,
    entries,
    policy: test === "fillsync" ? "changelog" : "incremental",
  } satisfies DbAssignment);
  return child;
}

/** All tests once on each store. Throws if a test's results differ. */
async function round(scratch: string, number: number, times: Map<TestName, Times>): Promise<void> {
  const children = new Map<Store, Child>();
  const closeAll = async (): Promise<void> => {
    for (const child of children.values()) await child.close();
    children.clear();
    await rm(join(scratch, "db"), { recursive: true, force: true });
  };
  try {
    for (const test of testNames) {
      if (freshTests.has(test)) {
        await closeAll();
        for (const store of stores) {
          children.set(store, await open(store, join(scratch, "db", store), test));
        }
      }
      const checksums = new Set<number>();
      for (const store of stores) {
        progress(`${test}: ${store}, ${number + 1} of ${repetitions}`);
        const result = await children.get(store)!.call<DbResult>("run", test);
        checksums.add(result.checksum);
        times.get(test)![store].push((1000 * result.ms) / result.calls);
      }
      if (checksums.size > 1) throw new Error(`${test}: the results differ`);
    }
  } finally {
    await closeAll();
  }
}

await withScratch(async (scratch) => {
  const times = new Map(
    testNames.map((test): [TestName, Times] => [test, { lsm: [], "classic-level": [] }]),
  );
  for (let number = 0; number < repetitions; number++) await round(scratch, number, times);
  for (const [test, { lsm, "classic-level": bare }] of times) {
    for (const [store, found] of [
      ["lsm", lsm],
      ["classic-level", bare],
    ] as const) {
      const { median, min, max } = spreadOf(found);
      report.line({
        bench: "db",
        id: "W4",
        test,
        entries,
        store,
        microsecondsPerCall: median,
        min,
        max,
        floor: spreadOf(bare).median,
        ratio: spreadOf(found.map((one, i) => bare[i]! / one)).median,
      });
    }
  }
  report.line({
    bench: "db",
    id: "W4",
    test: "seekrandom",
    notRun: "because keyed state has no order over keys",
  });
});
