// Makes new bases in the background, so that the log stays short: drain, capture and upload of everything
// up to a cut of its own. A checkpoint never waits for it.
//   M1. One at a time over the backends of a process, and one of this backend at most, made or not, until
//       a checkpoint with it is confirmed or given up: it builds on the base that is confirmed.
//   M2. A failure is tried again after a while that doubles; after too many in a row the next
//       checkpoint makes the base itself, and tells what is wrong.
import type { Environment } from "../api/environment.ts";
import type { BaseHandle, SharedFile } from "../api/keyed-state-backend.ts";
import type { WrittenSstSet } from "../checkpoint/base-writer.ts";
import { assert } from "../common/assert.ts";
import { type MaterializationTrace, materializationTracing } from "../diagnostics.ts";
import { BackOff } from "./back-off.ts";
import type { BackendStatus } from "./backend-status.ts";
import type { ResolvedChangelogOptions } from "./changelog-options.ts";
import type { LsmTier } from "./lsm-tier.ts";

/** Segments from which on a base is due: a handle can name 4,096. */
const SEGMENTS_MAX = 512;
/** Assumed: hashing what a restore verifies; and replaying a log, until that was measured. */
const RESTORE_BYTES_PER_MS = 400_000;
const REPLAY_BYTES_PER_MS = 50_000;

/** A base that checkpoints may name. */
export interface ConfirmedBase {
  /** It holds exactly the changes up to it. */
  readonly changeNumber: number;
  readonly handle: BaseHandle;
  /** Its files, the file list included. */
  readonly files: readonly SharedFile[];
}

/** A base that no confirmed checkpoint names yet. */
export interface MadeBase {
  readonly base: ConfirmedBase;
  readonly written: WrittenSstSet;
}

export interface MaterializationOptions {
  readonly environment: Environment;
  readonly lsm: LsmTier;
  readonly status: BackendStatus;
  readonly changelog: ResolvedChangelogOptions;
  readonly changeNumberBase: number;
  readonly discard: (ids: readonly string[]) => void;
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
}

/** What decides whether a base is due. */
export interface LogState {
  readonly logBytes: number;
  readonly segments: number;
  readonly baseBytes: number;
}

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "running"; readonly stop: AbortController }
  | { readonly kind: "made"; readonly made: MadeBase }
  | { readonly kind: "taken"; readonly made: MadeBase };

export class Materialization {
  readonly #options: MaterializationOptions;
  #state: State = { kind: "idle" };
  /** Never rejects; of what was cancelled too, but not of what still waits for its turn (M1). */
  #work: Promise<void> = Promise.resolve();
  readonly #backOff: BackOff;
  #sinceMs: number;
  /** Of the interval, so that tasks that began together do not materialize together. */
  #jitter = 1;
  /** Measured, in bytes a ms. */
  replayRate: number = REPLAY_BYTES_PER_MS;
  completed = 0;
  failed = 0;

  constructor(options: MaterializationOptions) {
    this.#options = options;
    this.#backOff = new BackOff(options.environment.clock);
    this.#sinceMs = options.environment.clock.monotonicMs();
    this.#drawJitter();
  }

  get isRunning(): boolean {
    return this.#state.kind === "running";
  }

  /** M2 */
  get hasFailedForGood(): boolean {
    return this.#backOff.failuresInARow > this.#options.changelog.tolerableFailedMaterializations;
  }

  /** What a restore would take, in ms. */
  estimatedRecoveryMs({ baseBytes, logBytes }: LogState): number {
    return baseBytes / RESTORE_BYTES_PER_MS + logBytes / this.replayRate;
  }

