// The checkpoints of one job, for the one that writes them.
//   C1. Order: data files and their list durable (by the caller), metadata created under the next
//       completion number, acknowledgement, hint, subsumption, deletion; an owner's first hint comes first.
//   C2. Creating number N+1 is the fence: S1 to S3 are those of completion-sequence.ts.
//   C4. Whether a failed creation took effect is unknown until the number is decided. Until then
//       its files are kept.
//   C5. Nothing is deleted before a newer checkpoint of this writer has completed: until then an
//       older owner, not yet fenced, may still build on what looks unused.
//   C6. A checkpoint that is pinned stays, and what it uses (P1 of pins.ts).
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type {
  CheckpointPolicy,
  JsonValue,
  SharedFile,
  SnapshotResult,
} from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import { SharedStateRegistry } from "../coordinator/shared-state-registry.ts";
import { CheckpointAbortedError, ClosedError } from "../errors.ts";
import type { FencedError } from "../errors.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { toHex } from "../format/hex.ts";
import { checkUserMetadata } from "../format/metadata.ts";
import type { BackendKind, CheckpointMetadata, WriterEpoch } from "../format/metadata.ts";
import { type CheckpointTiming, encodeTiming } from "../format/timing.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { CheckpointReader } from "./checkpoint-reader.ts";
import { CompletionSequence } from "./completion-sequence.ts";
import { DeletionQueue } from "./deletion-queue.ts";
import type { DeletionBatch, DeletionStats } from "./deletion-queue.ts";
import { fileName, metadataName } from "./layout.ts";
import { isPinned } from "./pins.ts";
import { emptyScan, scanRetained } from "./retained-scan.ts";
import type { RetainedScan } from "./retained-scan.ts";
import { MetadataVerifier } from "./verified-metadata.ts";

export interface CheckpointStoreOptions {
  readonly storage: CheckpointStorage;
  readonly environment: Environment;
  readonly pool: WorkerPool;
  readonly backendKind: BackendKind;
  /** How many completed checkpoints are kept, at least 1. */
  readonly retainedCheckpoints: number;
  /**
   * Called when a checkpoint is durable, before anything older is given up: whoever builds on
   * confirmed files moves on to its files.
   */
  readonly onConfirmed?: ((checkpointId: number) => void) | undefined;
  /**
   * The checkpoints in the storage are somebody else's to complete and to delete: this store only
   * removes uploads that failed. @defaultValue false
   */
  readonly isTask?: boolean | undefined;
}

export interface CommitRequest {
  /** Above that of every earlier checkpoint of the job. */
  readonly checkpointId: number;
  readonly policy: CheckpointPolicy;
  /** What each backend of the job captured. */
  readonly snapshots: readonly SnapshotResult[];
  readonly userMetadata: JsonValue | undefined;
  /** When it was triggered, by the monotonic clock, and its synchronous part; for people. */
  readonly timing?:
    (Omit<CheckpointTiming, "durationMs"> & { readonly startMs: number }) | undefined;
}

export interface CommittedCheckpoint {
  readonly completionNumber: number;
  readonly location: string; // For `restore`: a path where the storage has paths, else a name.
}

export interface CheckpointStoreStats extends DeletionStats {
  /** Writes of the hint that failed; nothing is deleted until one succeeds. */
  readonly failedHints: number;
  /** Retained checkpoints, found at open, whose metadata or file list cannot be read. */
  readonly unreadableCheckpoints: readonly number[];
  readonly referencedFiles: number;
}

/** An attempt to create metadata. */
interface OwnCreation {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly checkpointId: number;
}

/** Finds what is there, creates what must exist. Does not judge: unreadable checkpoints are no error. */
export async function openCheckpointStore(
  options: CheckpointStoreOptions,
): Promise<CheckpointStore> {
  await options.storage.open(); //# fail point: store.opened
  await loadFrameChecksum(); // Compiled now, not in the first checkpoint.
  if (options.isTask === true) return new CheckpointStore(options, emptyScan);
  return new CheckpointStore(options, await scanRetained(options.storage, options.pool));
}

