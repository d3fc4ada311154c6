// C6: what a retained checkpoint takes, beside a twin that takes incremental ones at the same points.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type CheckpointPolicy, type CompletedCheckpoint, MIB } from "../../src/index.ts";
import { type Report, progress } from "../support/command.ts";
import { mean, percentile, spreadOf } from "../support/statistics.ts";
import { type Bases, RowState, bytesOfRow, changelogOf, rowsOf } from "./subject.ts";

const asked = 1.3;
const valueBytes = 100;
const changedShare = 0.01;

type Taken = Record<CheckpointPolicy, CompletedCheckpoint[]>;

/** Full checkpoints write everything: a few show what they cost. */
const fullPoints = 5;

export async function measureRetained(
  report: Report,
  bases: Bases,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const rows = rowsOf((isQuick ? 100 : 1000) * 1e6, valueBytes);
  const base = await bases.of(rows);
  const directory = join(scratch, "retained");
  const open = async (policy: CheckpointPolicy): Promise<RowState> => {
    const own = join(directory, policy);
    await mkdir(own, { recursive: true });
    const memoryBudgetBytes = (isQuick ? 32 : 256) * MIB;
    return RowState.open(own, base, rows, { policy, memoryBudgetBytes });
  };
  const twins = {
    changelog: await open("changelog"),
    incremental: await open("incremental"),
    full: await open("full"),
  };
  const taken: Taken = { changelog: [], incremental: [], full: [] };
  const changed = Math.ceil(rows.count * changedShare);
  try {
    for (const { backend } of Object.values(twins)) await backend.checkpoint();
    for (let point = 0; point < (isQuick ? 6 : 60); point++) {
      progress(`C6: point ${point + 1}`);
      for (const policy of ["changelog", "incremental", "full"] as const) {
        if (policy === "full" && point >= fullPoints) continue;
        await twins[policy].changeEvenly(changed, isQuick ? 30 : 300);
        taken[policy].push(await twins[policy].backend.checkpoint());
      }
    }
    const { materializations } = changelogOf(twins.changelog.backend);
    reportRetained(report, taken, changed * bytesOfRow(rows), materializations);
  } finally {
    for (const { backend } of Object.values(twins)) await backend.close();
  }
  await rm(directory, { recursive: true });
}

function reportRetained(
  report: Report,
  taken: Taken,
  changedBytes: number,
  materializations: number,
): void {
  for (const [policy, checkpoints] of Object.entries(taken)) {
    const durations = checkpoints.map(({ durationMs }) => durationMs);
    report.line({
      bench: "changelog",
      policy,
      changedBytes,
      checkpoints: checkpoints.length,
      durationMsP50: percentile(durations, 50),
      durationMsMax: Math.max(...durations),
      pauseMsP50: percentile(
        checkpoints.map(({ pauseMs }) => pauseMs),
        50,
      ),
      uploadedBytesMean: mean(checkpoints.map(({ uploadedBytes }) => uploadedBytes)),
      totalBytes: checkpoints.at(-1)?.totalBytes,
    });
  }
  const { changelog, incremental } = taken;
  const spread = spreadOf(changelog.map((one, i) => one.totalBytes / incremental[i]!.totalBytes));
  const largestLogShare = Math.max(...changelog.map((one) => one.logBytes / one.totalBytes));
  report.measure({
    id: "C6",
    name: "bytes of a retained checkpoint, base and log / incremental; the largest of all points",
    value: spread.max,
    asked: `<= ${asked}`,
    ok: spread.max <= asked && largestLogShare > 0,
    unit: "ratio",
    floor: incremental.at(-1)!.totalBytes,
    ratio: spread.max,
    spread,
    details: { points: changelog.length, largestLogShare, materializations },
  });
}
