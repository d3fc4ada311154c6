// Decides about the checkpoints of a job of one task or many. Pure but for its own state: told what
// happened and when, it answers what is to be done. Page: docs/coordinator.md.
//   C1. A checkpoint id is triggered once. Ids increase, past every id of earlier owners that left a
//       trace; with the epoch they are unique for ever.
//   C2. Never more than `maxConcurrentCheckpoints` are triggered and not ended.
//   C3. A checkpoint completes when every task has acknowledged it and its metadata is durable.
//   C4. Metadata is written one at a time. While it is written, or its fate is unknown, only the
//       storage decides: it is written again, under the same number, until it is durable, or
//       another owner has the number.
//   C5. Completion numbers are dense. Checkpoints complete in the order of their ids: those that a
//       newer one overtakes are aborted.
//   C6. Nothing that was completed is given up but after a newer one completed by this owner, or
//       after the sequence was closed: until then another owner may build on it.
//   C7. What another epoch says is not listened to; and once fenced, nothing is done and nothing
//       deleted any more.
//   C8. Every upload that a task of this epoch acknowledges is registered, however late; only files
//       that were registered are deleted.
//   C9. Tasks are restarted only when no checkpoint can complete any more that they would not start
//       from: sinks commit what a completed checkpoint holds.
//   C10. Time decides about triggers, timeouts and repetitions only. It is the monotonic clock's, and a
//       time before the last one counts as the last one.
import { assert, unreachable } from "../common/assert.ts";
import type { CheckpointAbortReason } from "../errors.ts";
import { abort, complete, refute } from "./attempt-end.ts";
import { forEachTask, inPhase, retainedOf, underWay } from "./coordinator-state.ts";
import type { Checkpoint, CoordinatorState } from "./coordinator-state.ts";
import { addDiscards, settleDiscard, takeDiscard } from "./discard-queue.ts";
import type { CoordinatorAction, CoordinatorEvent, TaskAcknowledged } from "./events.ts";
import { advanceLife, newLife } from "./lifecycle.ts";
import { fence, goOnStopping, sequenceClosed, setPinned, stop } from "./ownership.ts";
import { refuse, refuseAll, request } from "./requests.ts";
import { oldestRetainedAt } from "./retention.ts";
import { nextTrigger, periodicAt } from "./schedule.ts";

/** Between two tries to write metadata whose fate is unknown. */
const metadataRetryMs = 1000;

/** Changes the state by one event, and returns what is to be done, in this order. */
export function advance(
  state: CoordinatorState,
  event: CoordinatorEvent,
  nowMs: number,
): readonly CoordinatorAction[] {
  const actions: CoordinatorAction[] = [];
  if (state.phase === "fenced" || state.phase === "stopped") {
    if (event.type === "trigger-requested") refuse(event.requestId, "not-running", actions);
    return actions; // C7
  }
  state.nowMs = Math.max(state.nowMs, nowMs); // C10
  handle(state, event, actions);
  settle(state, actions);
  return actions;
}

function handle(
  state: CoordinatorState,
  event: CoordinatorEvent,
  actions: CoordinatorAction[],
): void {
  switch (event.type) {
    case "start":
      return start(state);
    case "tick":
      state.timerMs = undefined;
      return;
    case "trigger-requested":
      return request(state, event.requestId, event.isFull, actions);
    case "task-acknowledged":
      return acknowledge(state, event, actions);
    case "task-declined": {
      const checkpoint = checkpointOf(state, event);
      if (checkpoint !== undefined && isOpen(checkpoint)) {
        abort(state, checkpoint, "declined", actions);
      }
      return;
    }
    case "task-failed":
      checkTask(state, event.task);
      return recover(state, "declined", actions);
    case "metadata-durable":
      return complete(state, finalizing(state, event), event.isHintDurable, actions);
    case "metadata-failed":
      return metadataFailed(state, finalizing(state, event), event.isOutcomeKnown, actions);
    case "fenced":
      return fence(state, actions);
    case "discarded":
      return settleDiscard(state.discards, event.isDeleted);
    case "pin":
    case "unpin":
      return setPinned(state, event.checkpointId, event.type === "pin");
    case "stop":
      return stop(state, event.isCancelled, actions);
    case "sequence-closed":
      return sequenceClosed(state, actions);
    default:
      return unreachable(event);
  }
}

