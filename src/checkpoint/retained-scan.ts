// What a new owner finds: retained checkpoints and their files, and what an earlier owner left behind.
//   W1. Nothing is called a leftover while a retained checkpoint cannot be read: what it uses is
//       unknown. So it is, too, if the retained ones contradict each other.
//   W2. A changelog segment is a file of every checkpoint that names it, at whatever length: here, as in
//       registries, it stands without length and hash.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { SegmentHandle, SharedFile } from "../api/keyed-state-backend.ts";
import { CheckpointNotFoundError, CorruptionError, InvalidArgumentError } from "../errors.ts";
import { segmentFile } from "../format/changelog-segment.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { readFileList } from "./base-reader.ts";
import { CheckpointReader, isUnreadable } from "./checkpoint-reader.ts";
import type { DeletionBatch } from "./deletion-queue.ts";
import { FILES_PREFIX, METADATA_PREFIX, metadataName, numberOfMetadataName } from "./layout.ts";
import { isPinned } from "./pins.ts";

/** A completed checkpoint that stays, with every file it references, by handle. */
export interface RetainedFiles {
  readonly checkpointId: number;
  readonly completionNumber: number;
  readonly isPinned: boolean;
  readonly files: readonly (readonly SharedFile[])[];
}

export interface RetainedScan {
  /** Those that can be read, in the order of completion. */
  readonly retained: readonly RetainedFiles[];
  /** Completion number of the newest checkpoint; 0 if there is none. */
  readonly newest: number;
  /** Lowest completion number that is retained without a pin; 1 if there is none. */
  readonly oldest: number;
  /** Highest checkpoint id of which metadata was found; 0 if there is none. */
  readonly lastCheckpointId: number;
  /** Retained checkpoints whose metadata or file lists cannot be read. */
  readonly unreadable: readonly number[];
  /** Highest writer epoch found; 0 if none. */
  readonly epochNumber: number;
  /**
   * What nothing uses: metadata below the oldest, files that no checkpoint references. Listed
   * before this owner uploads anything. Empty if a checkpoint is unreadable (W1).
   */
  readonly leftovers: DeletionBatch;
}

const nothing: DeletionBatch = { metadata: [], files: [] };

/** As if there were nothing: for a task whose checkpoints somebody else keeps. */
export const emptyScan: RetainedScan = {
  retained: [],
  newest: 0,
  oldest: 1,
  lastCheckpointId: 0,
  unreadable: [],
  epochNumber: 0,
  leftovers: nothing,
};

export async function scanRetained(
  storage: CheckpointStorage,
  pool: WorkerPool,
): Promise<RetainedScan> {
  const scanner = new Scanner(storage, pool);
  const newest = (await scanner.reader.findNewest()) ?? 0;
  if (newest > 0 && (await scanner.reader.isClosedAt(newest))) {
    throw new InvalidArgumentError(
      `the job of ${storage.description} was cancelled: give this one a checkpointStorage of its own`,
    );
  }
  let lowest = newest;
  for (let number = newest; number >= scanner.oldest; number--) {
    if (!(await scanner.visit(number))) break;
    lowest = number;
  }
  const belowOldest = await scanner.listBelow(Math.min(lowest, newest));
  const metadata: string[] = [];
  for (const number of belowOldest.sort((a, b) => b - a)) {
    if (await isPinned(storage, number)) await scanner.visit(number);
    else metadata.push(metadataName(number));
  }
  const isWhole = scanner.unreadable.length === 0;
  return {
    retained: scanner.retained.toReversed(),
    newest,
    oldest: Math.max(1, lowest),
    lastCheckpointId: scanner.lastCheckpointId,
    unreadable: scanner.unreadable,
    epochNumber: scanner.epochNumber,
    leftovers: isWhole ? { metadata, files: await scanner.unusedFiles() } : nothing, // W1
  };
}

