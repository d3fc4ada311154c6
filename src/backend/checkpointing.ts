// Takes checkpoints of one backend: cut, upload, metadata, confirmation. The runtime's coordinator
// does the same for many backends through the lower half.
//   K1. The cut is made in the call. What follows runs in the order of the cuts.
//   K2. An id is used once in the life of this backend, whatever became of its checkpoint.
//   K3. At most CUTS_UNDER_WAY_MAX cuts are under way: each holds on to what it shows until it ends.
import type { Environment } from "../api/environment.ts";
import type {
  CheckpointPolicy,
  CompletedCheckpoint,
  JsonValue,
  SnapshotResult,
} from "../api/keyed-state-backend.ts";
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { type CheckpointTrace, checkpointTracing } from "../diagnostics.ts";
import {
  BackPressureError,
  CheckpointAbortedError,
  ClosedError,
  FencedError,
  InvalidArgumentError,
  InvariantViolation,
  PoisonedError,
} from "../errors.ts";
import { checkUserMetadata } from "../format/metadata.ts";
import type { BackendStatus } from "./backend-status.ts";
import type { Tier } from "./tier.ts";

/**
 * Checkpoints and snapshots together. One is written and the next may wait for it; more than a few
 * waiting means that the caller asks faster than the storage takes, and only pins more.
 */
export const CUTS_UNDER_WAY_MAX = 16;

export class Checkpointing {
  readonly #tier: Tier;
  readonly #store: CheckpointStore;
  readonly #status: BackendStatus;
  readonly #environment: Environment;
  readonly #policy: CheckpointPolicy;
  readonly #running = new Set<Promise<unknown>>();
  #turn: Promise<unknown> = Promise.resolve();
  #lastId: number;
  completed = 0;
  aborted = 0;
  uploadedBytes = 0;

  constructor(
    tier: Tier,
    store: CheckpointStore,
    status: BackendStatus,
    environment: Environment,
    policy: CheckpointPolicy,
    lastId: number,
  ) {
    this.#tier = tier;
    this.#store = store;
    this.#status = status;
    this.#environment = environment;
    this.#policy = policy;
    this.#lastId = lastId;
  }