/** What follows from the state, whatever the event was. */
function settle(state: CoordinatorState, actions: CoordinatorAction[]): void {
  if (state.phase === "fenced") return;
  for (const checkpoint of inPhase(state, "triggered", "acknowledged")) {
    if (state.nowMs >= expiryOf(state, checkpoint)) abort(state, checkpoint, "expired", actions);
  }
  if (state.phase === "running") failIfTooMany(state, actions);
  finalizeNext(state, actions);
  if (state.phase === "recovering") restore(state, actions);
  while (state.phase === "running" && triggerNext(state, actions));
  if (state.phase === "stopping" || state.phase === "cancelling") goOnStopping(state, actions);
  addDiscards(state.discards, [], state.registry.takeDiscardable());
  const batch = takeDiscard(state.discards);
  if (batch !== undefined) actions.push({ type: "discard", ...batch });
  if (state.phase === "emptying" && !state.discards.isUnderWay) {
    state.phase = "stopped";
    actions.push({ type: "stopped" });
    return;
  }
  setTimer(state, actions);
}

// Triggering.

function start(state: CoordinatorState): void {
  const isEarly = state.phase === "running" || state.phase === "recovering";
  assert(!isEarly, "C9: tasks start that nobody asked to start");
  if (state.phase !== "suspended") return; // They came up while the job was being stopped.
  state.phase = "running";
  state.failuresInARow = 0;
  const { intervalMs } = state.options;
  if (intervalMs !== undefined) state.schedule.nextPeriodicMs = state.nowMs + intervalMs;
}

/** Triggers one checkpoint if one is due. */
function triggerNext(state: CoordinatorState, actions: CoordinatorAction[]): boolean {
  const { schedule, options, nowMs } = state;
  const kind = nextTrigger(schedule, options, underWay(state).length, nowMs);
  if (kind === undefined) return false;
  const asked = kind === "request" ? schedule.requests.shift() : undefined;
  if (kind === "periodic" && options.intervalMs !== undefined) {
    schedule.nextPeriodicMs = nowMs + options.intervalMs;
  }
  const checkpointId = state.nextCheckpointId++; // C1
  state.registry.begin(checkpointId, state.foundation);
  state.checkpoints.set(checkpointId, {
    checkpointId,
    life: newLife(state.taskCount),
    triggeredAtMs: nowMs,
    requestId: asked?.requestId,
    handles: new Map(),
    retryAtMs: Infinity,
    countedAtMs: undefined,
    owner: "job",
    isPinned: false,
  });
  assert(underWay(state).length <= options.maxConcurrentCheckpoints, "C2: too many under way");
  const isFull = state.isFullDue || asked?.isFull === true;
  const base = isFull ? undefined : state.foundation;
  forEachTask(state, actions, (task) => ({ type: "trigger", task, checkpointId, base }));
  return true;
}

// What the tasks say.

function acknowledge(
  state: CoordinatorState,
  event: TaskAcknowledged,
  actions: CoordinatorAction[],
): void {
  if (event.epoch !== state.epoch) return; // C7
  const { checkpointId, task, files, handle: taskHandle } = event;
  const checkpoint = checkpointOf(state, event);
  if (checkpoint?.life.phase !== "triggered" || checkpoint.handles.has(task)) {
    state.registry.registerLate(checkpointId, files.created); // C8
    return;
  }
  if (!state.registry.register(checkpointId, task, files)) {
    abort(state, checkpoint, "declined", actions); // It builds on what is given up.
    return;
  }
  checkpoint.handles.set(task, taskHandle);
  checkpoint.life = advanceLife(checkpoint.life, { step: "acknowledge" });
}

/** The checkpoint a task speaks of; undefined if it has ended, or is not of this epoch. */
function checkpointOf(
  state: CoordinatorState,
  event: { readonly epoch: string; readonly checkpointId: number; readonly task: number },
): Checkpoint | undefined {
  if (event.epoch !== state.epoch) return undefined; // C7
  assert(event.checkpointId < state.nextCheckpointId, "a task speaks of a checkpoint to come");
  checkTask(state, event.task);
  return state.checkpoints.get(event.checkpointId);
}