export class CheckpointStore implements AsyncDisposable {
  readonly reader: CheckpointReader;
  readonly writerEpoch: WriterEpoch;
  readonly #options: CheckpointStoreOptions;
  readonly #storage: CheckpointStorage;
  readonly #sequence: CompletionSequence;
  readonly #registry = new SharedStateRegistry();
  readonly #deletions: DeletionQueue;
  readonly #verifier: MetadataVerifier;
  readonly #unreadable: readonly number[];
  /** Checkpoint ids by completion number, of those that stand and can be read. */
  readonly #checkpointIds = new Map<number, number>();
  /** What an earlier owner left, to be deleted once we are known to be the owner (C5). */
  #leftovers: DeletionBatch | undefined;
  #newestNumber: number;
  /** Lowest number that is retained without a pin. */
  #oldestNumber: number;
  #lastCheckpointId: number;
  /** Attempts at the next number whose outcome is not known (C4). */
  #undecided: OwnCreation[] = [];
  #hintedNumber = 0; // The newest number that is durable in the hint, of this owner's.
  #failedHints = 0;
  #fencedBy: FencedError | undefined;
  #isClosed = false;
  #commits: Promise<unknown> = Promise.resolve();

  constructor(options: CheckpointStoreOptions, scan: RetainedScan) {
    assert(options.retainedCheckpoints >= 1, "fewer than one retained checkpoint");
    this.#options = options;
    this.#storage = options.storage;
    this.reader = new CheckpointReader(options.storage);
    this.#sequence = new CompletionSequence(options.storage);
    this.#deletions = new DeletionQueue(options.storage);
    this.#verifier = new MetadataVerifier(options.environment.timers);
    for (const { checkpointId, completionNumber, files } of scan.retained) {
      this.#registry.restore(checkpointId, files.entries());
      this.#checkpointIds.set(completionNumber, checkpointId);
    }
    this.#unreadable = scan.unreadable;
    this.#leftovers = scan.leftovers;
    this.#newestNumber = scan.newest;
    this.#oldestNumber = scan.oldest;
    this.#lastCheckpointId = scan.lastCheckpointId;
    const id = toHex(options.environment.random.bytes(16));
    this.writerEpoch = { id, number: scan.epochNumber + 1 };
  }

  /** Whether somebody else completes the checkpoints. */
  get isTask(): boolean {
    return this.#options.isTask === true;
  }

  /** The highest checkpoint id of the job so far; 0 before the first. */
  get lastCheckpointId(): number {
    return this.#lastCheckpointId;
  }

  /** Completion number of the newest checkpoint; 0 before the first. */
  get newestNumber(): number {
    return this.#newestNumber;
  }

  /**
   * An attempt is going to build on this file of a completed checkpoint: it stays until the attempt
   * ends. False if it belongs to no checkpoint of this store, which then cannot build on it.
   */
  pin(checkpointId: number, file: SharedFile): boolean {
    return this.#registry.pin(checkpointId, [file.id]);
  }

