// npm run bench:amplification -- --json
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../src/index.ts";
import type { UpdateAssignment, UpdateResult } from "./amplification/update.process.ts";
import { Child } from "./support/child.ts";
import { Report, progress, readArguments, withScratch } from "./support/command.ts";
import { spreadOf } from "./support/statistics.ts";

const help = `Usage: npm run bench:amplification -- [--json] [--quick] [--help]

W12, E8: bytes that a process wrote (/proc/self/io: handed to write, and dirtied on their way to the
disk) for each byte that the job wrote: Zipf 0.99 over 1,000,000 rows of 116 bytes, at 50,000 updates a
second and as fast as each store takes them, memory a quarter of the state, everything durable each
second. Varve's policies beside classic-level itself (batches of 1,000; a synced batch each second).
Updates count with key and value. The faster a store is, the more of them fall on the same row between
two durable points.

  --json    one JSON object a line
  --quick   100,000 rows, 6 seconds each: under a minute
`;

const { json, quick } = readArguments(help, []);
const report = new Report(json);
const rows = quick ? 100_000 : 1_000_000;
const valueBytes = 100;
const rowBytes = valueBytes + 16;
const asked = 0.3;
const repetitions = quick ? 1 : 3;
const rates = quick ? [50] : [50, Number.POSITIVE_INFINITY];
const subjects = ["incremental", "changelog", "classic-level"] as const;
type Subject = (typeof subjects)[number];

async function run(
  subject: Subject,
  updatesPerMs: number,
  directory: string,
): Promise<UpdateResult> {
  await mkdir(directory, { recursive: true });
  const child = new Child(new URL("./amplification/update.process.js", import.meta.url));
  try {
    return await child.call<UpdateResult>("run", {
      store: subject === "classic-level" ? "classic-level" : "lsm",
      policy: subject === "classic-level" ? undefined : subject,
      directory,
      // No smaller budget is taken.
      memoryBudgetBytes: Math.max(16 * MIB, Math.floor((rows * rowBytes) / 4)),
      rows,
      valueBytes,
      updates: quick ? 300_000 : Number.isFinite(updatesPerMs) ? 1_500_000 : 6_000_000,
      updatesPerMs,
      durableEveryMs: 1000,
    } satisfies UpdateAssignment);
  } finally {
    await child.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(updatesPerMs: number, scratch: string): Promise<void> {
  const results = new Map(subjects.map((subject): [Subject, UpdateResult[]] => [subject, []]));
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const subject of subjects) {
      progress(`${subject}, ${updatesPerMs} updates/ms, ${repetition + 1} of ${repetitions}`);
      results.get(subject)!.push(await run(subject, updatesPerMs, join(scratch, subject)));
    }
    const checksums = subjects.map((subject) => results.get(subject)!.at(-1)!.checksum);
    if (new Set(checksums).size > 1) throw new Error("the states differ");
  }
  const bare = results.get("classic-level")!;
  const rate = Number.isFinite(updatesPerMs)
    ? `${updatesPerMs},000 updates a second`
    : "full speed";
  for (const [subject, found] of results) print(subject, rate, found, bare);
}

function print(
  subject: Subject,
  rate: string,
  found: readonly UpdateResult[],
  bare: readonly UpdateResult[],
): void {
  const perByte = (one: UpdateResult): number => one.physical / (one.updates * rowBytes);
  const physical = spreadOf(found.map(perByte));
  report.line({
    bench: "amplification",
    id: "W12",
    subject,
    rate,
    physicalBytesPerByte: physical.median,
    min: physical.min,
    max: physical.max,
    logicalBytesPerByte: spreadOf(found.map((one) => one.logical / (one.updates * rowBytes)))
      .median,
    physicalBytesPerNetByte: spreadOf(
      found.map((one) => one.physical / (one.netUpdates * rowBytes)),
    ).median,
    spaceAmplification: spreadOf(found.map((one) => one.treeBytes / (rows * rowBytes))).median,
    updates: found[0]!.updates,
    seconds: spreadOf(found.map((one) => one.ms / 1000)).median,
  });
  if (subject === "classic-level") return;
  const ratio = spreadOf(found.map((one, i) => one.physical / bare[i]!.physical));
  const isRated = subject === "incremental";
  report.measure({
    id: "E8",
    name: `bytes written, policy ${subject}, checkpoints every second, ${rate} / classic-level`,
    value: ratio.median,
    asked: isRated ? `<= ${asked}` : "none: printed beside",
    ok: !isRated || ratio.median <= asked,
    unit: "ratio",
    floor: spreadOf(bare.map(perByte)).median,
    ratio: ratio.median,
    spread: ratio,
  });
}

await withScratch(async (scratch) => {
  for (const rate of rates) await measure(rate, scratch);
});
