// What a run is made of, gathered from the job's messages. Plain data.
import type { CheckpointReport, DumpedState, JobCounters } from "./job-messages.ts";

export interface RunReport {
  /** From the first start to the last record being durable, kills and recoveries included. */
  readonly elapsedMs: number;
  /** From there to the last state being dumped. */
  readonly dumpMs: number;
  readonly checkpoints: readonly CheckpointReport[];
  readonly abortedCheckpoints: number;
  readonly kills: number;
  readonly killsDuringCheckpoint: number;
  readonly replayedRecords: readonly number[];
  /** From a kill to the first record that had not been processed before. */
  readonly recoveryMs: readonly number[];
  /** From a kill to the first record, replayed or not. */
  readonly resumeMs: readonly number[];
  /** Of each recovery: opening the backend, the replay of the log included. */
  readonly restoreMs: readonly number[];
  readonly replayedLogBytes: readonly number[];
  readonly states: readonly DumpedState[];
  /** Sums over all processes of the job, as of their last message. */
  readonly counters: JobCounters;
  readonly peakRssBytes: number;
  readonly peakAnonBytes: number;
}

export function sumCounters(all: readonly JobCounters[]): JobCounters {
  const total = {
    hotReads: 0,
    coldReads: 0,
    coldMisses: 0,
    drains: 0,
    backPressureWaits: 0,
    backPressureWaitMs: 0,
    changeBytes: 0,
    logBytes: 0,
    materializations: 0,
    failedMaterializations: 0,
  };
  for (const counters of all) {
    for (const name of Object.keys(total) as (keyof JobCounters)[]) total[name] += counters[name];
  }
  return total;
}
