// The checkpoints of one job, for the one that writes them.
//   C1. Order: data files durable, file list durable (both by the caller), metadata created under the
//       next completion number, hint, acknowledgement, subsumption, deletion.
//   C2. Creating number N+1 is the fence: whoever finds it taken by another is fenced, and so is a
//       creator that then reads a hint beyond its number.
//   C3. Metadata from the durable hint upward is never deleted, so probing upward from the hint
//       finds the newest, and C2 holds for numbers that are already deleted.
//   C4. Whether a failed creation took effect is unknown until the number is decided: by finding it
//       taken, or by taking it. Until then its files are kept.
//   C5. Nothing is deleted before a newer checkpoint of this writer has completed: until then an
//       older owner, not yet fenced, may still build on what looks unused.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type {
  CheckpointPolicy,
  JsonValue,
  SharedFile,
  SnapshotResult,
} from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import { CheckpointAbortedError, ClosedError, FencedError, NoSpaceError } from "../errors.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { toHex } from "../format/hex.ts";
import { encodeHint } from "../format/metadata-hint.ts";
import {
  METADATA_BYTES_MAX,
  checkUserMetadata,
  decodeMetadata,
  encodeMetadata,
} from "../format/metadata.ts";
import type { BackendKind, CheckpointMetadata, WriterEpoch } from "../format/metadata.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { CheckpointReader } from "./checkpoint-reader.ts";
import { DeletionQueue } from "./deletion-queue.ts";
import type { DeletionBatch, DeletionStats } from "./deletion-queue.ts";
import { LATEST_NAME, fileName, metadataName } from "./layout.ts";
import { scanRetained } from "./retained-scan.ts";
import type { RetainedScan } from "./retained-scan.ts";
import type { SharedStateRegistry } from "./shared-state-registry.ts";

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
}

export interface CommitRequest {
  /** Above that of every earlier checkpoint of the job. */
  readonly checkpointId: number;
  readonly policy: CheckpointPolicy;
  /** What each backend of the job captured. */
  readonly snapshots: readonly SnapshotResult[];
  readonly userMetadata: JsonValue | undefined;
}

export interface CommittedCheckpoint {
  readonly completionNumber: number;
  /** Lowest completion number that is still retained. */
  readonly oldestRetained: number;
  /** Checkpoints up to this id, inclusive, are not retained any more; undefined if that is not known. */
  readonly subsumedUpTo: number | undefined;
  /** For `restore`: a path where the storage has paths, else a name. */
  readonly location: string;
}

export interface CheckpointStoreStats extends DeletionStats {
  /** Writes of the hint that failed; nothing is deleted until one succeeds. */
  readonly failedHints: number;
  /** Retained checkpoints, found at open, whose metadata or file list cannot be read. */
  readonly unreadableCheckpoints: readonly number[];
  readonly referencedFiles: number;
}

/** An attempt to create metadata. */
interface Creation {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly checkpointId: number;
}

/** Finds what is there, creates what must exist. Does not judge: unreadable checkpoints are no error. */
export async function openCheckpointStore(
  options: CheckpointStoreOptions,
): Promise<CheckpointStore> {
  await options.storage.open();
  await loadFrameChecksum(); // Compiled now, not in the first checkpoint.
  return new CheckpointStore(options, await scanRetained(options.storage, options.pool));
}

export class CheckpointStore implements AsyncDisposable {
  readonly reader: CheckpointReader;
  readonly writerEpoch: WriterEpoch;
  readonly #options: CheckpointStoreOptions;
  readonly #storage: CheckpointStorage;
  readonly #registry: SharedStateRegistry;
  readonly #deletions: DeletionQueue;
  readonly #unreadable: readonly number[];
  /** Checkpoint ids by completion number, of those retained. */
  readonly #checkpointIds: Map<number, number>;
  /** What an earlier owner left, to be deleted once we are known to be the owner (C5). */
  #leftovers: DeletionBatch | undefined;
  #newestNumber: number;
  #oldestNumber: number;
  #lastCheckpointId: number;
  /** Attempts at the next number whose outcome is not known (C4). */
  #undecided: Creation[] = [];
  #failedHints = 0;
  #fencedBy: FencedError | undefined;
  #isClosed = false;
  #commits: Promise<unknown> = Promise.resolve();

