// The LSM backend with policy "changelog": a checkpoint is a base and the log of what changed since.
//   C1. A checkpoint names a base that was cut within the chain of batches, at the end of one, and all
//       batches after it.
//   C2. While a chain goes on nothing is marked drained before it is appended (G3 of the ledger).
//   C3. A chain ends when an append fails, or a checkpoint is given up that alone knows a segment of it.
//       The next checkpoint then holds everything: it makes a base of its own, and a chain begins.
//   C4. Every checkpoint names the segment that its newest batch is in, whatever the base holds: what is
//       appended to is never deleted.
//   C5. A base from the background is part of one checkpoint under way at most, and is the base of
//       others once that one is confirmed. Until then they name the one before.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { ChangelogStats, SegmentHandle, SnapshotResult } from "../api/keyed-state-backend.ts";
import type { Appended, LogWriter } from "../changelog/log-writer.ts";
import { fileName } from "../checkpoint/layout.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { CheckpointAbortedError, StorageError } from "../errors.ts";
import { segmentFile } from "../format/changelog-segment.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { type Attempt, newAttempt } from "./changelog-attempt.ts";
import { ChangelogChain, type MergedSegment } from "./changelog-chain.ts";
import { ChainGate } from "./chain-gate.ts";
import { raceAbort } from "./drain-controller.ts";
import { EarlyAppends } from "./early-appends.ts";
import {
  type ConfirmedBase,
  type LogState,
  Materialization,
  type MaterializationOptions,
} from "./materialization.ts";
import type { LsmTierOptions } from "./lsm-tier.ts";
import { SegmentMerger } from "./segment-merger.ts";
import { TierOver } from "./tier-over.ts";
import type { FileKeeper, Tier, TierStats } from "./tier.ts";

export interface ChangelogTierOptions
  extends MaterializationOptions, Pick<LsmTierOptions, "keyGroups" | "schemas" | "pin"> {
  readonly buffer: WriteBuffer;
  readonly storage: CheckpointStorage;
  readonly pool: WorkerPool;
  readonly local: LocalFiles | undefined;
  /** That this backend is attached to. */
  readonly writer: LogWriter;
}

/** What was restored, if checkpoints may go on from it. */
export interface RestoredLog {
  readonly base: ConfirmedBase;
  readonly segments: readonly SegmentHandle[];
}

export class ChangelogTier extends TierOver implements Tier {
  readonly #options: ChangelogTierOptions;
  readonly #materialization: Materialization;
  readonly #merger: SegmentMerger;
  readonly #early: EarlyAppends;
  /** Undefined until the first checkpoint. */
  #chain: ChangelogChain | undefined;
  #base: ConfirmedBase | undefined;
  readonly #attempts = new Map<number, Attempt>();
  readonly #confirmedSegments = new Set<string>();
  /** Segments that went with a checkpoint: those under way that name one must not become durable. */
  readonly #lost = new Set<string>();
  #logBytes = 0;
  readonly #past = { appends: 0, appendedRows: 0, appendedBytes: 0 };