  /** An attempt begins, in the order of the ids: at its cut. Repeating it changes nothing. */
  begin(checkpointId: number): void {
    if (!this.#registry.isUnderWay(checkpointId)) this.#registry.begin(checkpointId, undefined);
  }

  /**
   * Completes a checkpoint whose files are all durable; resolves once it is. Calls run one after the
   * other. After a rejection the files of the attempt are the store's affair: it deletes them, unless
   * the checkpoint may exist all the same.
   */
  commit(request: CommitRequest): Promise<CommittedCheckpoint> {
    const result = this.#commits.then(() => this.#commit(request));
    // After the acknowledgement, whose receiver goes first: nobody waits for the hint, and for what is given up.
    this.#commits = result.then(
      async ({ completionNumber }) => {
        await this.#options.environment.timers.yieldTurn();
        if (this.#hintedNumber < completionNumber) await this.#publish(completionNumber);
        await this.#subsume(); //# fail point: store.subsumed
      },
      () => undefined,
    );
    return result;
  }

  /**
   * The attempt will not complete. `newFileIds`: what it uploaded as far as the caller knows. One
   * that may exist all the same keeps its files (C4).
   */
  abort(checkpointId: number, newFileIds: readonly string[] = []): void {
    if (this.#undecided.some((creation) => creation.checkpointId === checkpointId)) return;
    if (this.#registry.isUnderWay(checkpointId)) this.#registry.abort(checkpointId);
    this.#discardUnused();
    this.discard(newFileIds);
  }

  /** Deletes files in the background, except those that a checkpoint uses. Never throws. */
  discard(ids: readonly string[]): void {
    const files = [...new Set(ids)].filter((id) => !this.#registry.has(id)).map(fileName);
    this.#deletions.add({ metadata: [], files });
  }

  #discardUnused(): void {
    const files = this.#registry.takeDiscardable().map(fileName);
    this.#deletions.add({ metadata: [], files });
  }

  stats(): CheckpointStoreStats {
    return {
      ...this.#deletions.stats(),
      failedHints: this.#failedHints,
      unreadableCheckpoints: this.#unreadable,
      referencedFiles: this.#registry.fileCount,
    };
  }

  /** Awaits commits and deletions under way, and tries failed deletions once more. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#commits;
    await this.#deletions.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #commit(request: CommitRequest): Promise<CommittedCheckpoint> {
    const { checkpointId } = request;
    try {
      this.#checkMayCommit(checkpointId);
      assert(request.snapshots.length >= 1, "a checkpoint of nothing");
      checkUserMetadata(request.userMetadata);
      this.begin(checkpointId);
      for (const [task, { files, newFileIds }] of request.snapshots.entries()) {
        const fresh = new Set(newFileIds);
        const created = files.filter(({ id }) => fresh.has(id));
        const reused = files.filter(({ id }) => !fresh.has(id)).map(({ id }) => id);
        const uses = { base: undefined, created, reused, released: [] };
        const isThere = this.#registry.register(checkpointId, task, uses);
        assert(isThere, "R4: builds on a file that is deleted or unconfirmed");
      }
      const number = await this.#create(request); //# fail point: store.created
      return await this.#complete(checkpointId, number);
    } catch (cause) {
      this.abort(
        checkpointId,
        request.snapshots.flatMap((snapshot) => snapshot.newFileIds),
      );
      throw cause;
    }
  }

  #checkMayCommit(checkpointId: number): void {
    if (this.#fencedBy !== undefined) throw this.#fencedBy;
    if (this.#isClosed) throw new ClosedError("the checkpoint store is closed");
    if (checkpointId > this.#lastCheckpointId) return;
    throw new CheckpointAbortedError(checkpointId, "superseded");
  }

  /** Creates the metadata under the next free number, and makes sure that it counts (C2). */
  async #create(request: CommitRequest): Promise<number> {
    for (;;) {
      const number = this.#newestNumber + 1;
      const bytes = await this.#encode(request, number); //# fail point: store.encoded
      const mine: OwnCreation = { number, bytes, checkpointId: request.checkpointId };
      const { holder, hinted } = await this.#createAt(mine); //# fail point: store.metadata-created
      await this.#checkOvertaken(number, hinted); //# fail point: store.not-overtaken
      this.#undecided = [];
      if (holder.checkpointId === request.checkpointId) return number;
      // An earlier attempt of ours has taken effect after all (C4).
      this.#confirm(holder.checkpointId, number);
    }
  }

  /** Which of our attempts holds the number, this one or an earlier undecided one; and the hint, if it was read. */
  async #createAt(mine: OwnCreation): Promise<{ holder: OwnCreation; hinted: number | undefined }> {
    this.#undecided.push(mine);
    const creation = await this.#sequence.create(mine.number, mine.bytes);
    if (creation.outcome === "failed") {
      if (creation.isKnown) this.#undecided.pop();
      throw creation.cause as Error;
    }
    let holder: OwnCreation | undefined = mine;
    if (creation.outcome === "exists") {
      const ours = this.#undecided.map(({ bytes }) => bytes);
      holder = this.#undecided[await this.#sequence.holderOf(mine.number, ours)];
    }
    // The number is taken now: no earlier attempt at it can take effect any more, but the holder's.
    // This one goes on, at the next number.
    const stays = [holder?.checkpointId, mine.checkpointId];
    const lost = this.#undecided.filter((one) => !stays.includes(one.checkpointId));
    this.#undecided = holder === undefined ? [] : [holder]; // Until the hint is read.
    for (const { checkpointId } of lost) this.abort(checkpointId);
    if (holder !== undefined) return { holder, hinted: creation.hinted };
    throw this.#fence(`another owner has created ${metadataName(mine.number)}`);
  }

  async #checkOvertaken(number: number, hinted: number | undefined): Promise<void> {
    const other = await this.#sequence.overtakenBy(number, hinted);
    if (other === undefined) return;
    const fenced = this.#fence(`another owner has completed checkpoint number ${other}`);
    await this.#sequence.withdraw(number);
    this.#undecided = [];
    throw fenced;
  }

