import type { CoordinatorState } from "../../../src/coordinator/coordinator-state.ts";
import { newCoordinator } from "../../../src/coordinator/coordinator-state.ts";
import type { CoordinatorStart } from "../../../src/coordinator/coordinator-state.ts";
import { advance } from "../../../src/coordinator/coordinator.ts";
import type { CoordinatorAction, CoordinatorEvent } from "../../../src/coordinator/events.ts";
import { resolveCoordinatorOptions } from "../../../src/coordinator/options.ts";
import type { CoordinatorOptions } from "../../../src/coordinator/options.ts";
import { fileOf } from "../../support/shared-files.ts";

/** A coordinator of two tasks that is driven by hand. Each new file has the next number. */
export class Rig {
  readonly state: CoordinatorState;
  nowMs = 1000;
  #nextFile = 1;

  constructor(options: CoordinatorOptions = {}, start: Partial<CoordinatorStart> = {}) {
    this.state = newCoordinator({
      options: resolveCoordinatorOptions(options),
      taskCount: 2,
      epoch: "now",
      retained: [],
      restoredFrom: undefined,
      isClaimed: true,
      lastCheckpointId: 0,
      lastCompletionNumber: 0,
      ...start,
    });
  }

  /** What is asked for, in short: "trigger 0 1". */
  event(event: CoordinatorEvent): string[] {
    return advance(this.state, event, this.nowMs).map(inShort);
  }

  start(): string[] {
    return this.event({ type: "start" });
  }

  tick(afterMs: number): string[] {
    this.nowMs += afterMs;
    return this.event({ type: "tick" });
  }

  request(requestId: number = 0, isFull: boolean = false): string[] {
    return this.event({ type: "trigger-requested", requestId, isFull });
  }

  /** Task `task` has uploaded one file. */
  acknowledge(checkpointId: number, task: number, base?: number, epoch: string = "now"): string[] {
    const files = { base, created: [fileOf(this.#nextFile++)], reused: [], released: [] };
    const type = "task-acknowledged";
    return this.event({ type, epoch, checkpointId, task, files, handle: undefined });
  }

  decline(checkpointId: number, task: number, epoch: string = "now"): string[] {
    return this.event({ type: "task-declined", epoch, checkpointId, task });
  }

  durable(checkpointId: number, isHintDurable: boolean = true): string[] {
    return this.event({ type: "metadata-durable", checkpointId, isHintDurable });
  }

  failed(checkpointId: number, isOutcomeKnown: boolean): string[] {
    return this.event({ type: "metadata-failed", checkpointId, isOutcomeKnown });
  }

  /** Triggers a checkpoint and lets it complete. */
  complete(base?: number): string[] {
    const id = this.state.nextCheckpointId;
    this.request();
    for (const task of [0, 1]) this.acknowledge(id, task, base);
    return this.durable(id);
  }

  phaseOf(checkpointId: number): string | undefined {
    return this.state.checkpoints.get(checkpointId)?.life.phase;
  }
}

function inShort(action: CoordinatorAction): string {
  if (action.type === "request-failed")
    return `${action.type} ${action.requestId} ${action.reason}`;
  const { type, ...fields } = action;
  const values = Object.values(fields).map((value: unknown) => {
    if (!Array.isArray(value)) return String(value);
    return `[${value.map((one) => (typeof one === "string" ? Number.parseInt(one, 16) : String(one))).join(",")}]`;
  });
  return [type, ...values].join(" ");
}
