// What a coordinator knows: plain data, but for the registry.
import type { KeyedStateHandle, SharedFile } from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import { type DiscardQueue, newDiscardQueue } from "./discard-queue.ts";
import type { CoordinatorAction } from "./events.ts";
import type { CheckpointLife, CheckpointPhase } from "./lifecycle.ts";
import type { ResolvedCoordinatorOptions } from "./options.ts";
import type { RetainedCheckpoint } from "./retention.ts";
import { type Schedule, newSchedule } from "./schedule.ts";
import { SharedStateRegistry } from "./shared-state-registry.ts";

// suspended ──start──▶ running ──a task or the job fails──▶ recovering ──nothing open──▶ suspended
//     └───────────────────┴──────────────┬─────────────────────┘
//                                       stop ──▶ stopping ───────────────────────▶ emptying ──▶ stopped
//                                        └─▶ cancelling ──▶ closing ──closed────────┘
// and from each of them but `stopped`: fenced.
export type CoordinatorPhase =
  | "suspended" // The tasks are being started.
  | "running"
  | "recovering" // Until it is known which checkpoint is the newest.
  | "stopping" // Until no metadata is being written.
  | "cancelling" // The same, and then checkpoints are deleted.
  | "closing" // Until it is certain that this is the owner.
  | "emptying" // Until the discards are done.
  | "stopped"
  | "fenced";

export interface Checkpoint {
  readonly checkpointId: number;
  life: CheckpointLife;
  readonly triggeredAtMs: number;
  readonly requestId: number | undefined;
  /** By task, those that have acknowledged. */
  readonly handles: Map<number, KeyedStateHandle | undefined>;
  /** Undecided only: when its metadata is written again. */
  retryAtMs: number;
  /** When a failure to write its metadata was last counted. */
  countedAtMs: number | undefined;
  readonly owner: RetainedCheckpoint["owner"];
  isPinned: boolean;
}

export interface CoordinatorState {
  readonly options: ResolvedCoordinatorOptions;
  readonly taskCount: number;
  readonly epoch: string;
  readonly registry: SharedStateRegistry;
  phase: CoordinatorPhase;
  /** Highest time seen. */
  nowMs: number;
  nextCheckpointId: number;
  /** Of the newest completed checkpoint; 0 before the first. */
  newestNumber: number;
  /** Id of the completed checkpoint that tasks build on. */
  foundation: number | undefined;
  /** Until the first completion after a restore without claim. */
  isFullDue: boolean;
  /** In the order of their ids; those that ended in other ways than by completing are gone. */
  readonly checkpoints: Map<number, Checkpoint>;
  readonly schedule: Schedule;
  readonly discards: DiscardQueue;
  failuresInARow: number;
  timerMs: number | undefined;
}

export interface RestoredCheckpoint {
  readonly checkpointId: number;
  readonly completionNumber: number;
  readonly isPinned: boolean;
  /** Every file it references, by task. */
  readonly files: readonly (readonly SharedFile[])[];
}

export interface CoordinatorStart {
  readonly options: ResolvedCoordinatorOptions;
  readonly taskCount: number;
  /** Random, new for each coordinator: what is triggered under another one is not listened to. */
  readonly epoch: string;
  /** All retained checkpoints, in the order of completion. Empty: a new job. */
  readonly retained: readonly RestoredCheckpoint[];
  /** Id of the one that the tasks start from; undefined: they start empty. */
  readonly restoredFrom: number | undefined;
  /** False: what is there belongs to the user, and nothing new is built on it. */
  readonly isClaimed: boolean;
  /** Highest checkpoint id, and completion number, that any trace was found of; 0 if none. */
  readonly lastCheckpointId: number;
  readonly lastCompletionNumber: number;
}

export function newCoordinator(start: CoordinatorStart): CoordinatorState {
  assert(start.taskCount >= 1, "a job without tasks");
  const registry = new SharedStateRegistry();
  const checkpoints = new Map<number, Checkpoint>();
  let { lastCheckpointId, lastCompletionNumber } = start;
  for (const one of start.retained) {
    const { checkpointId, completionNumber, isPinned, files } = one;
    registry.restore(checkpointId, files.entries());
    checkpoints.set(checkpointId, {
      checkpointId,
      life: { phase: "completed", completionNumber },
      triggeredAtMs: -Infinity,
      requestId: undefined,
      handles: new Map(),
      retryAtMs: Infinity,
      countedAtMs: undefined,
      owner: start.isClaimed ? "job" : "user",
      isPinned,
    });
    lastCheckpointId = Math.max(lastCheckpointId, checkpointId);
    lastCompletionNumber = Math.max(lastCompletionNumber, completionNumber);
  }
  const { restoredFrom } = start;
  const isThere = restoredFrom === undefined || checkpoints.has(restoredFrom);
  assert(isThere, "the restored checkpoint is not among the retained ones");
  return {
    options: start.options,
    taskCount: start.taskCount,
    epoch: start.epoch,
    registry,
    phase: "suspended",
    nowMs: -Infinity,
    nextCheckpointId: lastCheckpointId + 1,
    newestNumber: lastCompletionNumber,
    foundation: restoredFrom,
    isFullDue: restoredFrom !== undefined && !start.isClaimed,
    checkpoints,
    schedule: newSchedule(),
    discards: newDiscardQueue(),
    failuresInARow: 0,
    timerMs: undefined,
  };
}

/** Those in one of the phases, in the order of their ids. */
export function inPhase(state: CoordinatorState, ...phases: CheckpointPhase[]): Checkpoint[] {
  return [...state.checkpoints.values()].filter(({ life }) => phases.includes(life.phase));
}

/** Triggered and not ended. */
export function underWay(state: CoordinatorState): Checkpoint[] {
  return inPhase(state, "triggered", "acknowledged", "finalizing", "undecided");
}

/** The completed checkpoints, in the order of completion. */
export function retainedOf(state: CoordinatorState): RetainedCheckpoint[] {
  const retained: RetainedCheckpoint[] = [];
  for (const { checkpointId, life, owner, isPinned } of state.checkpoints.values()) {
    if (life.phase !== "completed") continue;
    retained.push({ checkpointId, completionNumber: life.completionNumber, owner, isPinned });
  }
  return retained;
}

/** One action for each task. */
export function forEachTask(
  state: CoordinatorState,
  actions: CoordinatorAction[],
  make: (task: number) => CoordinatorAction,
): void {
  for (let task = 0; task < state.taskCount; task++) actions.push(make(task));
}