  /** Begins if it is due, and nothing is under way (M1). */
  consider(log: LogState): void {
    if (this.#state.kind !== "idle" || !this.#options.status.isOpen) return;
    if (this.#backOff.isPaused) return;
    const trigger = this.#triggerOf(log);
    if (trigger !== undefined) this.#begin(trigger);
  }

  #triggerOf(log: LogState): MaterializationTrace["trigger"] | undefined {
    const { changelog, environment } = this.#options;
    const { materializationLogBytes, materializationIntervalMs, recoveryTimeObjectiveMs } =
      changelog;
    if (log.logBytes >= materializationLogBytes || log.segments >= SEGMENTS_MAX) {
      return "log-bytes";
    }
    if (log.logBytes === 0) return undefined;
    // Where the base alone takes longer than the objective a shorter log is all that can be done,
    // but not a base for every few bytes.
    const floorBytes = Math.min(materializationLogBytes, Math.max(1_048_576, log.baseBytes / 64));
    const isLate =
      recoveryTimeObjectiveMs !== undefined &&
      this.estimatedRecoveryMs(log) > recoveryTimeObjectiveMs &&
      log.logBytes >= floorBytes;
    if (isLate) return "recovery-time";
    const ageMs = environment.clock.monotonicMs() - this.#sinceMs;
    return ageMs >= materializationIntervalMs * this.#jitter ? "age" : undefined;
  }

  #begin(trigger: MaterializationTrace["trigger"]): void {
    const stop = new AbortController();
    const trace: MaterializationTrace = { trigger };
    this.#state = { kind: "running", stop };
    const turn = (): Promise<void> => {
      const work = this.#make(stop, trace);
      this.#work = work.catch(() => undefined); // What was made before it has ended (M1).
      return work;
    };
    materializationTracing
      .tracePromise(() => this.#options.exclusive(turn), trace)
      .catch(() => this.#failedOnce(stop));
  }

  async #make(stop: AbortController, trace: MaterializationTrace): Promise<void> {
    const { lsm, status, changeNumberBase, discard } = this.#options;
    const signal = AbortSignal.any([stop.signal, status.signal]);
    signal.throwIfAborted();
    const { boundary, written } = lsm.beginBase(signal);
    const set = await written; //# fail point: materialization.written
    if (signal.aborted) {
      discard(set.newFileIds);
      signal.throwIfAborted();
    }
    trace.uploadedBytes = set.uploadedBytes;
    trace.totalBytes = set.base.totalBytes;
    const base = { changeNumber: changeNumberBase + boundary, handle: set.base, files: set.files };
    this.#state = { kind: "made", made: { base, written: set } };
  }

  #failedOnce(stop: AbortController): void {
    if (this.#state.kind === "running" && this.#state.stop === stop) this.#state = { kind: "idle" };
    if (!stop.signal.aborted && this.#options.status.isOpen) this.#countFailure();
  }

  #countFailure(): void {
    this.failed++;
    this.#backOff.failed(); // M2
  }

  /** The base that is made, for one checkpoint. */
  take(): MadeBase | undefined {
    if (this.#state.kind !== "made") return undefined;
    const { made } = this.#state;
    this.#state = { kind: "taken", made };
    return made;
  }

  /** A checkpoint with a new base is confirmed: with `made`, or with one of its own. */
  confirmed(made: MadeBase | undefined): void {
    this.#backOff.succeeded();
    this.#sinceMs = this.#options.environment.clock.monotonicMs();
    this.#drawJitter();
    if (made === undefined) {
      this.cancel(); // It builds on files that are not the newest base's any more.
      return;
    }
    assert(this.#state.kind === "taken" && this.#state.made === made, "M1: another base is taken");
    this.completed++;
    this.#state = { kind: "idle" };
  }

  /** The checkpoint with the base is given up, and the base with it. */
  dropped(made: MadeBase): void {
    assert(this.#state.kind === "taken" && this.#state.made === made, "M1: another base is taken");
    this.#state = { kind: "idle" };
    this.#countFailure();
  }

  /** What is under way or made is of no use: a checkpoint makes a base of its own. */
  cancel(): void {
    const state = this.#state;
    if (state.kind === "running") state.stop.abort(new Error("another base is made"));
    else if (state.kind === "made") this.#options.discard(state.made.written.newFileIds);
    else return; // What is taken ends with its checkpoint.
    this.#state = { kind: "idle" };
  }

  #drawJitter(): void {
    const [byte] = this.#options.environment.random.bytes(1);
    this.#jitter = 0.9 + (0.2 * byte!) / 255;
  }

  /** Resolves when nothing is under way, of what was cancelled too. */
  async settled(): Promise<void> {
    await this.#work;
  }
}