/** Reads checkpoints, the newest first. */
class Scanner {
  readonly reader: CheckpointReader;
  readonly retained: RetainedFiles[] = [];
  readonly unreadable: number[] = [];
  epochNumber = 0;
  lastCheckpointId = 0;
  oldest = 1;
  readonly #storage: CheckpointStorage;
  readonly #pool: WorkerPool;
  readonly #files = new Map<string, SharedFile>();
  /** Hashes of segments, by id and length. */
  readonly #prefixes = new Map<string, string>();

  constructor(storage: CheckpointStorage, pool: WorkerPool) {
    this.#storage = storage;
    this.#pool = pool;
    this.reader = new CheckpointReader(storage);
  }

  /** False if there is none with this number. */
  async visit(number: number): Promise<boolean> {
    try {
      const metadata = await this.reader.load(number);
      this.oldest = Math.max(this.oldest, metadata.oldestRetained);
      this.epochNumber = Math.max(this.epochNumber, metadata.writerEpoch.number);
      this.lastCheckpointId = Math.max(this.lastCheckpointId, metadata.checkpointId);
      this.retained.push(await this.#read(metadata));
    } catch (error) {
      if (error instanceof CheckpointNotFoundError) return false;
      if (!isUnreadable(error)) throw error;
      this.unreadable.push(number);
    }
    return true;
  }

  async #read(metadata: CheckpointMetadata): Promise<RetainedFiles> {
    const { checkpointId, completionNumber } = metadata;
    const name = metadataName(completionNumber);
    const newer = this.retained.at(-1);
    if (newer !== undefined && newer.checkpointId <= checkpointId) {
      throw new CorruptionError(
        `checkpoint ${checkpointId} is not older than ${newer.checkpointId}, which completed after it`,
        name,
        0,
      );
    }
    const files: SharedFile[][] = [];
    for (const { base, log } of metadata.handles) {
      const list = await readFileList(this.#storage, this.#pool, base);
      const all = [base.fileList, ...list.files].map(({ id, lengthBytes, sha256 }) => {
        return { id, lengthBytes, sha256 };
      });
      const segments = log?.segments ?? [];
      for (const segment of segments) this.#notePrefix(segment, name);
      all.push(...segments.map(segmentFile)); // W2
      for (const file of all) this.#note(file, name);
      files.push(all);
    }
    return { checkpointId, completionNumber, isPinned: await this.#isPinned(metadata), files };
  }

  #isPinned({ completionNumber }: CheckpointMetadata): Promise<boolean> {
    return isPinned(this.#storage, completionNumber);
  }

  /** An id names one content. */
  #note(file: SharedFile, name: string): void {
    const known = this.#files.get(file.id);
    if (known === undefined) this.#files.set(file.id, file);
    else if (known.lengthBytes !== file.lengthBytes || known.sha256 !== file.sha256) {
      throw contradiction(file.id, name);
    }
  }

  /** An id and a length name one content. */
  #notePrefix({ id, lengthBytes, sha256 }: SegmentHandle, name: string): void {
    const key = `${id} ${lengthBytes}`;
    const known = this.#prefixes.get(key);
    if (known === undefined) this.#prefixes.set(key, sha256);
    else if (known !== sha256) throw contradiction(id, name);
  }

  /** Numbers of metadata below `number`. */
  async listBelow(number: number): Promise<number[]> {
    const numbers: number[] = [];
    for await (const name of this.#storage.list(METADATA_PREFIX)) {
      const listed = numberOfMetadataName(name);
      if (listed !== undefined && listed < number) numbers.push(listed);
    }
    return numbers;
  }

  /** Files that no checkpoint references. */
  async unusedFiles(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.#storage.list(FILES_PREFIX)) {
      const id = name.slice(FILES_PREFIX.length);
      // Names that this library does not make are somebody else's.
      if (/^[0-9a-f]{32}$/.test(id) && !this.#files.has(id)) names.push(name);
    }
    return names;
  }
}

function contradiction(id: string, name: string): CorruptionError {
  return new CorruptionError(`the file ${id} is another one in a newer checkpoint`, name, 0);
}
