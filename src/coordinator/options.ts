// Options of the coordinator, named as Flink's `execution.checkpointing.*`.
import { integerOption, refuseUnknownOptions } from "../common/options.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { ExternalizedRetention } from "./retention.ts";

export interface CoordinatorOptions {
  /**
   * Milliseconds from one periodic checkpoint to the next; undefined: only on demand. Shorter means
   * less to repeat after a failure, and more work.
   * @defaultValue undefined
   */
  readonly intervalMs?: number | undefined;
  /**
   * Least pause between the end of a checkpoint, completed or not, and the next periodic one. Above
   * 0, a periodic checkpoint also waits until none is under way.
   * @defaultValue 0
   */
  readonly minPauseMs?: number | undefined;
  /**
   * A checkpoint that not all tasks have acknowledged after this time is aborted.
   * @defaultValue 600_000
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Checkpoints under way at a time.
   * @defaultValue 1
   */
  readonly maxConcurrentCheckpoints?: number | undefined;
  /**
   * Failed checkpoints in a row that the job goes on after; one more fails it.
   * @defaultValue 0
   */
  readonly tolerableFailedCheckpoints?: number | undefined;
  /**
   * Completed checkpoints that are kept, beside pinned ones.
   * @defaultValue 1
   */
  readonly retainedCheckpoints?: number | undefined;
  /**
   * What becomes of them when the job is cancelled. Pinned ones stay in either case.
   * @defaultValue "retain-on-cancellation"
   */
  readonly externalizedCheckpointRetention?: ExternalizedRetention | undefined;
}

export interface ResolvedCoordinatorOptions {
  readonly intervalMs: number | undefined;
  readonly minPauseMs: number;
  readonly timeoutMs: number;
  readonly maxConcurrentCheckpoints: number;
  readonly tolerableFailedCheckpoints: number;
  readonly retainedCheckpoints: number;
  readonly externalizedCheckpointRetention: ExternalizedRetention;
}

const names = [
  "intervalMs",
  "minPauseMs",
  "timeoutMs",
  "maxConcurrentCheckpoints",
  "tolerableFailedCheckpoints",
  "retainedCheckpoints",
  "externalizedCheckpointRetention",
];
const yearMs = 31_536_000_000;

export function resolveCoordinatorOptions(options: CoordinatorOptions): ResolvedCoordinatorOptions {
  refuseUnknownOptions("coordinator", options, names);
  const { intervalMs, externalizedCheckpointRetention = "retain-on-cancellation" } = options;
  const known: readonly string[] = ["retain-on-cancellation", "delete-on-cancellation"];
  if (!known.includes(externalizedCheckpointRetention)) {
    throw new InvalidArgumentError(
      `externalizedCheckpointRetention must be ${known.join(" or ")}, ` +
        `got ${String(externalizedCheckpointRetention)}`,
    );
  }
  const many = Number.MAX_SAFE_INTEGER;
  return {
    intervalMs:
      intervalMs === undefined ? undefined : integerOption("intervalMs", intervalMs, 0, 1, yearMs),
    minPauseMs: integerOption("minPauseMs", options.minPauseMs, 0, 0, yearMs),
    timeoutMs: integerOption("timeoutMs", options.timeoutMs, 600_000, 1, yearMs),
    maxConcurrentCheckpoints: integerOption(
      "maxConcurrentCheckpoints",
      options.maxConcurrentCheckpoints,
      1,
      1,
      1000,
    ),
    tolerableFailedCheckpoints: integerOption(
      "tolerableFailedCheckpoints",
      options.tolerableFailedCheckpoints,
      0,
      0,
      many,
    ),
    retainedCheckpoints: integerOption(
      "retainedCheckpoints",
      options.retainedCheckpoints,
      1,
      1,
      1_000_000,
    ),
    externalizedCheckpointRetention,
  };
}
