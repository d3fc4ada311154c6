// The LSM backend's lower half: drains, captures of the live SST set, scans and prefetch.
//   T1. A cut seals, and in the same turn requests the drain of what is sealed and then the capture: the
//       store's queue is serial, so nothing later can be in the captured set.
//   T2. Files are built upon only once their checkpoint is confirmed.
//   T3. Uploads run one after the other, in the order of the cuts.
import type { Environment } from "../api/environment.ts";
import { removeDirectory } from "../environment/typed-error.ts";
import type {
  CheckpointPolicy,
  KeyGroupRange,
  SavepointFormat,
  SharedFile,
  SnapshotResult,
  StateSchema,
} from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import { assert } from "../common/assert.ts";
import {
  type CapturedSst,
  type FileSink,
  type WrittenSstSet,
  writeSstSet,
} from "../checkpoint/base-writer.ts";
import { ClosedError } from "../errors.ts";
import type { CapturedSet } from "../lsm/capture.ts";
import type { LsmStore } from "../lsm/lsm-store.ts";
import { packKeys, unpackRows } from "../lsm/prefetch.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { DrainController, raceAbort } from "./drain-controller.ts";
import { Enumerations, type KeySource } from "./enumerations.ts";
import { capturedKeys } from "./captured-keys.ts";
import { stateRanges } from "./key-scan.ts";
import { tableReservedBytes } from "./memory-plan.ts";
import type { BackgroundVerification } from "./background-verification.ts";
import type { RestoredDatabase } from "./lsm-restore.ts";
import { ScratchDirectories } from "./scratch-directories.ts";
import type { PrefetchTarget } from "./state-catalog.ts";
import { writeTableRows } from "./table-rows.ts";
import type { FileKeeper, Tier, TierStats } from "./tier.ts";
import type { BackendStatus } from "./backend-status.ts";

export interface LsmTierOptions {
  readonly environment: Environment;
  readonly workers: WorkerPool;
  readonly storage: FileSink;
  readonly store: LsmStore;
  readonly buffer: WriteBuffer;
  readonly status: BackendStatus;
  readonly policy: CheckpointPolicy;
  readonly keyGroups: KeyGroupRange;
  readonly changeNumberBase: number;
  readonly workingDirectory: string;
  readonly blockSizeBytes: number;
  /** What the database was restored from: its stored files are confirmed from the start. */
  readonly restored: RestoredDatabase | undefined;
  /** Under way if the restored files were not all verified before. */
  readonly verification: BackgroundVerification | undefined;
  readonly schemas: () => readonly StateSchema[];
  readonly prefetchTargets: (keys: readonly Key[]) => readonly PrefetchTarget[];
  /** Keeps confirmed files that a snapshot builds on from being deleted meanwhile. */
  readonly pin: (checkpointId: number, file: SharedFile) => boolean;
  readonly discard: (ids: readonly string[]) => void;
}

/** A set of tables under way to the storage. */
interface Cut {
  readonly boundary: number;
  readonly captured: Promise<CapturedSet>;
  readonly written: Promise<WrittenSstSet>;
}

