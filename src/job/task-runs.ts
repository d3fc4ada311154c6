// Triggers the tasks and hears their answers, for one start of the job after the other.
//   R1. Every trigger is answered once: acknowledged, declined, or, if the task was let go of
//       meanwhile, acknowledged late or not at all.
import type { CheckpointTask, TaskSnapshot } from "../api/checkpoint-coordinator.ts";
import { CheckpointAbortedError } from "../errors.ts";
import type { CheckpointAbortReason } from "../errors.ts";

export interface TaskAnswers {
  acknowledged(checkpointId: number, task: number, answer: TaskSnapshot): void;
  declined(checkpointId: number, task: number, cause: unknown): void;
  /** A task threw where it must not. */
  broken(task: number, cause: unknown): void;
}

export class TaskRuns {
  #tasks: readonly CheckpointTask[] = [];
  readonly #answers: TaskAnswers;
  /** Checkpoints that were given up. */
  aborted = 0;
  /** By checkpoint. */
  readonly #controllers = new Map<number, AbortController>();

  constructor(answers: TaskAnswers) {
    this.#answers = answers;
  }

  /** Those of the last start hear nothing any more. */
  replace(tasks: readonly CheckpointTask[]): void {
    this.#tasks = tasks;
  }

  trigger(checkpointId: number, task: number, full: boolean): void {
    let controller = this.#controllers.get(checkpointId);
    if (controller === undefined) {
      controller = new AbortController();
      this.#controllers.set(checkpointId, controller);
    }
    const { signal } = controller;
    const to = this.#tasks[task];
    // Within this call: the cut of a task in this process is of this moment.
    const answer = (async () => to!.triggerCheckpoint(checkpointId, { full, signal }))();
    answer.then(
      (snapshot) => this.#answers.acknowledged(checkpointId, task, snapshot),
      (cause: unknown) => this.#answers.declined(checkpointId, task, cause),
    );
  }

  complete(checkpointId: number, task: number): void {
    this.#controllers.delete(checkpointId);
    this.#tell(task, (to) => to.notifyCheckpointComplete(checkpointId));
  }

  abort(checkpointId: number, task: number, reason: CheckpointAbortReason): void {
    const controller = this.#controllers.get(checkpointId);
    if (controller !== undefined) {
      this.#controllers.delete(checkpointId);
      this.aborted++;
      controller.abort(new CheckpointAbortedError(checkpointId, reason));
    }
    this.#tell(task, (to) => to.notifyCheckpointAborted(checkpointId));
  }

  subsume(checkpointId: number, task: number): void {
    this.#tell(task, (to) => to.notifyCheckpointSubsumed(checkpointId));
  }

  /** No answer is of use any more. */
  stop(reason: Error): void {
    for (const controller of this.#controllers.values()) controller.abort(reason);
    this.#controllers.clear();
    this.#tasks = [];
  }

  #tell(task: number, notify: (to: CheckpointTask) => void): void {
    const to = this.#tasks[task];
    if (to === undefined) return;
    try {
      notify(to);
    } catch (cause) {
      this.#answers.broken(task, cause);
    }
  }
}
