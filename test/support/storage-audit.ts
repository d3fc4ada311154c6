// What a storage holds against what its checkpoints reference: from metadata alone.
import { CheckpointReader } from "../../src/checkpoint/checkpoint-reader.ts";
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

/** Lengths that a checkpoint names of its segments; none if it was given up meanwhile. */
async function segmentsOf(
  storage: CheckpointStorage,
  completionNumber: number,
): Promise<ReadonlyMap<string, number>> {
  const metadata = await new CheckpointReader(storage)
    .load(completionNumber)
    .catch(() => undefined);
  const named = metadata?.handles.flatMap(({ log }) => log?.segments ?? []) ?? [];
  return new Map(named.map(({ id, lengthBytes }) => [id, lengthBytes]));
}

export async function auditStorage(storage: CheckpointStorage): Promise<StorageAudit> {
  const pool = await openWorkerPool({ environment: memoryEnvironment() }); // File lists only: no threads.
  const scan = await scanRetained(storage, pool);
  await pool.close();
  const missing: string[] = [];
  for (const { completionNumber, files } of scan.retained) {
    const absent: string[] = [];
    const segments = await segmentsOf(storage, completionNumber);
    for (const { id, lengthBytes } of files.flat()) {
      const size = await storage.size(fileName(id));
      const named = segments.get(id); // It grows: metadata, not the scan, knows its length.
      const isWhole = named === undefined ? size === lengthBytes : (size ?? 0) >= named;
      if (!isWhole) absent.push(id);
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