/** All tasks go back to the newest checkpoint: what not all have acknowledged is of no use any more. */
function recover(
  state: CoordinatorState,
  reason: CheckpointAbortReason,
  actions: CoordinatorAction[],
): void {
  if (state.phase === "running" || state.phase === "suspended") state.phase = "recovering";
  state.schedule.nextPeriodicMs = undefined;
  refuseAll(state, "not-running", actions);
  for (const checkpoint of inPhase(state, "triggered")) abort(state, checkpoint, reason, actions);
}

/** Once the newest checkpoint is known (C9). */
function restore(state: CoordinatorState, actions: CoordinatorAction[]): void {
  if (underWay(state).length > 0) return;
  state.phase = "suspended";
  actions.push({ type: "restore", checkpointId: state.foundation });
}

function checkTask(state: CoordinatorState, task: number): void {
  const isTask = Number.isInteger(task) && task >= 0 && task < state.taskCount;
  assert(isTask, "no task has this index");
}

function failIfTooMany(state: CoordinatorState, actions: CoordinatorAction[]): void {
  if (state.failuresInARow <= state.options.tolerableFailedCheckpoints) return;
  actions.push({ type: "fail-job", reason: "too-many-failures" });
  recover(state, "shutdown", actions);
}

// Metadata.

/** Has the metadata written of the oldest checkpoint whose turn it is (C4). */
function finalizeNext(state: CoordinatorState, actions: CoordinatorAction[]): void {
  const [current] = inPhase(state, "finalizing", "undecided");
  const next = current ?? inPhase(state, "acknowledged")[0];
  if (next === undefined || next.life.phase === "finalizing") return;
  if (next.life.phase === "undecided") {
    const isStopping = state.phase !== "running" && state.phase !== "recovering";
    if (isStopping || state.nowMs < next.retryAtMs) return; // The next owner finds out.
  }
  const completionNumber = state.newestNumber + 1;
  next.life = advanceLife(next.life, { step: "finalize", completionNumber });
  actions.push({
    type: "write-metadata",
    checkpointId: next.checkpointId,
    completionNumber,
    oldestRetained: oldestRetainedAt(
      retainedOf(state),
      completionNumber,
      state.options.retainedCheckpoints,
    ),
    handles: Array.from({ length: state.taskCount }, (_, task) => next.handles.get(task)),
  });
}

function finalizing(
  state: CoordinatorState,
  { checkpointId }: { readonly checkpointId: number },
): Checkpoint {
  const checkpoint = state.checkpoints.get(checkpointId);
  const isFinalizing = checkpoint?.life.phase === "finalizing";
  assert(isFinalizing, "C4: metadata is reported that is not being written");
  return checkpoint!;
}

function metadataFailed(
  state: CoordinatorState,
  checkpoint: Checkpoint,
  isOutcomeKnown: boolean,
  actions: CoordinatorAction[],
): void {
  const wasInDoubt = checkpoint.countedAtMs !== undefined;
  // One failure, and one more for each `timeoutMs` of doubt: a job must not go on without checkpoints.
  const isCounted = state.nowMs < (checkpoint.countedAtMs ?? -Infinity) + state.options.timeoutMs;
  if (!isCounted) {
    state.failuresInARow++;
    checkpoint.countedAtMs = state.nowMs;
  }
  // What a request did whose fate is unknown, a later one that is refused does not tell.
  if (isOutcomeKnown && !wasInDoubt) {
    refute(state, checkpoint, actions);
    return;
  }
  checkpoint.life = advanceLife(checkpoint.life, { step: "doubt" });
  checkpoint.retryAtMs = state.nowMs + metadataRetryMs;
}

// Time.

/** True while the coordinator may give it up (L2). */
function isOpen({ life }: Checkpoint): boolean {
  return life.phase === "triggered" || life.phase === "acknowledged";
}

function expiryOf(state: CoordinatorState, { triggeredAtMs }: Checkpoint): number {
  return triggeredAtMs + state.options.timeoutMs;
}

function setTimer(state: CoordinatorState, actions: CoordinatorAction[]): void {
  const open = underWay(state);
  const times = open.filter(isOpen).map((checkpoint) => expiryOf(state, checkpoint));
  for (const { life, retryAtMs } of open) if (life.phase === "undecided") times.push(retryAtMs);
  if (state.phase === "running") {
    times.push(periodicAt(state.schedule, state.options, open.length));
  }
  const atMs = Math.min(...times, Infinity);
  if (atMs === Infinity || atMs === state.timerMs) return;
  state.timerMs = atMs;
  actions.push({ type: "set-timer", atMs });
}
