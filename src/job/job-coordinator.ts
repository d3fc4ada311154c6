// Drives the coordinator of src/coordinator: does what it asks for, and tells it what came of it.
//   J1. Events are handled one at a time, in their order, each with all of its actions.
//   J2. Nothing is deleted but what the coordinator hands out, and nothing once fenced.
//      But for uploads of this owner whose metadata certainly is not there: nobody else knows them.
//   J3. Work under way is awaited before the end is reported.
import type {
  CheckpointCoordinator,
  CheckpointCoordinatorStats,
  CheckpointTask,
  CompletedJobCheckpoint,
  RestoreHandles,
  TaskSnapshot,
} from "../api/checkpoint-coordinator.ts";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import { CompletionSequence } from "../checkpoint/completion-sequence.ts";
import { metadataName } from "../checkpoint/layout.ts";
import { pinNumber, unpinNumber } from "../checkpoint/pins.ts";
import { assert, unreachable } from "../common/assert.ts";
import { advance } from "../coordinator/coordinator.ts";
import { retainedOf, underWay } from "../coordinator/coordinator-state.ts";
import type { CoordinatorState } from "../coordinator/coordinator-state.ts";
import type { CoordinatorAction, CoordinatorEvent, WriteMetadata } from "../coordinator/events.ts";
import {
  CheckpointAbortedError,
  CheckpointNotFoundError,
  ClosedError,
  FencedError,
  InvalidArgumentError,
} from "../errors.ts";
import { checkUserMetadata } from "../format/metadata.ts";
import type { Deletions } from "./deletions.ts";
import type { MetadataWriter } from "./metadata-writer.ts";
import { PartialCheckpoints } from "./partial-checkpoints.ts";
import { Requests } from "./requests.ts";
import { TaskRuns } from "./task-runs.ts";

export interface JobCoordinatorParts {
  readonly state: CoordinatorState;
  readonly storage: CheckpointStorage;
  readonly environment: Environment;
  readonly writer: MetadataWriter;
  readonly restore: RestoreHandles;
  /** Handles and metadata of the checkpoint with this completion number. */
  readonly load: (completionNumber: number) => Promise<RestoreHandles>;
  readonly onFailure: ((error: Error) => void) | undefined;
  readonly deletions: Deletions;
  readonly release: () => Promise<void>;
}

export class JobCoordinator implements CheckpointCoordinator {
  readonly restore: RestoreHandles;
  readonly #parts: JobCoordinatorParts;
  readonly #state: CoordinatorState;
  readonly #tasks: TaskRuns;
  readonly #partial = new PartialCheckpoints();
  readonly #requests = new Requests();
  readonly #stopped = new AbortController();
  readonly #events: CoordinatorEvent[] = [];
  readonly #running = new Set<Promise<void>>();
  #isAdvancing = false;
  #timer = new AbortController();
  #recoveries: (() => void)[] = [];
  #ended: Promise<void> | undefined;
  #end: (() => void) | undefined;
  #closeFailure: Error | undefined;
  #fencedBy: FencedError | undefined;
  #newest: CompletedJobCheckpoint | undefined;
  #completed = 0;

