// Pins, fencing, and the end of a job.
import { assert } from "../common/assert.ts";
import { CheckpointNotFoundError } from "../errors.ts";
import { abort, subsume } from "./attempt-end.ts";
import { inPhase, retainedOf, underWay } from "./coordinator-state.ts";
import type { CoordinatorState } from "./coordinator-state.ts";
import { retryDiscard } from "./discard-queue.ts";
import type { CoordinatorAction } from "./events.ts";
import { refuse, refuseAll } from "./requests.ts";
import { selectDeletedOnCancel } from "./retention.ts";

export function setPinned(state: CoordinatorState, checkpointId: number, isPinned: boolean): void {
  const checkpoint = state.checkpoints.get(checkpointId);
  if (checkpoint?.life.phase === "completed") {
    checkpoint.isPinned = isPinned;
    return;
  }
  const ids = retainedOf(state).map((one) => one.checkpointId);
  throw new CheckpointNotFoundError(
    `checkpoint ${checkpointId} is not retained; those that are: ${ids.join(", ") || "none"}`,
  );
}

export function fence(state: CoordinatorState, actions: CoordinatorAction[]): void {
  state.phase = "fenced";
  for (const { requestId } of underWay(state)) {
    if (requestId !== undefined) refuse(requestId, "fenced", actions);
  }
  refuseAll(state, "fenced", actions);
  actions.push({ type: "fail-job", reason: "fenced" });
}

export function stop(
  state: CoordinatorState,
  isCancelled: boolean,
  actions: CoordinatorAction[],
): void {
  const isUp = state.phase === "running" || state.phase === "suspended";
  if (!isUp && state.phase !== "recovering") return; // Stopped once already.
  const { externalizedCheckpointRetention } = state.options;
  const deletes = isCancelled && externalizedCheckpointRetention === "delete-on-cancellation";
  state.phase = deletes ? "cancelling" : "stopping";
  state.schedule.nextPeriodicMs = undefined;
  retryDiscard(state.discards);
  refuseAll(state, "shutdown", actions);
  for (const checkpoint of inPhase(state, "triggered", "acknowledged")) {
    abort(state, checkpoint, "shutdown", actions);
  }
}

export function goOnStopping(state: CoordinatorState, actions: CoordinatorAction[]): void {
  if (inPhase(state, "finalizing").length > 0) return; // L2
  // Of an undecided checkpoint nothing may be deleted, nor of those it may share files with.
  if (state.phase === "stopping" || inPhase(state, "undecided").length > 0) {
    state.phase = "emptying";
    return;
  }
  state.phase = "closing";
  actions.push({ type: "close-sequence", completionNumber: state.newestNumber + 1 });
}

export function sequenceClosed(state: CoordinatorState, actions: CoordinatorAction[]): void {
  assert(state.phase === "closing", "a sequence is closed that nobody asked to close");
  state.registry.retire();
  const { externalizedCheckpointRetention } = state.options;
  subsume(
    state,
    selectDeletedOnCancel(retainedOf(state), externalizedCheckpointRetention),
    actions,
  );
  state.phase = "emptying";
}
