// E8: bytes written for each byte updated, beside classic-level itself.
import { writeFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { progress } from "../support/command.ts";
import { spreadOf } from "../support/statistics.ts";
import { zipfNumbers } from "../support/sequences.ts";
import type { RowsAssignment } from "./cold.ts";
import { type Contestant, LineChild } from "./contestant.ts";
import type { Installation } from "./install.ts";
import { npmCommand } from "./native.ts";
import type { RivalTiming } from "./operations.ts";
import type { RivalReport } from "./rival-report.ts";
import { type Question, differenceOf, notRunRow, ratioRow } from "./rows.ts";

const valueBytes = 100;
/** Value and key: what a program updates. */
const logicalBytes = valueBytes + 8;
const rowBytes = 116;
const budgetShare = 4;
const rivalName = "classic-level, batches of 1,000";

const question: Question = {
  id: "E8",
  name: "bytes written / bytes updated, zipf 0.99, incremental checkpoints every second, budget a quarter",
  asked: 0.3,
  bound: "at most",
  figuresUnit: "bytes/byte",
};

interface Written {
  readonly amplification: number[];
  readonly callsPerSecond: number[];
  checkpoints: number;
}

export async function measureAmplification(
  report: RivalReport,
  installation: Installation,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const absence = await installation.absence("npm");
  if (absence !== undefined) return report.row(notRunRow(question, rivalName, absence));
  const keys = isQuick ? 600_000 : 1_000_000;
  const calls = isQuick ? 100_000 : 1_000_000;
  const directory = join(scratch, "amplification");
  const children: Contestant[] = [];
  try {
    await mkdir(directory, { recursive: true });
    const path = join(directory, "draws");
    writeFileSync(path, new Uint8Array(zipfNumbers(keys, 2_000_000, 0.99, 48).buffer));
    const module = fileURLToPath(new URL("./amplification.process.js", import.meta.url));
    const own = new LineChild({ file: process.execPath, arguments: [module] });
    const raw = new LineChild(npmCommand("classic-level"));
    children.push(own, raw);
    const results = new Map<Contestant, Written>();
    for (const [index, child] of children.entries()) {
      progress(`E8: loading ${index === 0 ? "Varve" : rivalName}`);
      await load(child, index === 0 ? "varve" : "classic-level", keys, directory, path);
      results.set(child, { amplification: [], callsPerSecond: [], checkpoints: 0 });
    }
    const repetitions = isQuick ? 3 : 5;
    // The first is not counted: compaction comes to its pace.
    for (let repetition = -1; repetition < repetitions; repetition++) {
      for (const child of children) {
        progress(`E8: ${child === own ? "Varve" : rivalName}, ${repetition + 1} of ${repetitions}`);
        await runOnce(child, calls, repetition < 0 ? undefined : results.get(child)!);
      }
    }
    await requireEqual(own, raw);
    print(report, results.get(own)!, results.get(raw)!, keys);
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    report.row(notRunRow(question, rivalName, because));
  } finally {
    await Promise.all(children.map((child) => child.close()));
    await rm(directory, { recursive: true, force: true });
  }
}

async function load(
  child: Contestant,
  backend: string,
  keys: number,
  directory: string,
  path: string,
): Promise<void> {
  const own = join(directory, backend);
  await mkdir(own);
  const assignment: RowsAssignment = {
    subject: "rows",
    backend,
    keys,
    valueBytes,
    managedBytes: Math.floor((keys * rowBytes) / budgetShare),
    ingest: false,
    prefetch: false,
    directory: own,
  };
  await child.call("open", assignment);
  await child.call("load");
  await child.call("draws", { path });
}

async function runOnce(
  child: Contestant,
  calls: number,
  written: Written | undefined,
): Promise<void> {
  const before = await child.call<number>("writtenBytes");
  const timing = await child.call<RivalTiming & { checkpoints?: number }>("readModifyWrite", {
    calls,
  });
  const after = await child.call<number>("writtenBytes");
  if (written === undefined) return;
  written.amplification.push((after - before) / (calls * logicalBytes));
  written.callsPerSecond.push((timing.ops / timing.millis) * 1000);
  written.checkpoints += timing.checkpoints ?? 0;
}

async function requireEqual(own: Contestant, raw: Contestant): Promise<void> {
  const checksums = [
    { name: "Varve", checksum: String(await own.call<number>("checksum", { every: 17 })) },
    { name: rivalName, checksum: String(await raw.call<number>("checksum", { every: 17 })) },
  ];
  const difference = differenceOf(checksums);
  if (difference !== undefined) throw new Error(difference);
}

function print(report: RivalReport, own: Written, raw: Written, keys: number): void {
  const ours = { name: "Varve", perRepetition: own.amplification };
  const theirs = { name: rivalName, perRepetition: raw.amplification };
  report.row(
    ratioRow(question, ours, theirs, {
      keys,
      callsPerSecond: spreadOf(own.callsPerSecond).median,
      rivalCallsPerSecond: spreadOf(raw.callsPerSecond).median,
      checkpoints: own.checkpoints,
    }),
  );
}