  constructor(parts: JobCoordinatorParts) {
    this.#parts = parts;
    this.#state = parts.state;
    this.restore = parts.restore;
    this.#tasks = new TaskRuns({
      acknowledged: (id, task, answer) => this.#acknowledged(id, task, answer),
      declined: (id, task, cause) => this.#declined(id, task, cause),
      broken: (_task, cause) => this.#report(cause),
    });
  }

  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  start(tasks: readonly CheckpointTask[]): void {
    this.signal.throwIfAborted();
    const { taskCount, phase } = this.#state;
    if (phase !== "suspended") {
      throw new InvalidArgumentError("start: the tasks run already; call recover() first");
    }
    if (tasks.length !== taskCount) {
      throw new InvalidArgumentError(`start takes all ${taskCount} tasks, got ${tasks.length}`);
    }
    this.#tasks.replace([...tasks]);
    this.#post({ type: "start" });
  }

  async trigger(
    options: { readonly full?: boolean | undefined } = {},
  ): Promise<CompletedJobCheckpoint> {
    this.signal.throwIfAborted();
    const { requestId, result } = this.#requests.add();
    this.#post({ type: "trigger-requested", requestId, isFull: options.full === true });
    return result;
  }

  async recover(): Promise<RestoreHandles> {
    this.signal.throwIfAborted();
    if (this.#state.phase === "running") this.#post({ type: "task-failed", task: 0 });
    while (this.#state.phase === "recovering") {
      await new Promise<void>((resolve) => this.#recoveries.push(resolve));
    }
    this.signal.throwIfAborted();
    const { foundation } = this.#state;
    // By number: by id, one whose pin was removed meanwhile would not be found.
    return foundation === undefined ? this.restore : this.#parts.load(this.#numberOf(foundation));
  }

  async pin(checkpointId: number): Promise<void> {
    await pinNumber(this.#parts.storage, this.#numberOf(checkpointId));
    if (this.#retains(checkpointId)) this.#post({ type: "pin", checkpointId });
  }

  async unpin(checkpointId: number): Promise<void> {
    await unpinNumber(this.#parts.storage, this.#numberOf(checkpointId));
    if (this.#retains(checkpointId)) this.#post({ type: "unpin", checkpointId });
  }

  cancel(): Promise<void> {
    return this.#finish(true);
  }

  close(): Promise<void> {
    return this.#finish(false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  stats(): CheckpointCoordinatorStats {
    const { discards, registry } = this.#state;
    return {
      completedCheckpoints: this.#completed,
      abortedCheckpoints: this.#tasks.aborted,
      underWay: underWay(this.#state).length,
      retained: retainedOf(this.#state).map(({ checkpointId }) => checkpointId),
      sharedFiles: registry.fileCount,
      deletedObjects: this.#parts.deletions.deletedObjects,
      pendingDeletions: discards.backlog,
      failedDeletions: discards.failures,
      abandonedDeletions: discards.givenUp,
    };
  }

  #numberOf(checkpointId: number): number {
    const found = retainedOf(this.#state).find((one) => one.checkpointId === checkpointId);
    if (found !== undefined) return found.completionNumber;
    throw new CheckpointNotFoundError(`checkpoint ${checkpointId} is not retained`);
  }

  #retains(checkpointId: number): boolean {
    return retainedOf(this.#state).some((one) => one.checkpointId === checkpointId);
  }

  #finish(isCancelled: boolean): Promise<void> {
    this.#ended ??= this.#stop(isCancelled);
    return this.#ended;
  }

  async #stop(isCancelled: boolean): Promise<void> {
    const stopped = new Promise<void>((resolve) => (this.#end = resolve));
    this.#post({ type: "stop", isCancelled });
    const { phase } = this.#state;
    if (phase !== "stopped" && phase !== "fenced") await stopped;
    if (!this.signal.aborted) this.#stopped.abort(new ClosedError("the coordinator is closed"));
    this.#tasks.stop(this.signal.reason as Error);
    this.#timer.abort();
    this.#wakeRecoveries();
    while (this.#running.size > 0) await Promise.all(this.#running); // J3
    await this.#parts.release();
    if (this.#closeFailure !== undefined) throw this.#closeFailure;
  }

  // Events and actions.

  #post(event: CoordinatorEvent): void {
    this.#events.push(event);
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const nowMs = this.#parts.environment.clock.monotonicMs();
        for (const action of advance(this.#state, next, nowMs)) this.#perform(action); // J1
      }
    } finally {
      this.#isAdvancing = false;
    }
  }

  #perform(action: CoordinatorAction): void {
    switch (action.type) {
      case "trigger": {
        this.#partial.prune((id) => this.#state.checkpoints.has(id));
        this.#partial.begin(action.checkpointId, this.#parts.environment.clock.monotonicMs());
        return this.#tasks.trigger(action.checkpointId, action.task, action.base === undefined);
      }
      case "write-metadata":
        return this.#run(() => this.#write(action));
      case "notify-complete":
        return this.#tasks.complete(action.checkpointId, action.task);
      case "notify-aborted":
        this.#partial.aborted(action.checkpointId, action.reason);
        return this.#tasks.abort(action.checkpointId, action.task, action.reason);
      case "notify-subsumed":
        return this.#tasks.subsume(action.checkpointId, action.task);
      case "discard":
        return this.#run(() => this.#discard(action.metadata, action.files));
      case "request-completed":
        return this.#requests.complete(action.requestId, this.#newest!);
      case "request-failed": {
        const { requestId, checkpointId, reason } = action;
        const cause = this.#partial.failureOf(checkpointId) ?? this.#fencedBy;
        return this.#requests.fail(requestId, reason, checkpointId, cause);
      }
      case "fail-job":
        return this.#fail(action.reason);
      case "restore":
        return this.#wakeRecoveries();
      case "set-timer":
        return this.#setTimer(action.atMs);
      case "close-sequence":
        return this.#run(() => this.#closeSequence(action.completionNumber));
      case "stopped":
        return this.#end?.();
      default:
        return unreachable(action);
    }
  }

  #run(work: () => Promise<void>): void {
    const done = work()
      .catch((cause: unknown) => this.#report(cause))
      .finally(() => this.#running.delete(done));
    this.#running.add(done);
  }

  /** What nobody awaits. */
  #report(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#parts.onFailure?.(error);
  }

  #fail(reason: "too-many-failures" | "fenced"): void {
    if (reason === "too-many-failures") {
      const { checkpointId, reason: last = "storage", cause } = this.#partial.lastFailure;
      this.#report(new CheckpointAbortedError(checkpointId, last, { cause }));
      return;
    }
    assert(this.#fencedBy !== undefined, "fenced by nobody");
    this.#stopped.abort(this.#fencedBy);
    this.#tasks.stop(this.#fencedBy);
    this.#timer.abort();
    this.#wakeRecoveries();
    this.#end?.();
    this.#report(this.#fencedBy);
  }

  #wakeRecoveries(): void {
    for (const resolve of this.#recoveries.splice(0)) resolve();
  }

  #setTimer(atMs: number): void {
    this.#timer.abort();
    this.#timer = new AbortController();
    const { timers, clock } = this.#parts.environment;
    const delayMs = Math.max(0, Math.ceil(atMs - clock.monotonicMs()));
    const { signal } = this.#timer;
    timers.delay(delayMs, signal).then(
      () => this.#post({ type: "tick" }),
      () => undefined, // Another time has taken its place.
    );
  }

  // Tasks.

  #acknowledged(checkpointId: number, task: number, answer: TaskSnapshot): void {
    try {
      checkUserMetadata(answer.metadata);
    } catch (cause) {
      // What it uploaded is registered all the same, by the late acknowledgement.
      this.#declined(checkpointId, task, cause);
    }
    const { snapshot } = answer;
    if (this.#fencedBy !== undefined) {
      this.#run(
        async () => void (await this.#parts.deletions.discard([], snapshot?.newFileIds ?? [])),
      );
      return;
    }
    const files = this.#partial.acknowledge(checkpointId, task, answer, this.#state.foundation);
    this.#post({
      type: "task-acknowledged",
      epoch: this.#state.epoch,
      checkpointId,
      task,
      files,
      handle: snapshot?.handle,
    });
  }

  #declined(checkpointId: number, task: number, cause: unknown): void {
    if (this.#state.checkpoints.has(checkpointId)) this.#partial.fail(checkpointId, cause);
    this.#post({ type: "task-declined", epoch: this.#state.epoch, checkpointId, task });
  }

  // The storage.

  async #write(request: WriteMetadata): Promise<void> {
    const { checkpointId, completionNumber } = request;
    const metadata = this.#partial.metadataOf(checkpointId, this.#state.taskCount);
    const beginMs = this.#parts.environment.clock.monotonicMs();
    const timing = this.#partial.timingOf(checkpointId, beginMs);
    const outcome = await this.#parts.writer.write(request, metadata, timing);
    if (outcome.type === "fenced") {
      this.#fencedBy = outcome.error;
      this.#partial.prune((id) => this.#state.checkpoints.has(id));
      this.#post({ type: "fenced" });
      await this.#parts.deletions.discard([], this.#partial.createdFiles());
      return;
    }
    if (outcome.type === "failed") {
      this.#partial.fail(checkpointId, outcome.cause);
      const { isOutcomeKnown } = outcome;
      this.#post({ type: "metadata-failed", checkpointId, isOutcomeKnown });
      return;
    }
    await this.#refreshPins();
    const { storage, environment } = this.#parts;
    const name = metadataName(completionNumber);
    const location = storage.locate?.(name) ?? name;
    const nowMs = environment.clock.monotonicMs();
    this.#newest = this.#partial.complete(checkpointId, completionNumber, nowMs, location);
    this.#completed++;
    const { isHintDurable } = outcome;
    this.#post({ type: "metadata-durable", checkpointId, isHintDurable });
    if (isHintDurable) await this.#parts.deletions.removeLeftovers();
  }

  /** Tools may have set or removed pins. */
  async #refreshPins(): Promise<void> {
    const before = retainedOf(this.#state);
    const pinned = await this.#parts.writer.pinned(before.map((one) => one.completionNumber));
    for (const { checkpointId, completionNumber, isPinned } of before) {
      const isSet = pinned.has(completionNumber);
      if (isSet !== isPinned && this.#retains(checkpointId)) {
        this.#post({ type: isSet ? "pin" : "unpin", checkpointId });
      }
    }
  }

  async #discard(metadata: readonly number[], files: readonly string[]): Promise<void> {
    const isDeleted = await this.#parts.deletions.discard(metadata, files);
    this.#post({ type: "discarded", isDeleted });
  }

  async #closeSequence(number: number): Promise<void> {
    const { storage } = this.#parts;
    try {
      const isClosed = await new CompletionSequence(storage).close(number, this.#state.epoch);
      if (!isClosed) {
        this.#fencedBy = new FencedError(
          `another owner has completed a checkpoint in ${storage.description}`,
        );
        this.#closeFailure = this.#fencedBy;
        this.#post({ type: "fenced" });
        return;
      }
    } catch (cause) {
      // Nothing is deleted. Whether the sequence is closed is found out by who opens it next.
      this.#closeFailure = cause as Error;
      this.#end?.();
      return;
    }
    assert(this.#state.phase === "closing", "the sequence is closed that nobody asked to close");
    this.#post({ type: "sequence-closed" });
  }
}
