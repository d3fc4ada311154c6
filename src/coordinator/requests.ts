// Checkpoints on demand: each request is answered once.
import type { CoordinatorState } from "./coordinator-state.ts";
import type { CoordinatorAction, RequestFailure } from "./events.ts";
import { REQUESTS_MAX } from "./schedule.ts";

export function request(
  state: CoordinatorState,
  requestId: number,
  isFull: boolean,
  actions: CoordinatorAction[],
): void {
  const { requests } = state.schedule;
  if (state.phase !== "running") refuse(requestId, "not-running", actions);
  else if (requests.length >= REQUESTS_MAX) refuse(requestId, "queue-full", actions);
  else requests.push({ requestId, isFull });
}

export function refuse(
  requestId: number,
  reason: RequestFailure,
  actions: CoordinatorAction[],
): void {
  actions.push({ type: "request-failed", requestId, checkpointId: undefined, reason });
}

export function refuseAll(
  state: CoordinatorState,
  reason: RequestFailure,
  actions: CoordinatorAction[],
): void {
  for (const { requestId } of state.schedule.requests) refuse(requestId, reason, actions);
  state.schedule.requests.length = 0;
}
