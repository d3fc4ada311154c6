// Checkpoints on demand, and who waits for them.
import type { CompletedJobCheckpoint } from "../api/checkpoint-coordinator.ts";
import type { RequestFailure } from "../coordinator/events.ts";
import {
  BackPressureError,
  CheckpointAbortedError,
  ClosedError,
  FencedError,
  InvalidArgumentError,
} from "../errors.ts";

interface Waiter {
  readonly resolve: (checkpoint: CompletedJobCheckpoint) => void;
  readonly reject: (error: unknown) => void;
}

export class Requests {
  readonly #waiters = new Map<number, Waiter>();
  #last = 0;

  add(): { readonly requestId: number; readonly result: Promise<CompletedJobCheckpoint> } {
    const requestId = ++this.#last;
    const result = new Promise<CompletedJobCheckpoint>((resolve, reject) => {
      this.#waiters.set(requestId, { resolve, reject });
    });
    return { requestId, result };
  }

  complete(requestId: number, checkpoint: CompletedJobCheckpoint): void {
    this.#take(requestId)?.resolve(checkpoint);
  }

  /** `checkpointId`: undefined if none was triggered for it. */
  fail(
    requestId: number,
    reason: RequestFailure,
    checkpointId: number | undefined,
    cause: unknown,
  ): void {
    this.#take(requestId)?.reject(errorOf(reason, checkpointId, cause));
  }

  #take(requestId: number): Waiter | undefined {
    const waiter = this.#waiters.get(requestId);
    this.#waiters.delete(requestId);
    return waiter;
  }
}

function errorOf(reason: RequestFailure, checkpointId: number | undefined, cause: unknown): Error {
  if (reason === "not-running") {
    return new InvalidArgumentError("trigger: the tasks do not run; call start(tasks) first");
  }
  if (reason === "queue-full") {
    return new BackPressureError(
      "trigger: too many checkpoints wait to be triggered; await one, then repeat the call",
    );
  }
  if (reason === "fenced") {
    return cause instanceof FencedError ? cause : new FencedError("another owner has taken over");
  }
  if (checkpointId === undefined) return new ClosedError("the coordinator has ended");
  return new CheckpointAbortedError(checkpointId, reason, { cause });
}