  constructor(options: CheckpointStoreOptions, scan: RetainedScan) {
    assert(options.retainedCheckpoints >= 1, "fewer than one retained checkpoint");
    this.#options = options;
    this.#storage = options.storage;
    this.reader = new CheckpointReader(options.storage);
    this.#deletions = new DeletionQueue(options.storage);
    this.#registry = scan.registry;
    this.#checkpointIds = new Map(scan.checkpointIds);
    this.#unreadable = scan.unreadable;
    this.#leftovers = scan.leftovers;
    this.#newestNumber = scan.newest;
    this.#oldestNumber = scan.oldest;
    this.#lastCheckpointId = Math.max(0, ...scan.checkpointIds.values());
    const id = toHex(options.environment.random.bytes(16));
    this.writerEpoch = { id, number: scan.epochNumber + 1 };
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
    return this.#registry.pin(file, checkpointId);
  }

  /**
   * Completes a checkpoint whose files are all durable; resolves once it is. Calls run one after the
   * other. After a rejection the files of the attempt are the store's affair: it deletes them, unless
   * the checkpoint may exist all the same.
   */
  commit(request: CommitRequest): Promise<CommittedCheckpoint> {
    const result = this.#commits.then(() => this.#commit(request));
    this.#commits = result.catch(() => undefined);
    return result;
  }

  /** The attempt will not complete. `newFileIds`: what it uploaded as far as the caller knows. */
  abort(checkpointId: number, newFileIds: readonly string[] = []): void {
    const taken = this.#registry.abort(checkpointId).map((file) => file.id);
    this.discard([...taken, ...newFileIds]);
  }

  /** Deletes files in the background, except those that a checkpoint uses. Never throws. */
  discard(ids: readonly string[]): void {
    const files = [...new Set(ids)].filter((id) => !this.#registry.has(id)).map(fileName);
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
      for (const { files, newFileIds } of request.snapshots) {
        const fresh = new Set(newFileIds);
        for (const file of files) this.#registry.register(file, checkpointId, fresh.has(file.id));
      }
      const number = await this.#create(request);
      return await this.#complete(checkpointId, number);
    } catch (cause) {
      // C4: an undecided checkpoint keeps its files.
      if (!this.#undecided.some((creation) => creation.checkpointId === checkpointId)) {
        this.abort(
          checkpointId,
          request.snapshots.flatMap((snapshot) => snapshot.newFileIds),
        );
      }
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
      const bytes = await this.#encode(request, number);
      const mine: Creation = { number, bytes, checkpointId: request.checkpointId };
      const holder = await this.#createAt(mine);
      await this.#checkHint(number);
      this.#undecided = [];
      if (holder.checkpointId === request.checkpointId) return number;
      // An earlier attempt of ours has taken effect after all (C4).
      this.#confirm(holder.checkpointId, number);
    }
  }

