// What a new owner finds: retained checkpoints and their files, and what an earlier owner left behind.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { CheckpointNotFoundError } from "../errors.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { readFileList } from "./base-reader.ts";
import { CheckpointReader, isUnreadable } from "./checkpoint-reader.ts";
import type { DeletionBatch } from "./deletion-queue.ts";
import { FILES_PREFIX, METADATA_PREFIX, metadataName, numberOfMetadataName } from "./layout.ts";
import { SharedStateRegistry } from "./shared-state-registry.ts";

export interface RetainedScan {
  readonly registry: SharedStateRegistry;
  /** Completion number of the newest checkpoint; 0 if there is none. */
  readonly newest: number;
  /** Lowest completion number that is retained; 1 if there is none. */
  readonly oldest: number;
  readonly checkpointIds: ReadonlyMap<number, number>;
  /** Retained checkpoints whose metadata or file lists cannot be read. */
  readonly unreadable: readonly number[];
  /** Highest writer epoch found; 0 if none. */
  readonly epochNumber: number;
  /**
   * What nothing uses: metadata below the oldest, files that no checkpoint references. Listed
   * before this owner uploads anything. Empty if a checkpoint is unreadable: what it uses is unknown.
   */
  readonly leftovers: DeletionBatch;
}

export async function scanRetained(
  storage: CheckpointStorage,
  pool: WorkerPool,
): Promise<RetainedScan> {
  const reader = new CheckpointReader(storage);
  const registry = new SharedStateRegistry();
  const checkpointIds = new Map<number, number>();
  const unreadable: number[] = [];
  const newest = (await reader.findNewest()) ?? 0;
  let epochNumber = 0;
  let oldest = 1;
  let lowest = newest;
  for (let number = newest; number >= oldest; number--) {
    let metadata: CheckpointMetadata;
    try {
      metadata = await reader.load(number);
      checkpointIds.set(number, metadata.checkpointId);
      oldest = Math.max(oldest, metadata.oldestRetained);
      epochNumber = Math.max(epochNumber, metadata.writerEpoch.number);
      await restoreFiles(metadata, storage, pool, registry);
    } catch (error) {
      if (error instanceof CheckpointNotFoundError) break;
      if (!isUnreadable(error)) throw error;
      unreadable.push(number);
    }
    lowest = number;
  }
  return {
    registry,
    newest,
    oldest: Math.max(1, lowest),
    checkpointIds,
    unreadable,
    epochNumber,
    leftovers:
      unreadable.length > 0
        ? { metadata: [], files: [] }
        : await findLeftovers(storage, registry, newest, lowest),
  };
}

async function restoreFiles(
  metadata: CheckpointMetadata,
  storage: CheckpointStorage,
  pool: WorkerPool,
  registry: SharedStateRegistry,
): Promise<void> {
  for (const { base } of metadata.handles) {
    const list = await readFileList(storage, pool, base);
    registry.restore(base.fileList, metadata.completionNumber);
    for (const { id, lengthBytes, sha256 } of list.files) {
      registry.restore({ id, lengthBytes, sha256 }, metadata.completionNumber);
    }
  }
}

async function findLeftovers(
  storage: CheckpointStorage,
  registry: SharedStateRegistry,
  newest: number,
  oldest: number,
): Promise<DeletionBatch> {
  const metadata: string[] = [];
  for await (const name of storage.list(METADATA_PREFIX)) {
    const number = numberOfMetadataName(name);
    if (number !== undefined && number < Math.min(oldest, newest)) {
      metadata.push(metadataName(number));
    }
  }
  const files: string[] = [];
  for await (const name of storage.list(FILES_PREFIX)) {
    const id = name.slice(FILES_PREFIX.length);
    // Names that this library does not make are somebody else's.
    if (isFileId(id) && !registry.has(id)) files.push(name);
  }
  return { metadata, files };
}

/** 32 hexadecimal digits. */
function isFileId(id: string): boolean {
  return /^[0-9a-f]{32}$/.test(id);
}
