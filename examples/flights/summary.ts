// What the run amounts to: the JSON object, and the table for people.
import type { FlightsOptions } from "./options.ts";
import type { RunReport } from "./supervisor.ts";
import type { VerificationResult } from "./verification.ts";

const MIB_BYTES = 1_048_576;

export interface Summary {
  readonly records: number;
  readonly redelivered: number;
  readonly recordsPerSecond: number;
  readonly keys: number;
  readonly coldReads: number;
  readonly hitRatio: number;
  readonly stateBytes: number;
  readonly memoryBudgetBytes: number;
  readonly peakRssBytes: number;
  readonly peakAnonBytes: number;
  readonly kills: number;
  readonly killsDuringCheckpoint: number;
  readonly replayedRecords: readonly number[];
  readonly checkpoints: number;
  readonly checkpointMsP50: number;
  readonly checkpointMsP99: number;
  readonly pauseMsP50: number;
  readonly pauseMsP99: number;
  readonly uploadedBytes: number;
  readonly recoveryMs: readonly number[];
  readonly verificationMs: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly wrong: number;
  readonly ok: boolean;
}

export function summarize(
  options: FlightsOptions,
  run: RunReport,
  verified: VerificationResult,
  kills: number,
  verificationMs: number,
): Summary {
  const durations = run.checkpoints.map((checkpoint) => checkpoint.durationMs);
  const pauses = run.checkpoints.map((checkpoint) => checkpoint.pauseMs);
  const { hotReads, coldReads, coldMisses } = run.counters;
  const { lost, duplicated, wrong } = verified;
  const killsDone = run.replayedRecords.length;
  const areReplayed = run.replayedRecords.every((count) => count > 0);
  return {
    records: verified.records,
    redelivered: verified.redelivered,
    recordsPerSecond: Math.round((run.positions / run.elapsedMs) * 1000),
    keys: run.states.reduce((sum, state) => sum + state.keys, 0),
    coldReads,
    hitRatio: round(hotReads / Math.max(1, hotReads + coldReads + coldMisses), 4),
    stateBytes: run.states.reduce((sum, state) => sum + state.bytes, 0),
    memoryBudgetBytes: options.budgetMib * MIB_BYTES,
    peakRssBytes: run.peakRssBytes,
    peakAnonBytes: run.peakAnonBytes,
    kills: killsDone,
    killsDuringCheckpoint: run.killsDuringCheckpoint,
    replayedRecords: run.replayedRecords,
    checkpoints: run.checkpoints.length,
    checkpointMsP50: percentile(durations, 0.5),
    checkpointMsP99: percentile(durations, 0.99),
    pauseMsP50: percentile(pauses, 0.5),
    pauseMsP99: percentile(pauses, 0.99),
    uploadedBytes: run.checkpoints.reduce((sum, one) => sum + one.uploadedBytes, 0),
    recoveryMs: run.recoveryMs.map((ms) => round(ms, 1)),
    verificationMs: Math.round(verificationMs),
    lost,
    duplicated,
    wrong,
    ok: lost + duplicated + wrong === 0 && killsDone === kills && areReplayed,
  };
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0, 2);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

export function table(summary: Summary, verified: VerificationResult): string {
  const mib = (bytes: number): string => `${(bytes / MIB_BYTES).toFixed(1)} MiB`;
  const rows: [string, string][] = [
    ["records", `${summary.records} first deliveries, ${summary.redelivered} redelivered`],
    ["rate", `${summary.recordsPerSecond} records/s, kills and recoveries included`],
    ["state", `${summary.keys} keys, ${mib(summary.stateBytes)} of live rows`],
    [
      "memory",
      `budget ${mib(summary.memoryBudgetBytes)}; peak ${mib(summary.peakAnonBytes)} anonymous, ${mib(summary.peakRssBytes)} resident`,
    ],
    [
      "reads",
      `${(summary.hitRatio * 100).toFixed(1)} % from the write buffer, ${summary.coldReads} rows from LevelDB`,
    ],
    [
      "checkpoints",
      `${summary.checkpoints}; p50 ${summary.checkpointMsP50} ms, p99 ${summary.checkpointMsP99} ms until durable`,
    ],
    [
      "pauses",
      `p50 ${summary.pauseMsP50} ms, p99 ${summary.pauseMsP99} ms (longest main-thread block in each)`,
    ],
    ["uploaded", `${mib(summary.uploadedBytes)}, against a state of ${mib(summary.stateBytes)}`],
    [
      "kills",
      `${summary.kills}, ${summary.killsDuringCheckpoint} during a checkpoint; replayed ${summary.replayedRecords.join(", ") || "nothing"}`,
    ],
    [
      "recovery",
      `${summary.recoveryMs.map((ms) => `${ms} ms`).join(", ") || "none"} from kill to first record`,
    ],
    [
      "verification",
      `lost ${summary.lost}, duplicated ${summary.duplicated}, wrong ${summary.wrong} (${summary.verificationMs} ms)`,
    ],
  ];
  const lines = rows.map(([name, text]) => `  ${name.padEnd(13)} ${text}`);
  const worst = verified.worstRoutes.map(
    ({ route, flights, meanDelay, deviation }) =>
      `  ${route}  mean ${meanDelay.toFixed(1)} min, deviation ${deviation.toFixed(1)}, ${flights} flights`,
  );
  return ["", ...lines, "", "Ten worst routes of at least 100 flights:", ...worst, ""].join("\n");
}
