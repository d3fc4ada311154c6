// C6: what a retained checkpoint takes, beside a twin that takes incremental ones at the same points.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "../../src/index.ts";
import { type Report, progress } from "../support/command.ts";
import { spreadOf } from "../support/statistics.ts";
import { type Bases, RowState, changelogOf, rowsOf } from "./subject.ts";

const asked = 1.3;
const valueBytes = 100;
const changedShare = 0.01;

export async function measureRetained(
  report: Report,
  bases: Bases,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const rows = rowsOf((isQuick ? 100 : 1000) * 1e6, valueBytes);
  const base = await bases.of(rows);
  const directory = join(scratch, "retained");
  const open = async (policy: "changelog" | "incremental"): Promise<RowState> => {
    const own = join(directory, policy);
    await mkdir(own, { recursive: true });
    return RowState.open(own, base, rows, {
      policy,
      memoryBudgetBytes: (isQuick ? 32 : 256) * MIB,
    });
  };
  const ours = await open("changelog");
  const twin = await open("incremental");
  const ratios: number[] = [];
  const logShares: number[] = [];
  const changed = Math.ceil(rows.count * changedShare);
  let twinBytes = 0;
  try {
    for (let point = 0; point < (isQuick ? 12 : 60); point++) {
      progress(`C6: point ${point + 1}`);
      for (const state of [ours, twin]) await state.changeEvenly(changed, isQuick ? 50 : 300);
      const logged = await ours.backend.checkpoint();
      const compacted = await twin.backend.checkpoint();
      ratios.push(logged.totalBytes / compacted.totalBytes);
      logShares.push(logged.logBytes / logged.totalBytes);
      twinBytes = compacted.totalBytes;
    }
    const spread = spreadOf(ratios);
    const { materializations } = changelogOf(ours.backend);
    report.measure({
      id: "C6",
      name: "bytes of a retained checkpoint, base and log / incremental; the largest of all points",
      value: spread.max,
      asked: `<= ${asked}`,
      ok: spread.max <= asked && Math.max(...logShares) > 0,
      unit: "ratio",
      floor: twinBytes,
      ratio: spread.max,
      spread,
      details: { points: ratios.length, largestLogShare: Math.max(...logShares), materializations },
    });
  } finally {
    await ours.backend.close();
    await twin.backend.close();
  }
  await rm(directory, { recursive: true });
}
