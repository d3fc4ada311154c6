// What the registry of shared files notes of checkpoints. R5 is that of shared-state-registry.ts.
import type { TaskChange, TaskUses } from "./task-change.ts";

export interface Completed {
  readonly checkpointId: number;
  /** Counts completed checkpoints of this registry from 1. */
  readonly position: number;
  isRetained: boolean;
  /** Attempts under way that build on it. */
  holds: number;
  /** Indexes of files that no later standing checkpoint uses. */
  readonly lastUses: Set<number>;
  /** Indexes of files that are used before and after, but not by this one. */
  readonly absent: Set<number>;
}

export interface Attempt {
  readonly checkpointId: number;
  /** Tasks build on nothing that completed before this position: what changed is kept from here on. */
  readonly oldestBase: number;
  readonly held: Completed[];
  /** Indexes of files that it may build on, whatever becomes of the checkpoints that use them. */
  readonly pinned: number[];
  readonly tasks: Map<number, TaskUses>;
}

/** Pins of an aborted attempt, until all attempts up to `until` have ended (R5). */
export interface Deferred {
  readonly until: number;
  readonly pinned: readonly number[];
}

export interface Change {
  readonly position: number;
  readonly tasks: ReadonlyMap<number, TaskChange>;
}

/** The checkpoint stands until the attempt ends. */
export function hold(attempt: Attempt, completed: Completed): void {
  if (attempt.held.includes(completed)) return;
  attempt.held.push(completed);
  completed.holds++;
}
