import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { readFileList } from "../checkpoint/base-reader.ts";
import { fileName } from "../checkpoint/layout.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { CorruptionError } from "../errors.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";
import { openWorkerPool } from "../workers/worker-pool.ts";

export interface VerifiedCheckpoint {
  readonly fileCount: number;
  readonly totalBytes: number;
}

/** Reads every byte that a checkpoint references. CorruptionError names what is wrong. */
export async function verifyCheckpoint(
  storage: CheckpointStorage,
  metadata: CheckpointMetadata,
): Promise<VerifiedCheckpoint> {
  const pool = await openWorkerPool({ environment: nodeEnvironment() });
  let fileCount = 0;
  let totalBytes = 0;
  try {
    for (const { base } of metadata.handles) {
      const list = await readFileList(storage, pool, base);
      for (const { id, lengthBytes, sha256 } of list.files) {
        const file = fileName(id);
        const path = storage.locate?.(file);
        if (path === undefined) {
          throw new CorruptionError("this storage has no local files to read", file, 0);
        }
        await pool.submit("verifyFile", { path, lengthBytes, sha256, file });
        fileCount++;
        totalBytes += lengthBytes;
      }
    }
  } finally {
    await pool.close();
  }
  return { fileCount, totalBytes };
}