interface Upload extends Pick<Cut, "captured"> {
  /** The upload before. */
  readonly before: Promise<unknown>;
  readonly reuse: ReadonlyMap<number, SharedFile>;
  /** Adds to `reuse` what was confirmed since. */
  readonly gatherLater: () => void;
  /** Of the capture; removed at the end. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly task: "checkpoint" | "materialization";
}

export class LsmTier implements Tier {
  readonly kind = "lsm";
  readonly #options: LsmTierOptions;
  readonly drains: DrainController;
  #confirmed: ReadonlyMap<number, SharedFile>;
  readonly #written = new Map<number, ReadonlyMap<number, SharedFile>>();
  #uploads: Promise<unknown> = Promise.resolve();
  readonly #background = new Set<Promise<unknown>>();
  readonly #directories: ScratchDirectories;
  readonly #enumerations = new Enumerations();
  #tableBytes = 0;
  #prefetchedRows = 0;
  #linkedFiles = 0;
  #copiedFiles = 0;

  constructor(options: LsmTierOptions) {
    this.#options = options;
    const { environment, workingDirectory } = options;
    this.#directories = new ScratchDirectories(environment, workingDirectory);
    this.#confirmed = options.restored?.stored ?? new Map();
    this.#linkedFiles = options.restored?.linkedFiles ?? 0;
    this.#copiedFiles = options.restored?.copiedFiles ?? 0;
    this.drains = new DrainController(
      options.store,
      options.buffer,
      options.status,
      options.environment.clock,
      options.changeNumberBase,
    );
  }

  begin(checkpointId: number, keeper: FileKeeper, signal: AbortSignal): Promise<SnapshotResult> {
    const reuse = new Map<number, SharedFile>();
    const gather = (): void => this.#gatherReusable(checkpointId, keeper, reuse);
    gather();
    // A runtime keeps what stood at the trigger: what it confirmed since may be given up again.
    const gatherLater = keeper === "store" ? gather : () => undefined;
    return this.#result(checkpointId, this.#cut(reuse, gatherLater, signal, "checkpoint"));
  }

  /**
   * A base for checkpoints to come, of everything up to this call. It builds on the confirmed base,
   * which every checkpoint until then refers to, so that its files stay.
   */
  beginBase(signal: AbortSignal): Pick<Cut, "boundary" | "written"> {
    const reuse = new Map<number, SharedFile>();
    this.#gatherReusable(0, "runtime", reuse);
    return this.#cut(reuse, () => undefined, signal, "materialization");
  }