  #fence(why: string): FencedError {
    this.#fencedBy = this.#sequence.fencedError(why);
    this.#leftovers = undefined;
    return this.#fencedBy;
  }

  #confirm(checkpointId: number, number: number): void {
    this.#registry.complete(checkpointId);
    this.#checkpointIds.set(number, checkpointId);
    this.#newestNumber = number;
    this.#lastCheckpointId = checkpointId;
    this.#options.onConfirmed?.(checkpointId);
  }

  async #complete(checkpointId: number, number: number): Promise<CommittedCheckpoint> {
    this.#confirm(checkpointId, number);
    // Where there is no hint readers have to list: what listing tells may lag behind.
    if (this.#hintedNumber === 0) await this.#publish(number); //# fail point: store.first-published
    const name = metadataName(number);
    return { completionNumber: number, location: this.#storage.locate?.(name) ?? name };
  }

  async #publish(number: number): Promise<void> {
    if (await this.#sequence.publish(number)) this.#hintedNumber = number;
    else this.#failedHints++;
  }

  /** Hands to deletion what the retention allows (C6). Never rejects: the next one tries again. */
  async #subsume(): Promise<void> {
    if (this.#hintedNumber !== this.#newestNumber) return; // S2
    const oldest = this.#oldestAt(this.#newestNumber);
    const metadata: string[] = [];
    try {
      const below = [...this.#checkpointIds.keys()].filter((number) => number < oldest);
      for (const number of below.sort((a, b) => a - b)) {
        if (await isPinned(this.#storage, number)) continue;
        metadata.push(metadataName(number));
        this.#registry.subsume(this.#checkpointIds.get(number)!);
        this.#checkpointIds.delete(number);
      }
      for (let number = this.#oldestNumber; number < oldest; number++) {
        // Those that could not be read: nothing is known of them but the number.
        const isUnreadable = this.#unreadable.includes(number);
        if (isUnreadable && !(await isPinned(this.#storage, number))) {
          metadata.push(metadataName(number));
        }
        this.#oldestNumber = number + 1;
      }
    } catch (error) {
      this.#deletions.noteFailure(error);
    }
    if (this.#leftovers !== undefined) {
      this.#deletions.add({ ...this.#leftovers, unfinished: true });
      this.#leftovers = undefined;
    }
    const files = this.#registry.takeDiscardable().map(fileName);
    this.#deletions.add({ metadata, files });
  }

  #oldestAt(number: number): number {
    return Math.max(this.#oldestNumber, number - this.#options.retainedCheckpoints + 1);
  }

  async #encode(request: CommitRequest, number: number): Promise<Uint8Array> {
    const metadata: CheckpointMetadata = {
      checkpointId: request.checkpointId,
      completionNumber: number,
      oldestRetained: this.#oldestAt(number),
      writerEpoch: this.writerEpoch,
      createdAtMs: Math.max(0, Math.floor(this.#options.environment.clock.wallMs())),
      policy: request.policy,
      backendKind: this.#options.backendKind,
      handles: request.snapshots.map((snapshot) => snapshot.handle),
      segments: [],
      userMetadata: request.userMetadata,
      extensions: this.#timingOf(request),
    };
    return this.#verifier.encode(metadata);
  }

  #timingOf({ timing }: CommitRequest): CheckpointMetadata["extensions"] {
    if (timing === undefined) return undefined;
    const durationMs = this.#options.environment.clock.monotonicMs() - timing.startMs;
    return encodeTiming({ ...timing, durationMs });
  }
}
