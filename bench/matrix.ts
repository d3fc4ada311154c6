// npm run bench:matrix -- --json
import { mkdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../src/index.ts";
import { Bases, RowState, rowsOf } from "./changelog/subject.ts";
import { type Cell, MatrixSubject } from "./matrix/cells.ts";
import { Report, progress, readArguments, withScratch } from "./support/command.ts";

const help = `Usage: npm run bench:matrix -- [--json] [--quick] [--help]

W8: checkpoints by size of the state, policy, rate of changes, popularity of keys and interval: pause,
duration, new and referenced bytes and files, CPU seconds. Rows of 100 bytes; changes go on while a
checkpoint runs. The slope of the duration over the decades of the state stands at the end.

  --json    one JSON object a line
  --quick   10 and 50 MB, fewer cells: under a minute
`;

const { json, quick } = readArguments(help, []);
const report = new Report(json);
const policies = ["full", "incremental", "changelog"] as const;
type Policy = (typeof policies)[number];
const sizes = quick ? [10e6, 50e6] : [10e6, 100e6, 1000e6];
const valueBytes = 100;
const diskFactor = 4;

function cells(): Cell[] {
  if (quick) return [{ changesPerSecond: 10_000, isZipf: true, intervalMs: 100 }];
  const found: Cell[] = [];
  for (const changesPerSecond of [1000, 10_000, 100_000]) {
    for (const isZipf of [true, false]) {
      found.push({ changesPerSecond, isZipf, intervalMs: 100 });
      if (isZipf) found.push({ changesPerSecond, isZipf, intervalMs: 1000 });
    }
  }
  return found;
}

/** Medians of the duration, for the slope: by policy and cell, size after size. */
const durations = new Map<string, number[]>();

async function measure(
  bases: Bases,
  stateBytes: number,
  policy: Policy,
  scratch: string,
): Promise<void> {
  const rows = rowsOf(stateBytes, valueBytes);
  const directory = join(scratch, `${policy}-${rows.count}`);
  await mkdir(directory);
  const state = await RowState.open(directory, await bases.of(rows), rows, {
    policy,
    memoryBudgetBytes: 128 * MIB,
  });
  try {
    await state.backend.checkpoint();
    const subject = new MatrixSubject(state, policy);
    for (const cell of cells()) {
      progress(`${stateBytes / 1e6} MB, ${policy}, ${cell.changesPerSecond} changes a second`);
      // A full checkpoint of much state takes seconds.
      const isSlow = policy === "full" && stateBytes >= 1000e6;
      const count = isSlow || quick ? 3 : cell.intervalMs >= 1000 ? 4 : 20;
      const { isZipf, ...figures } = await subject.measure(cell, count);
      const keys = isZipf ? "zipf 0.99" : "distinct";
      report.line({ bench: "matrix", id: "W8", stateBytes, keys, ...figures });
      const name = `${policy}, ${figures.changesPerSecond} changes a second, ${keys}, every ${figures.intervalMs} ms`;
      durations.set(name, [...(durations.get(name) ?? []), figures.durationMsP50]);
    }
  } finally {
    await state.backend.close();
    await rm(directory, { recursive: true, force: true });
  }
}

await withScratch(async (scratch) => {
  const bases = new Bases(scratch);
  for (const stateBytes of sizes) {
    const { bavail, bsize } = await statfs(scratch);
    if (bavail * bsize < stateBytes * diskFactor) {
      const free = `${Math.floor((bavail * bsize) / 1e9)} GB free`;
      report.line({
        bench: "matrix",
        id: "W8",
        stateBytes,
        skipped: `the disk has no room: ${free}`,
      });
      continue;
    }
    for (const policy of policies) await measure(bases, stateBytes, policy, scratch);
  }
  for (const [name, found] of durations) {
    if (found.length < 2) continue;
    const decades = Math.log10(sizes[found.length - 1]! / sizes[0]!);
    const growth = (found.at(-1)! / found[0]!) ** (1 / decades);
    report.line({ bench: "matrix", id: "W8", slope: name, durationFactorPerDecade: growth });
  }
});