  take(
    metadata: JsonValue | undefined,
    signal: AbortSignal | undefined,
  ): Promise<CompletedCheckpoint> {
    if (this.#store.isTask) {
      throw new InvalidArgumentError(
        "checkpoint: this backend was restored from handles, so its checkpoints are its coordinator's: use snapshot()",
      );
    }
    checkUserMetadata(metadata);
    signal?.throwIfAborted();
    this.#refuseTooMany();
    // Of the moment of the cut, as the state is: the caller may go on changing the object.
    const copy = metadata === undefined ? undefined : (structuredClone(metadata) as JsonValue);
    const startMs = this.#environment.clock.monotonicMs();
    const checkpointId = ++this.#lastId; // K2
    const both = this.#orStopped(signal);
    const trace: CheckpointTrace = { checkpointId, policy: this.#policy };
    this.#store.begin(checkpointId);
    const done = checkpointTracing.tracePromise(() => {
      const captured = this.#tier.begin(checkpointId, "store", both); // K1
      trace.pauseMs = this.#environment.clock.monotonicMs() - startMs;
      return this.#finish(checkpointId, captured, copy, both, startMs, trace);
    }, trace);
    const result = done.catch((cause: unknown) => this.#failed(checkpointId, cause, signal));
    return this.#track(result);
  }

  /** Cuts and captures, for runtimes that keep the metadata themselves. */
  snapshot(
    checkpointId: number,
    isFull: boolean,
    signal: AbortSignal | undefined,
  ): Promise<SnapshotResult> {
    signal?.throwIfAborted();
    this.#refuseTooMany();
    const keeper = isFull ? "nobody" : "runtime";
    const { clock } = this.#environment;
    const startMs = clock.monotonicMs();
    const captured = this.#tier.begin(checkpointId, keeper, this.#orStopped(signal));
    const pauseMs = clock.monotonicMs() - startMs;
    return this.#track(captured.then((snapshot) => ({ ...snapshot, pauseMs })));
  }

  /**
   * A cut that is no checkpoint: it takes an id and a place (K2, K3), and moves nothing. Rejects with
   * its own failure, or with why the backend does not serve any more.
   */
  aside<T>(
    signal: AbortSignal | undefined,
    cut: (checkpointId: number, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    this.#refuseTooMany();
    const both = this.#orStopped(signal);
    const result = cut(++this.#lastId, both).catch((cause: unknown) => {
      if (cause instanceof InvariantViolation) throw this.#status.poison(cause);
      if (signal?.aborted === true && cause === signal.reason) throw cause;
      throw this.#status.refusal ?? cause;
    });
    return this.#track(result);
  }

  #orStopped(signal: AbortSignal | undefined): AbortSignal {
    const { signal: stopped } = this.#status;
    return signal === undefined ? stopped : AbortSignal.any([signal, stopped]);
  }

  #track<T>(result: Promise<T>): Promise<T> {
    const settled = result.then(
      () => undefined,
      () => undefined, // Its caller hears of it.
    );
    this.#running.add(settled);
    void settled.then(() => this.#running.delete(settled));
    return result;
  }

  /** K3. Before anything is cut, so that the caller may repeat the call as it was. */
  #refuseTooMany(): void {
    if (this.#running.size < CUTS_UNDER_WAY_MAX) return;
    throw new BackPressureError(
      `${CUTS_UNDER_WAY_MAX} checkpoints are under way and the storage does not keep up: await one of them, then repeat the call`,
    );
  }

  async #finish(
    checkpointId: number,
    captured: Promise<SnapshotResult>,
    metadata: JsonValue | undefined,
    signal: AbortSignal,
    startMs: number,
    trace: CheckpointTrace,
  ): Promise<CompletedCheckpoint> {
    const before = this.#turn;
    const committed = (async () => {
      const snapshot = await captured; //# fail point: checkpoint.captured
      await before; //# fail point: checkpoint.turn-came
      // From here on the checkpoint may become durable: it is no longer abortable.
      this.#requireWanted(checkpointId, snapshot, signal);
      const commitMs = this.#environment.clock.monotonicMs();
      const result = await this.#store.commit({
        checkpointId,
        policy: this.#policy,
        snapshots: [snapshot],
        userMetadata: metadata,
        timing: {
          startMs,
          pauseMs: trace.pauseMs ?? 0,
          phases: snapshot.phases,
          recoveryMs: snapshot.estimatedRecoveryMs,
          logged: snapshot.logged,
          isMaterializing: snapshot.isMaterializing,
        },
      });
      return { snapshot, result, commitMs };
    })();
    this.#turn = committed.catch(() => undefined);
    const { snapshot, result, commitMs } = await committed; //# fail point: checkpoint.committed
    const { uploadedBytes, newFileIds, files, handle } = snapshot;
    const endMs = this.#environment.clock.monotonicMs();
    const pauseMs = trace.pauseMs ?? 0;
    this.completed++;
    this.uploadedBytes += uploadedBytes;
    const segmentBytes = handle.log?.segments.reduce((sum, one) => sum + one.lengthBytes, 0) ?? 0;
    const totalBytes = handle.base.totalBytes + handle.base.fileList.lengthBytes + segmentBytes;
    trace.uploadedBytes = uploadedBytes;
    trace.totalBytes = totalBytes;
    trace.completionNumber = result.completionNumber;
    return {
      checkpointId,
      policy: this.#policy,
      durationMs: endMs - startMs,
      pauseMs,
      phases: {
        ...(snapshot.phases ?? { cutMs: 0, appendMs: 0, syncMs: 0, uploadMs: 0 }),
        sealMs: pauseMs,
        acknowledgeMs: commitMs - startMs,
        metadataMs: endMs - commitMs,
      },
      uploadedBytes,
      totalBytes,
      logBytes: snapshot.logBytes ?? 0,
      estimatedRecoveryMs: snapshot.estimatedRecoveryMs,
      logged: snapshot.logged,
      isMaterializing: snapshot.isMaterializing ?? false,
      newFileCount: newFileIds.length,
      fileCount: files.length,
      location: result.location,
    };
  }

  #requireWanted(checkpointId: number, snapshot: SnapshotResult, signal: AbortSignal): void {
    try {
      signal.throwIfAborted();
      this.#tier.requireWhole?.(checkpointId);
    } catch (error) {
      this.#store.abort(checkpointId, snapshot.newFileIds); // Nobody else knows of the files.
      throw error;
    }
  }

  #failed(checkpointId: number, cause: unknown, signal: AbortSignal | undefined): never {
    this.aborted++;
    this.#tier.abort(checkpointId);
    this.#store.abort(checkpointId);
    if (cause instanceof FencedError) {
      this.#status.fence(cause);
      throw cause;
    }
    if (cause instanceof InvariantViolation) throw this.#status.poison(cause);
    if (signal?.aborted === true && cause === signal.reason) throw cause;
    const { refusal } = this.#status;
    if (refusal instanceof PoisonedError) throw refusal;
    if (refusal instanceof FencedError) throw refusal;
    if (refusal instanceof ClosedError) {
      throw new CheckpointAbortedError(checkpointId, "shutdown", { cause });
    }
    if (cause instanceof CheckpointAbortedError) throw cause;
    throw new CheckpointAbortedError(checkpointId, "storage", { cause });
  }

  /** Resolves when no checkpoint or snapshot is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }
}
