// Which completed checkpoints stay. Pure.
//   T1. The newest `count` of the job's own checkpoints stay, so the newest of all does.
//   T2. A pinned checkpoint stays until it is unpinned. It does not push out one of the newest.
//   T3. A checkpoint of the user stays: what a restore is based on belongs to the user unless it
//       was claimed. No clock takes part in any of this.

export interface RetainedCheckpoint {
  readonly checkpointId: number;
  readonly completionNumber: number;
  /** "user": found at restore and not claimed. */
  readonly owner: "job" | "user";
  readonly isPinned: boolean;
}

/** What becomes of the job's checkpoints when the job is cancelled (failed or stopped ones keep them). */
export type ExternalizedRetention = "retain-on-cancellation" | "delete-on-cancellation";

/** Those of `retained`, in the order of completion, that go. */
export function selectSubsumed<C extends RetainedCheckpoint>(
  retained: readonly C[],
  count: number,
): readonly C[] {
  const own = retained.filter(({ owner }) => owner === "job"); // T3
  const older = own.slice(0, Math.max(0, own.length - count)); // T1
  return older.filter(({ isPinned }) => !isPinned); // T2
}

/** Those that go when the job is cancelled. */
export function selectDeletedOnCancel<C extends RetainedCheckpoint>(
  retained: readonly C[],
  retention: ExternalizedRetention,
): readonly C[] {
  return retention === "delete-on-cancellation" ? selectSubsumed(retained, 0) : [];
}

/**
 * Lowest completion number that is retained, without a pin, once one more has completed, under
 * `number`. Pinned ones below it are found by their pins.
 */
export function oldestRetainedAt(
  retained: readonly RetainedCheckpoint[],
  number: number,
  count: number,
): number {
  const own = retained.filter(({ owner }) => owner === "job");
  const newest = own.slice(Math.max(0, own.length - count + 1));
  const users = retained.filter(({ owner }) => owner === "user");
  return Math.min(number, ...[...newest, ...users].map((one) => one.completionNumber));
}