  constructor(options: ChangelogTierOptions) {
    super(options.lsm);
    this.#options = options;
    this.#early = new EarlyAppends(options.buffer, options.changelog.earlyAppendBytes);
    this.#materialization = new Materialization(options);
    this.#merger = new SegmentMerger({
      ...options,
      onDamage: (chain) => chain.end(), // C3
    });
    options.buffer.takesBlindAppends = false;
    options.lsm.drains.gate = new ChainGate(() => this.#chain);
  }

  /** Checkpoints go on from what was restored, all of which is sealed up to `boundary`. */
  resume({ base, segments }: RestoredLog, boundary: number): void {
    this.#base = base;
    for (const { id } of segments) this.#confirmedSegments.add(id);
    this.#logBytes = segments.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const { changeNumberBase } = this.#options;
    this.#chain = this.#newChain(boundary, changeNumberBase, base.changeNumber, segments);
  }

  /** How fast the log was replayed that this backend began with, in bytes a ms. */
  replayedAt(rate: number): void {
    this.#materialization.replayRate = rate;
  }

  #newChain(
    boundary: number,
    change: number,
    startChange: number,
    segments: readonly SegmentHandle[],
  ): ChangelogChain {
    const { writer, buffer, environment, keyGroups, changeNumberBase, changelog, lsm } =
      this.#options;
    const options = {
      writer,
      buffer,
      clock: environment.clock,
      keyGroups,
      changeNumberBase,
      segmentBytes: changelog.segmentBytes,
      onAppended: () => lsm.drains.poll(),
      onSynced: (synced: SegmentHandle, bytes: Uint8Array | undefined) => {
        this.#keepHere(synced, bytes);
      },
    };
    return new ChangelogChain(options, boundary, change, startChange, segments);
  }

  /** In the background, and never in the way of a checkpoint. */
  #keepHere(synced: SegmentHandle, bytes: Uint8Array | undefined): void {
    const { local, storage } = this.#options;
    if (local === undefined) return;
    const storedPath = storage.locate?.(fileName(synced.id));
    if (bytes !== undefined) void local.keepSegment(synced.id, bytes);
    else if (storedPath !== undefined) void local.keepGrowing(synced, storedPath);
  }

  /** The buffer sealed a generation by its size. Called in the middle of a record: posts messages only. */
  sealed(boundary: number): void {
    const { buffer, lsm } = this.#options;
    if (this.#chain?.isWhole === true) {
      this.#chain.cover(boundary);
      this.#early.sealed();
    }
    // A drain is worth it for as much as without a log, and not for each early append.
    const isMuch = buffer.ledger.undrainedCount * 8 >= buffer.pool.quota;
    if (isMuch) lsm.drains.sealed(boundary);
  }

  begin(checkpointId: number, keeper: FileKeeper, signal: AbortSignal): Promise<SnapshotResult> {
    const chain = this.#chain;
    const base = this.#base;
    const isUsable =
      chain?.isWhole === true && base !== undefined && base.changeNumber >= chain.startChange; // C1
    const isDue = keeper === "nobody" || this.#materialization.hasFailedForGood;
    if (isDue || !isUsable || !this.#pinAll(checkpointId, keeper, chain, base)) {
      return this.#beginWithBase(checkpointId, keeper, signal);
    }
    return this.#beginWithLog(checkpointId, keeper, chain, base, signal);
  }

  /** Keeps what the checkpoint names until it ends; a runtime does so by itself. */
  #pinAll(
    checkpointId: number,
    keeper: FileKeeper,
    chain: ChangelogChain,
    base: ConfirmedBase,
  ): boolean {
    if (keeper !== "store") return true;
    const segments = [...this.#confirmedSegments].filter((id) => chain.names(id));
    const files = [...base.files, ...segments.map((id) => segmentFile({ id }))];
    return files.every((file) => this.#options.pin(checkpointId, file));
  }

  /** C3: drain and capture, as with policy "incremental". */
  #beginWithBase(
    checkpointId: number,
    keeper: FileKeeper,
    signal: AbortSignal,
  ): Promise<SnapshotResult> {
    const { buffer, lsm, changeNumberBase } = this.#options;
    this.#materialization.cancel();
    const captured = lsm.begin(checkpointId, keeper, signal);
    const boundary = buffer.ledger.active - 1; // Of the cut that was just made.
    const isOver = this.#chain?.isWhole !== true;
    // Not while an append of the old chain still reads: then the next checkpoint begins one.
    if (isOver && (this.#chain?.isIdle ?? true)) this.#restart(boundary);
    const attempt = newAttempt({
      chain: this.#chain?.isWhole === true ? this.#chain : undefined,
      keeper,
      makesBase: true,
      logFrom: changeNumberBase + boundary,
      made: undefined,
      merged: undefined,
    });
    this.#attempts.set(checkpointId, attempt);
    this.#early.cut(boundary);
    return captured.then((snapshot) => {
      const { handle, files } = snapshot;
      attempt.base = { changeNumber: changeNumberBase + boundary, handle: handle.base, files };
      return snapshot;
    });
  }

  #restart(boundary: number): void {
    const before = this.#chain;
    if (before !== undefined) {
      this.#past.appends += before.appends;
      this.#past.appendedRows += before.appendedRows;
      this.#past.appendedBytes += before.appendedBytes;
    }
    const change = this.#options.changeNumberBase + boundary;
    this.#chain = this.#newChain(boundary, change, change, []);
  }

  #beginWithLog(
    checkpointId: number,
    keeper: FileKeeper,
    chain: ChangelogChain,
    confirmed: ConfirmedBase,
    signal: AbortSignal,
  ): Promise<SnapshotResult> {
    const { buffer, schemas, changeNumberBase } = this.#options;
    const made = this.#materialization.take(); // C5
    const merged = made === undefined ? this.#merger.take(chain) : undefined;
    const boundary = buffer.seal();
    const appended = chain.append(boundary, true);
    this.#early.cut(boundary);
    const logFrom = (made?.base ?? confirmed).changeNumber;
    const attempt = newAttempt({ chain, keeper, makesBase: false, logFrom, made, merged });
    this.#attempts.set(checkpointId, attempt);
    const changeNumber = changeNumberBase + boundary;
    const cut = { checkpointId, changeNumber, states: schemas() };
    return this.#finish(attempt, made?.base ?? confirmed, cut, appended, signal);
  }

  async #finish(
    attempt: Attempt,
    base: ConfirmedBase,
    cut: Pick<SnapshotResult["handle"], "changeNumber" | "states"> & { checkpointId: number },
    appending: Promise<Appended>,
    signal: AbortSignal,
  ): Promise<SnapshotResult> {
    const { environment, lsm, keyGroups, discard } = this.#options;
    const { clock } = environment;
    const { made, merged } = attempt;
    const chain = attempt.chain!;
    const startMs = clock.monotonicMs();
    try {
      const appended = await raceAbort(appending, signal); //# fail point: changelog.appended
      const appendedMs = clock.monotonicMs() - startMs;
      await lsm.verified(signal);
      if (attempt.isGivenUp) throw new CheckpointAbortedError(cut.checkpointId, "superseded");
      const { segments, logBytes } = chain.logAfter(base.changeNumber, appended, merged);
      attempt.segments = segments.map(({ id }) => id);
      attempt.newSegments = attempt.segments.filter((id) => !this.#confirmedSegments.has(id));
      attempt.logBytes = logBytes;
      const logged = chain.takeLogged();
      const { appendMs, syncMs } = appended;
      const cutMs = Math.max(0, appendedMs - appendMs - syncMs);
      return {
        handle: {
          keyGroups,
          changeNumber: cut.changeNumber,
          base: base.handle,
          log: { baseChangeNumber: base.changeNumber, segments },
          states: cut.states,
        },
        files: [...base.files, ...segments.map(segmentFile)],
        newFileIds: [...(made?.written.newFileIds ?? []), ...attempt.newSegments],
        logBytes,
        estimatedRecoveryMs: this.#materialization.estimatedRecoveryMs({
          logBytes,
          segments: segments.length,
          baseBytes: base.handle.totalBytes,
        }),
        logged,
        isMaterializing: this.#materialization.isRunning,
        uploadedBytes:
          logged.bytes + (made?.written.uploadedBytes ?? 0) + (merged?.handle.lengthBytes ?? 0),
        phases: { cutMs, appendMs, syncMs, uploadMs: 0 },
      };
    } catch (error) {
      // Nobody heard of these.
      if (made !== undefined) discard(made.written.newFileIds);
      if (merged !== undefined) discard([merged.handle.id]);
      throw error;
    }
  }

  /** Throws if files that the checkpoint names may be gone: it must not become durable. */
  requireWhole(checkpointId: number): void {
    const segments = this.#attempts.get(checkpointId)?.segments ?? [];
    if (!segments.some((id) => this.#lost.has(id))) return;
    const cause = new StorageError(
      "a checkpoint before it was given up, and its changelog segment",
    );
    throw new CheckpointAbortedError(checkpointId, "storage", { cause });
  }

  complete(checkpointId: number): void {
    const { lsm } = this.#options;
    lsm.complete(checkpointId);
    const attempt = this.#attempts.get(checkpointId);
    if (attempt !== undefined) {
      for (const id of attempt.segments) this.#confirmedSegments.add(id);
      if (attempt.made !== undefined) lsm.adopt(attempt.made.written);
      if (attempt.merged !== undefined) this.#adopt(attempt.merged, attempt.chain!);
      if (attempt.base !== undefined) {
        this.#base = attempt.base;
        this.#materialization.confirmed(attempt.made);
        this.#merger.cancel(); // Its parts may go with the base before.
      }
      this.#logBytes = attempt.logBytes;
    }
    for (const [id, { made, merged }] of this.#attempts) {
      if (id > checkpointId) continue;
      if (id < checkpointId && made !== undefined) this.#materialization.dropped(made);
      if (id < checkpointId && merged !== undefined) this.#merger.dropped(merged);
      this.#forget(id);
    }
    this.#trim();
    // A base that is being made builds on the confirmed one, which must not change meanwhile.
    const isBaseUnderWay = [...this.#attempts.values()].some(({ makesBase }) => makesBase);
    if (!isBaseUnderWay) this.#materialization.consider(this.#logState());
    if (this.#chain?.isWhole === true && this.#base !== undefined) {
      const isConfirmed = (id: string): boolean => this.#confirmedSegments.has(id);
      this.#merger.consider(this.#chain, this.#base.changeNumber, isConfirmed);
    }
  }

  #adopt(merged: MergedSegment, chain: ChangelogChain): void {
    this.#merger.confirmed(merged);
    if (chain.isWhole) chain.replace(merged); // Otherwise nothing names its parts any more.
  }

  /** Forgets segments that neither a checkpoint under way nor one to come needs. */
  #trim(): void {
    const chain = this.#chain;
    if (chain === undefined || this.#base === undefined) return;
    const under = [...this.#attempts.values()].map(({ logFrom }) => logFrom);
    chain.trim(Math.min(this.#base.changeNumber, ...under));
    for (const id of this.#confirmedSegments) {
      if (!chain.names(id)) this.#confirmedSegments.delete(id);
    }
  }

  #forget(checkpointId: number): void {
    const attempt = this.#attempts.get(checkpointId);
    if (attempt !== undefined) attempt.isGivenUp = true; // If it has not told of its files by now.
    this.#attempts.delete(checkpointId);
    if (this.#attempts.size === 0) this.#lost.clear(); // Nobody can name them any more.
  }

  abort(checkpointId: number): void {
    const { lsm, discard } = this.#options;
    lsm.abort(checkpointId);
    const attempt = this.#attempts.get(checkpointId);
    if (attempt === undefined) return;
    this.#forget(checkpointId);
    if (attempt.made !== undefined) this.#materialization.dropped(attempt.made);
    const { merged } = attempt;
    if (merged !== undefined) this.#merger.dropped(merged);
    const told = attempt.newSegments.filter((id) => !this.#confirmedSegments.has(id));
    const lost = told.filter((id) => id !== merged?.handle.id); // Whose parts the log goes on with.
    if (lost.length > 0 && attempt.chain === this.#chain) this.#chain?.end(); // C3
    if (attempt.keeper !== "store") return; // They are deleted by who was told of them.
    if (this.#attempts.size > 0) for (const id of lost) this.#lost.add(id);
    if (told.length > 0) discard(told);
  }

  #logState(): LogState {
    const base = this.#base?.handle;
    const segments = this.#chain?.segmentCount ?? 0;
    return { logBytes: this.#logBytes, segments, baseBytes: base?.totalBytes ?? 0 };
  }

  stats(): TierStats {
    return { ...this.#options.lsm.stats(), changelog: this.#changelogStats() };
  }

  #changelogStats(): ChangelogStats {
    const chain = this.#chain;
    const materialization = this.#materialization;
    const { appends, appendedRows, appendedBytes } = this.#past;
    return {
      appends: appends + (chain?.appends ?? 0),
      appendedRows: appendedRows + (chain?.appendedRows ?? 0),
      appendedBytes: appendedBytes + (chain?.appendedBytes ?? 0),
      segments: this.#options.writer.segments,
      logBytes: this.#logBytes,
      merges: this.#merger.merges,
      failedMerges: this.#merger.failed,
      materializations: materialization.completed,
      failedMaterializations: materialization.failed,
      isMaterializing: materialization.isRunning,
      estimatedRecoveryMs: materialization.estimatedRecoveryMs(this.#logState()),
    };
  }

  /** The LSM is closed after this, by who opened it. */
  async close(): Promise<void> {
    this.#materialization.cancel();
    this.#merger.cancel();
    await this.#materialization.settled();
    await this.#merger.settled();
    await this.#chain?.settled();
    await this.#options.writer.detach();
  }
}
