// What a storage holds against what its checkpoints reference: from metadata alone.
import { scanRetained } from "../../src/checkpoint/retained-scan.ts";
import { fileName, metadataName } from "../../src/checkpoint/layout.ts";
import { memoryEnvironment } from "../../src/environment/memory-environment.ts";
import type { CheckpointStorage } from "../../src/index.ts";
import { openWorkerPool } from "../../src/workers/worker-pool.ts";

export interface StorageAudit {
  /** Completion numbers of the retained checkpoints, pinned ones included. */
  readonly retained: readonly number[];
  /** Of those, the ones that cannot be read. */
  readonly unreadable: readonly number[];
  /** Referenced files that are absent, or of another length. */
  readonly missing: readonly string[];
  /** Files and metadata that nothing references. */
  readonly unreferenced: readonly string[];
}

export async function auditStorage(storage: CheckpointStorage): Promise<StorageAudit> {
  const pool = await openWorkerPool({ environment: memoryEnvironment() }); // File lists only: no threads.
  const scan = await scanRetained(storage, pool);
  await pool.close();
  const missing: string[] = [];
  for (const { completionNumber, files } of scan.retained) {
    const absent: string[] = [];
    for (const { id, lengthBytes } of files.flat()) {
      const size = await storage.size(fileName(id));
      const isSegment = lengthBytes === 0; // It grows: metadata, not the scan, knows its length.
      if (isSegment ? (size ?? 0) === 0 : size !== lengthBytes) absent.push(id);
    }
    // Metadata goes before files: an owner may have given it up meanwhile.
    if (absent.length > 0 && (await storage.size(metadataName(completionNumber))) !== undefined) {
      missing.push(...absent);
    }
  }
  const unreadable: number[] = [];
  for (const number of scan.unreadable) {
    if ((await storage.size(metadataName(number))) !== undefined) unreadable.push(number);
  }
  return {
    retained: scan.retained.map(({ completionNumber }) => completionNumber),
    unreadable,
    missing: [...new Set(missing)],
    unreferenced: [...scan.leftovers.metadata, ...scan.leftovers.files],
  };
}