  /** Seals, and has everything up to there drained, captured and uploaded. */
  #cut(
    reuse: ReadonlyMap<number, SharedFile>,
    gatherLater: () => void,
    signal: AbortSignal,
    task: "checkpoint" | "materialization",
  ): Cut {
    const directory = this.#directories.newPath("capture");
    const boundary = this.#options.buffer.seal(); // T1
    const captured = this.#capture(boundary, directory, new Set(reuse.keys()));
    const before = this.#uploads;
    const upload = { captured, before, reuse, gatherLater, directory, signal, task };
    const written = this.#upload(upload);
    this.#uploads = written.catch(() => undefined);
    return { boundary, captured, written };
  }

  /** The base is part of a confirmed checkpoint: the next one builds on it. */
  adopt({ filesByNumber }: WrittenSstSet): void {
    this.#confirmed = filesByNumber;
  }

  beginSavepoint(
    format: SavepointFormat,
    sink: Promise<FileSink>,
    signal: AbortSignal,
  ): Promise<SnapshotResult> {
    const directory = this.#directories.newPath("capture");
    const boundary = this.#options.buffer.seal(); // T1
    const captured = this.#capture(boundary, directory, new Set());
    return this.#save(format, boundary, captured, sink, directory, signal);
  }

  async #save(
    format: SavepointFormat,
    boundary: number,
    captured: Promise<CapturedSet>,
    sink: Promise<FileSink>,
    directory: string,
    signal: AbortSignal,
  ): Promise<SnapshotResult> {
    const { environment, workers, keyGroups } = this.#options;
    try {
      const set = await raceAbort(captured, signal);
      await this.verified(signal);
      const discard = (): void => undefined; // The sink's owner does it.
      const tools = {
        storage: await sink,
        pool: workers,
        environment,
        discard,
        signal,
        task: "savepoint",
      } as const;
      const files = set.files.map((file) => {
        assert(file.path !== undefined, "T2: a savepoint builds on nothing");
        return { ...file, lengthBytes: file.sizeBytes, path: file.path };
      });
      const { base, newFileIds, uploadedBytes, ...written } =
        format === "native"
          ? await writeSstSet({ ...set, files, reuse: new Map() }, tools)
          : await writeTableRows(files, keyGroups, this.#directories.newPath("dump"), tools);
      const handle = this.#handle(boundary, base);
      return { handle, files: written.files, newFileIds, uploadedBytes };
    } finally {
      await this.#removeCapture(captured, directory);
    }
  }

  /** Nothing leaves the backend before what it was restored from is verified: that one's B1. */
  async verified(signal: AbortSignal): Promise<void> {
    const { verification } = this.#options;
    if (verification !== undefined) await raceAbort(verification.verified, signal);
  }

  /** Adds the confirmed files that a snapshot may build on. */
  #gatherReusable(checkpointId: number, keeper: FileKeeper, reuse: Map<number, SharedFile>): void {
    if (this.#options.policy === "full" || keeper === "nobody") return;
    for (const [number, file] of this.#confirmed) {
      if (keeper === "runtime" || this.#options.pin(checkpointId, file)) reuse.set(number, file);
    }
  }

  /** Drain and capture of everything up to the boundary. Not cancellable: the thread does it. */
  #capture(boundary: number, directory: string, known: ReadonlySet<number>): Promise<CapturedSet> {
    const { store } = this.#options;
    void this.drains.request(boundary); // Its failure poisons, and the capture is refused.
    const captured = store.capture(directory, known);
    return this.#track(captured);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => undefined,
      () => undefined,
    );
    this.#background.add(settled);
    void settled.then(() => this.#background.delete(settled));
    return work;
  }

  async #result(checkpointId: number, cut: Cut): Promise<SnapshotResult> {
    const { clock } = this.#options.environment;
    const startMs = clock.monotonicMs();
    let capturedMs = startMs;
    const noted = (): void => {
      capturedMs = clock.monotonicMs();
    };
    cut.captured.then(noted, () => undefined);
    const { files, newFileIds, uploadedBytes, base, filesByNumber } = await cut.written;
    this.#written.set(checkpointId, filesByNumber);
    const cutMs = capturedMs - startMs;
    const uploadMs = clock.monotonicMs() - capturedMs;
    const phases = { cutMs, appendMs: 0, syncMs: 0, uploadMs };
    return { handle: this.#handle(cut.boundary, base), files, newFileIds, uploadedBytes, phases };
  }

  async #upload(upload: Upload): Promise<WrittenSstSet> {
    const { captured, before, reuse, gatherLater, directory, signal, task } = upload;
    const { environment, storage, workers, discard } = this.#options;
    try {
      const set = await raceAbort(captured, signal);
      await raceAbort(before, signal); // T3 //# fail point: tier.snapshot-turn
      await this.verified(signal);
      this.#account(set);
      // What was confirmed since the cut need not be uploaded again (T2).
      gatherLater();
      const files: CapturedSst[] = set.files.map((file) => {
        const isReused = reuse.has(file.number);
        assert(isReused || file.path !== undefined, "T2: a file is neither stored nor captured");
        return { ...file, lengthBytes: file.sizeBytes, path: file.path ?? "" };
      });
      const { lastSequence, nextFile } = set;
      return await writeSstSet(
        { lastSequence, nextFile, files, reuse },
        { storage, pool: workers, environment, discard, signal, task },
      );
    } finally {
      await this.#removeCapture(captured, directory);
    }
  }

  #handle(boundary: number, base: SnapshotResult["handle"]["base"]): SnapshotResult["handle"] {
    const { keyGroups, changeNumberBase, schemas } = this.#options;
    return { keyGroups, changeNumber: changeNumberBase + boundary, base, states: schemas() };
  }

  async #removeCapture(captured: Promise<unknown>, directory: string): Promise<void> {
    const removed = captured.then(
      () => removeDirectory(this.#options.environment.fileSystem, directory),
      () => undefined, // A failed capture leaves nothing behind.
    );
    // The working directory is disposable: what cannot be removed goes when it is next opened.
    await this.#track(removed.catch(() => undefined));
  }

  #account(set: CapturedSet): void {
    this.#linkedFiles += set.linkedFiles;
    this.#copiedFiles += set.copiedFiles;
    const { buffer, blockSizeBytes, store } = this.#options;
    const liveBytes = set.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    const wanted = store.filterBytes(liveBytes) + tableReservedBytes(liveBytes, blockSizeBytes);
    const bytes = Math.min(Math.floor(buffer.pool.capacityBytes / 4), wanted);
    buffer.pool.changeReservedBytes(bytes - this.#tableBytes);
    this.#tableBytes = bytes;
  }

  complete(checkpointId: number): void {
    const written = this.#written.get(checkpointId);
    if (written === undefined) return;
    this.#confirmed = written;
    for (const id of this.#written.keys()) if (id <= checkpointId) this.#written.delete(id);
  }

  abort(checkpointId: number): void {
    this.#written.delete(checkpointId);
  }

  scanKeys(schema: StateSchema, namespace: Uint8Array | undefined): AsyncIterableIterator<Key> {
    return this.#enumerations.begin((released) => this.#keySource(schema, namespace, released));
  }

  #keySource(
    schema: StateSchema,
    namespace: Uint8Array | undefined,
    released: () => void,
  ): KeySource {
    const { environment, keyGroups, buffer, status } = this.#options;
    const capture = this.#directories.newPath("scan");
    const boundary = buffer.seal(); // The moment of the call, not of the first next().
    const captured = this.#capture(boundary, capture, new Set());
    captured.catch(() => undefined); // Reported by the iteration.
    let removed: Promise<void> | undefined;
    return capturedKeys({
      environment,
      directory: this.#directories.newPath("view"),
      ranges: stateRanges(keyGroups, schema.id),
      namespace,
      captured,
      throwIfRefused: () => status.throwIfRefused(),
      release: () => {
        released();
        return (removed ??= this.#removeCapture(captured, capture));
      },
    });
  }

  async prefetch(keys: readonly Key[]): Promise<void> {
    const { buffer, store, prefetchTargets } = this.#options;
    if (buffer.cold?.isEmpty !== false) return;
    const targets = prefetchTargets(keys);
    if (targets.length === 0) return;
    const evicted = buffer.recycledChunks;
    const packed = await store.prefetch(packKeys(targets.map((target) => target.bytes)));
    this.#options.status.throwIfRefused();
    // A row that was written, drained and evicted meanwhile would come back old (D15).
    if (buffer.recycledChunks !== evicted || buffer.isPressed) return;
    for (const [index, stored] of unpackRows(packed).entries()) {
      if (stored === undefined) continue;
      const row = targets[index]!.select();
      if (buffer.find(row) !== 0) continue;
      buffer.insertClean(row, stored);
      this.#prefetchedRows++;
      if (buffer.recycledChunks !== evicted || buffer.isPressed) return;
    }
  }

  get needsDrain(): boolean {
    return this.drains.needsDrain;
  }

  drained(signal: AbortSignal): Promise<void> {
    return this.drains.drained(signal);
  }

  relieve(): void {
    this.drains.relieve();
  }

  stats(): TierStats {
    const { drains, drainedRows, drainedBytes, backPressureWaits, backPressureWaitMs } =
      this.drains;
    return {
      drains,
      drainedRows,
      drainedBytes,
      backPressureWaits,
      backPressureWaitMs,
      prefetchedRows: this.#prefetchedRows,
      linkedFiles: this.#linkedFiles,
      copiedFiles: this.#copiedFiles,
      clippedFiles: this.#options.restored?.clippedFiles ?? 0,
      clippedBytes: this.#options.restored?.clippedBytes ?? 0,
      unverifiedFiles: this.#options.verification?.remainingFiles ?? 0,
    };
  }

  async close(): Promise<void> {
    const { store, status } = this.#options;
    await store.close();
    await this.drains.settled();
    await this.#enumerations.close(status.refusal ?? new ClosedError("the backend is closed"));
    await Promise.all(this.#background);
    this.#options.buffer.pool.changeReservedBytes(-this.#tableBytes);
  }
}
