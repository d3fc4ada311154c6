// C7: from opening to caught up, with a log of eight times one percent of the rows and without any.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type CompletedCheckpoint, MIB } from "../../src/index.ts";
import { type Report, progress } from "../support/command.ts";
import { spreadOf } from "../support/statistics.ts";
import { type Bases, RowState, type Rows, neverMaterialize, rowsOf } from "./subject.ts";

const asked = 1.3;
const valueBytes = 100;
const memoryBudgetBytes = 256 * MIB;
const rounds = 8;
type Policy = "changelog" | "incremental";

export async function measureRecovery(
  report: Report,
  bases: Bases,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const rows = rowsOf((isQuick ? 100 : 1000) * 1e6, valueBytes);
  const directory = join(scratch, "recovery");
  const base = await bases.of(rows);
  const newest = {
    changelog: await changed(join(directory, "changelog"), base, rows, "changelog"),
    incremental: await changed(join(directory, "incremental"), base, rows, "incremental"),
  };
  const { logBytes } = newest.changelog;
  if (logBytes === 0) throw new Error("there is no log to replay");
  const times: Record<Policy, number[]> = { changelog: [], incremental: [] };
  const ratios: number[] = [];
  for (let repetition = 0; repetition < (isQuick ? 3 : 9); repetition++) {
    for (const policy of ["incremental", "changelog"] as const) {
      progress(`C7: ${policy}, ${repetition + 1}`);
      times[policy].push(await recover(join(directory, policy), rows, policy));
    }
    ratios.push(times.changelog.at(-1)! / times.incremental.at(-1)!);
  }
  const spread = spreadOf(ratios);
  const floor = spreadOf(times.incremental);
  const ours = spreadOf(times.changelog);
  report.measure({
    id: "C7",
    name: "recovery to caught up, base and log of 8 x 1 % / without log, verified before",
    value: spread.median,
    asked: `<= ${asked}`,
    ok: spread.median <= asked,
    unit: "ratio",
    floor: floor.median,
    ratio: spread.median,
    spread,
    details: {
      logBytes,
      baseBytes: newest.changelog.totalBytes - logBytes,
      withoutBytes: newest.incremental.totalBytes,
      ms: ours.median,
      msMin: ours.min,
      msMax: ours.max,
      floorMsMin: floor.min,
      floorMsMax: floor.max,
    },
  });
  await rm(directory, { recursive: true });
}

async function changed(
  directory: string,
  base: string,
  rows: Rows,
  policy: Policy,
): Promise<CompletedCheckpoint> {
  await mkdir(directory, { recursive: true });
  const options = { policy, memoryBudgetBytes, changelog: neverMaterialize };
  const state = await RowState.open(directory, base, rows, options);
  try {
    let newest = await state.backend.checkpoint();
    for (let round = 0; round < rounds; round++) {
      progress(`C7: ${policy}, round ${round + 1}`);
      await state.change(Math.ceil(rows.count / 100));
      newest = await state.backend.checkpoint();
    }
    return newest;
  } finally {
    await state.backend.close();
  }
}

/** Milliseconds until the first record of the job's own newest checkpoint is read. */
async function recover(directory: string, rows: Rows, policy: Policy): Promise<number> {
  const options = { policy, memoryBudgetBytes, changelog: neverMaterialize };
  const start = performance.now();
  const state = await RowState.open(directory, "latest", rows, options);
  state.readFirst();
  const milliseconds = performance.now() - start;
  await state.backend.close();
  return milliseconds;
}
