// What the run amounts to, as the JSON object that --json prints. Names are fixed: others read them.
import type { FlightsOptions, Policy } from "./options.ts";
import type { RunReport } from "./run-report.ts";
import type { VerificationResult } from "./verification.ts";

const MIB_BYTES = 1_048_576;

export interface Summary {
  readonly policy: Policy;
  readonly intervalMs: number;
  /** First deliveries. */
  readonly records: number;
  readonly redelivered: number;
  /** First deliveries that differ from all before: each has one output row. */
  readonly accepted: number;
  /** Deliveries by the time from the first start to all being durable, with kills and recoveries. */
  readonly recordsPerSecond: number;
  /** Of all states together. */
  readonly keys: number;
  /** Rows read from LevelDB while records were processed. */
  readonly coldReads: number;
  /** Look-ups answered by the write buffer, of all. */
  readonly hitRatio: number;
  readonly backPressureMs: number;
  /** Encoded keys and values of all live rows. */
  readonly stateBytes: number;
  readonly memoryBudgetBytes: number;
  readonly peakRssBytes: number;
  readonly peakAnonBytes: number;
  readonly kills: number;
  readonly killsDuringCheckpoint: number;
  readonly replayedRecords: readonly number[];
  readonly checkpoints: number;
  readonly abortedCheckpoints: number;
  readonly checkpointMsP50: number;
  readonly checkpointMsP99: number;
  readonly pauseMsP50: number;
  readonly pauseMsP99: number;
  /** How long records waited for the sink's files to be synced, before each checkpoint. */
  readonly sinkSyncMsP50: number;
  readonly sinkSyncMsP99: number;
  readonly uploadedBytes: number;
  /** Bytes that a log of every single change would have, uncompressed; replayed records count again. */
  readonly changeBytes: number;
  /** Of policy "changelog", else 0: bytes appended to the log, by all processes of the job. */
  readonly logBytes: number;
  /** `logBytes` by `changeBytes`. */
  readonly logShare: number;
  /** Bases made in the background. */
  readonly materializations: number;
  readonly failedMaterializations: number;
  readonly recoveryMs: readonly number[];
  readonly resumeMs: readonly number[];
  /** Opening the backend after each kill, the replay of the log included; and how long that log was. */
  readonly restoreMs: readonly number[];
  readonly replayedLogBytes: readonly number[];
  readonly jobMs: number;
  readonly dumpMs: number;
  /** What it still took after the dump: most of it runs beside that. */
  readonly verificationMs: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly wrong: number;
  readonly ok: boolean;
}

export function summarize(
  options: FlightsOptions,
  kills: number,
  run: RunReport,
  verified: VerificationResult,
  verificationMs: number,
): Summary {
  const { lost, duplicated, wrong } = verified;
  const wasKilled =
    run.kills >= kills &&
    run.replayedRecords.length === run.kills &&
    run.replayedRecords.every((count) => count > 0) &&
    (kills === 0 || run.killsDuringCheckpoint > 0);
  return {
    policy: options.policy,
    intervalMs: options.intervalMs,
    records: verified.records,
    redelivered: verified.redelivered,
    accepted: verified.accepted,
    ...speedAndMemory(options, run, verified),
    ...checkpointing(run),
    jobMs: Math.round(run.elapsedMs),
    dumpMs: Math.round(run.dumpMs),
    verificationMs: Math.round(verificationMs),
    lost,
    duplicated,
    wrong,
    ok: lost + duplicated + wrong === 0 && wasKilled,
  };
}

function speedAndMemory(options: FlightsOptions, run: RunReport, verified: VerificationResult) {
  const { hotReads, coldReads, coldMisses, backPressureWaitMs } = run.counters;
  const deliveries = verified.records + verified.redelivered;
  return {
    recordsPerSecond: Math.round((deliveries / run.elapsedMs) * 1_000),
    keys: run.states.reduce((sum, state) => sum + state.keys, 0),
    coldReads,
    hitRatio: round(hotReads / Math.max(1, hotReads + coldReads + coldMisses), 4),
    backPressureMs: Math.round(backPressureWaitMs),
    stateBytes: run.states.reduce((sum, state) => sum + state.bytes, 0),
    memoryBudgetBytes: options.budgetMib * MIB_BYTES,
    peakRssBytes: run.peakRssBytes,
    peakAnonBytes: run.peakAnonBytes,
  };
}

function checkpointing(run: RunReport) {
  const durations = run.checkpoints.map((checkpoint) => checkpoint.durationMs);
  const pauses = run.checkpoints.map((checkpoint) => checkpoint.pauseMs);
  const sinkSyncs = run.checkpoints.map((checkpoint) => checkpoint.sinkMs);
  return {
    kills: run.kills,
    killsDuringCheckpoint: run.killsDuringCheckpoint,
    replayedRecords: run.replayedRecords,
    checkpoints: run.checkpoints.length,
    abortedCheckpoints: run.abortedCheckpoints,
    checkpointMsP50: percentile(durations, 0.5),
    checkpointMsP99: percentile(durations, 0.99),
    pauseMsP50: percentile(pauses, 0.5),
    pauseMsP99: percentile(pauses, 0.99),
    sinkSyncMsP50: percentile(sinkSyncs, 0.5),
    sinkSyncMsP99: percentile(sinkSyncs, 0.99),
    uploadedBytes: run.checkpoints.reduce((sum, one) => sum + one.uploadedBytes, 0),
    recoveryMs: run.recoveryMs.map((ms) => round(ms, 1)),
    ...logging(run),
    resumeMs: run.resumeMs.map((ms) => round(ms, 1)),
    restoreMs: run.restoreMs.map((ms) => round(ms, 1)),
    replayedLogBytes: run.replayedLogBytes,
  };
}

function logging({ counters }: RunReport) {
  const { changeBytes, logBytes, materializations, failedMaterializations } = counters;
  const logShare = round(logBytes / Math.max(1, changeBytes), 4);
  return { changeBytes, logBytes, logShare, materializations, failedMaterializations };
}

/** Nearest rank: a value that occurred. 0 if there are none. */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0, 2);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