  /** Which of our attempts holds the number: this one, or an earlier undecided one. */
  async #createAt(mine: Creation): Promise<Creation> {
    const name = metadataName(mine.number);
    this.#undecided.push(mine);
    let outcome: "created" | "exists";
    try {
      outcome = await this.#storage.createIfAbsent(name, mine.bytes);
    } catch (cause) {
      outcome = await this.#createAgain(cause, mine);
    }
    let holder: Creation | undefined = mine;
    if (outcome === "exists") {
      const stored = await this.#storage.read(name, METADATA_BYTES_MAX);
      holder = this.#undecided.find((creation) => isEqual(stored, creation.bytes));
    }
    // The number is taken now: no earlier attempt at it can take effect any more, but the holder's.
    // This one goes on, at the next number.
    const stays = [holder?.checkpointId, mine.checkpointId];
    const lost = this.#undecided.filter((one) => !stays.includes(one.checkpointId));
    this.#undecided = holder === undefined ? [] : [holder]; // Until the hint is read.
    for (const { checkpointId } of lost) this.abort(checkpointId);
    if (holder === undefined) throw this.#fence(`another owner has created ${name}`);
    return holder;
  }

  /** After an error: makes durable what is visible all the same; rethrows if nothing is. */
  async #createAgain(cause: unknown, mine: Creation): Promise<"created" | "exists"> {
    const isVisible = await this.reader.exists(mine.number).catch(() => undefined);
    // A full disk wrote nothing. Any other failed request may still arrive, at an object store.
    if (isVisible === false && cause instanceof NoSpaceError) this.#undecided.pop();
    if (isVisible !== true) throw cause;
    return this.#storage.createIfAbsent(metadataName(mine.number), mine.bytes);
  }

  async #checkHint(number: number): Promise<void> {
    const hinted = (await this.reader.readHint()) ?? (await this.reader.highestListed());
    if (hinted === undefined || hinted <= number) return;
    const fenced = this.#fence(`another owner has completed checkpoint number ${hinted}`);
    await this.#storage.delete([metadataName(number)]);
    this.#undecided = [];
    throw fenced;
  }

  #fence(why: string): FencedError {
    this.#fencedBy = new FencedError(`${why} in ${this.#storage.description}: this one must stop`);
    this.#leftovers = undefined;
    return this.#fencedBy;
  }

  #confirm(checkpointId: number, number: number): void {
    this.#registry.confirm(checkpointId, number);
    this.#checkpointIds.set(number, checkpointId);
    this.#newestNumber = number;
    this.#lastCheckpointId = checkpointId;
    this.#options.onConfirmed?.(checkpointId);
  }

  async #complete(checkpointId: number, number: number): Promise<CommittedCheckpoint> {
    this.#confirm(checkpointId, number);
    let isHintDurable = true;
    try {
      await this.#storage.replace(LATEST_NAME, encodeHint(number));
    } catch {
      // The checkpoint exists without: readers probe upward. But nothing may be deleted (C3).
      this.#failedHints++;
      isHintDurable = false;
    }
    const subsumedUpTo = isHintDurable ? this.#subsume() : undefined;
    return {
      completionNumber: number,
      oldestRetained: this.#oldestNumber,
      subsumedUpTo,
      location: this.#locationOf(metadataName(number)),
    };
  }

  /** Hands to deletion what the retention allows. Returns the highest subsumed checkpoint id. */
  #subsume(): number | undefined {
    const oldest = this.#oldestAt(this.#newestNumber);
    const metadata: string[] = [];
    let subsumedUpTo: number | undefined;
    for (let number = this.#oldestNumber; number < oldest; number++) {
      metadata.push(metadataName(number));
      subsumedUpTo = this.#checkpointIds.get(number) ?? subsumedUpTo;
      this.#checkpointIds.delete(number);
    }
    this.#oldestNumber = oldest;
    const files = this.#registry.subsume(oldest).map((file) => fileName(file.id));
    if (this.#leftovers !== undefined) {
      this.#deletions.add({ ...this.#leftovers, unfinished: true });
      this.#leftovers = undefined;
    }
    this.#deletions.add({ metadata, files });
    return subsumedUpTo;
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
      extensions: undefined,
    };
    const checksum = await loadFrameChecksum();
    // Records between the steps: user metadata may have a mebibyte, and first calls compile the code.
    const { timers } = this.#options.environment;
    await timers.yieldTurn();
    const bytes = encodeMetadata(metadata, checksum);
    await timers.yieldTurn();
    // In pairs: what a reader would refuse must never become the newest checkpoint.
    decodeMetadata(bytes, checksum, metadataName(number));
    await timers.yieldTurn();
    return bytes;
  }

  #locationOf(name: string): string {
    return this.#storage.locate?.(name) ?? name;
  }
}

function isEqual(stored: Uint8Array | undefined, bytes: Uint8Array): boolean {
  return stored !== undefined && Buffer.compare(stored, bytes) === 0;
}
