// When a checkpoint is triggered. Pure; all times are of the monotonic clock, and decide about
// triggers and timeouts only, never about deleting.
//   S1. Never more under way than `maxConcurrentCheckpoints`.
//   S2. Requests go first, in their order, and do not wait for the interval or the pause.
//   S3. A periodic one comes no sooner than `minPauseMs` after the last one ended, and then alone.
import type { ResolvedCoordinatorOptions } from "./options.ts";

/** Requests that may wait. */
export const REQUESTS_MAX = 1000;

export interface TriggerRequest {
  readonly requestId: number;
  readonly isFull: boolean;
}

export interface Schedule {
  /** When the interval is over; undefined: no periodic checkpoints. */
  nextPeriodicMs: number | undefined;
  /** When a checkpoint last completed or was aborted. */
  lastEndMs: number;
  readonly requests: TriggerRequest[];
}

export function newSchedule(): Schedule {
  return { nextPeriodicMs: undefined, lastEndMs: -Infinity, requests: [] };
}

/** What may be triggered now. */
export function nextTrigger(
  schedule: Schedule,
  options: ResolvedCoordinatorOptions,
  underWay: number,
  nowMs: number,
): "request" | "periodic" | undefined {
  if (underWay >= options.maxConcurrentCheckpoints) return undefined; // S1
  if (schedule.requests.length > 0) return "request"; // S2
  return nowMs >= periodicAt(schedule, options, underWay) ? "periodic" : undefined;
}

/** When the next periodic one may be triggered if nothing else happens; Infinity: not at all. */
export function periodicAt(
  schedule: Schedule,
  options: ResolvedCoordinatorOptions,
  underWay: number,
): number {
  const limit = options.minPauseMs > 0 ? 1 : options.maxConcurrentCheckpoints; // S3
  if (schedule.nextPeriodicMs === undefined || underWay >= limit) return Infinity;
  return Math.max(schedule.nextPeriodicMs, schedule.lastEndMs + options.minPauseMs);
}
