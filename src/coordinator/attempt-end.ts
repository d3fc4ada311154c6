// How a checkpoint under way ends, and what its end does to older ones.
import { assert } from "../common/assert.ts";
import type { CheckpointAbortReason } from "../errors.ts";
import { forEachTask, inPhase, retainedOf } from "./coordinator-state.ts";
import type { Checkpoint, CoordinatorState } from "./coordinator-state.ts";
import { addDiscards, retryDiscard } from "./discard-queue.ts";
import type { CoordinatorAction } from "./events.ts";
import { advanceLife } from "./lifecycle.ts";
import { selectSubsumed } from "./retention.ts";
import type { RetainedCheckpoint } from "./retention.ts";

/** Reasons that say something about the job: the others are its own doing. */
const countedReasons: ReadonlySet<CheckpointAbortReason> = new Set([
  "expired",
  "declined",
  "storage",
]);

/** The checkpoint is durable. C5 and C6 are those of coordinator.ts. */
export function complete(
  state: CoordinatorState,
  checkpoint: Checkpoint,
  isHintDurable: boolean,
  actions: CoordinatorAction[],
): void {
  const { checkpointId, requestId } = checkpoint;
  checkpoint.life = advanceLife(checkpoint.life, { step: "complete" });
  assert(checkpoint.life.phase === "completed", "completing does not complete");
  assert(checkpoint.life.completionNumber === state.newestNumber + 1, "C5: a number is skipped");
  state.registry.complete(checkpointId);
  state.newestNumber++;
  state.foundation = checkpointId;
  state.isFullDue = false;
  state.failuresInARow = 0;
  state.schedule.lastEndMs = state.nowMs;
  checkpoint.handles.clear();
  forEachTask(state, actions, (task) => ({ type: "notify-complete", task, checkpointId }));
  if (requestId !== undefined) actions.push({ type: "request-completed", requestId, checkpointId });
  for (const older of inPhase(state, "triggered", "acknowledged")) {
    if (older.checkpointId < checkpointId) abort(state, older, "superseded", actions);
  }
  retryDiscard(state.discards);
  if (isHintDurable) {
    subsume(state, selectSubsumed(retainedOf(state), state.options.retainedCheckpoints), actions);
  }
}

/** The coordinator gives up a checkpoint whose metadata is not being written. */
export function abort(
  state: CoordinatorState,
  checkpoint: Checkpoint,
  reason: CheckpointAbortReason,
  actions: CoordinatorAction[],
): void {
  checkpoint.life = advanceLife(checkpoint.life, { step: "abort", reason });
  if (countedReasons.has(reason)) state.failuresInARow++;
  announceAbort(state, checkpoint, reason, actions);
}

/** Its metadata does not exist, and never will. */
export function refute(
  state: CoordinatorState,
  checkpoint: Checkpoint,
  actions: CoordinatorAction[],
): void {
  checkpoint.life = advanceLife(checkpoint.life, { step: "refute" });
  announceAbort(state, checkpoint, "storage", actions);
}

function announceAbort(
  state: CoordinatorState,
  { checkpointId, requestId }: Checkpoint,
  reason: CheckpointAbortReason,
  actions: CoordinatorAction[],
): void {
  state.checkpoints.delete(checkpointId);
  state.registry.abort(checkpointId);
  state.schedule.lastEndMs = state.nowMs;
  forEachTask(state, actions, (task) => ({ type: "notify-aborted", task, checkpointId, reason }));
  if (requestId !== undefined) {
    actions.push({ type: "request-failed", requestId, checkpointId, reason });
  }
}

/** Completed checkpoints are given up: their metadata first, then what only they used. */
export function subsume(
  state: CoordinatorState,
  subsumed: readonly RetainedCheckpoint[],
  actions: CoordinatorAction[],
): void {
  if (subsumed.length === 0) return;
  for (const { checkpointId } of subsumed) {
    const checkpoint = state.checkpoints.get(checkpointId)!;
    checkpoint.life = advanceLife(checkpoint.life, { step: "subsume" });
    state.checkpoints.delete(checkpointId);
    state.registry.subsume(checkpointId);
  }
  const numbers = subsumed.map(({ completionNumber }) => completionNumber);
  addDiscards(state.discards, numbers, state.registry.takeDiscardable());
  const lowest = retainedOf(state)[0]?.checkpointId ?? Infinity;
  const checkpointId = subsumed.findLast((one) => one.checkpointId < lowest)?.checkpointId;
  if (checkpointId === undefined) return;
  forEachTask(state, actions, (task) => ({ type: "notify-subsumed", task, checkpointId }));
}
