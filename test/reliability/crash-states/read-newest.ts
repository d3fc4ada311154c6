// Reads and verifies the newest checkpoint as a restore does, up to where LevelDB would take over.
import { fetchBase } from "../../../src/checkpoint/base-reader.ts";
import { CheckpointReader } from "../../../src/checkpoint/checkpoint-reader.ts";
import { openLog } from "../../../src/checkpoint/log-reader.ts";
import type { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { fileSystemStorage } from "../../../src/index.ts";
import { memoryEnvironment } from "../../../src/testing/index.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";

const FETCHED = "/fetched";

/** The offset in its metadata; 0 if there is no trace of a checkpoint. */
export async function readNewest(fileSystem: MemoryFileSystem, root: string): Promise<number> {
  const environment = memoryEnvironment({ fileSystem });
  const storage = fileSystemStorage(root, {}, environment);
  const reader = new CheckpointReader(storage);
  if (!(await reader.hasTrace())) return 0;
  const metadata = await reader.loadNewest();
  const pool = await openWorkerPool({ environment });
  for (const handle of metadata.handles) {
    await fileSystem.removeTree(FETCHED);
    await fileSystem.makeDirectory(FETCHED);
    await fetchBase({
      storage,
      pool,
      environment,
      base: handle.base,
      directory: FETCHED,
      localPath: (entry) => `${FETCHED}/${entry.id}`,
      rowsOf: handle,
    });
    if (handle.log === undefined) continue;
    const { keyGroups } = handle;
    const log = await openLog({
      storage,
      pool,
      environment,
      directory: FETCHED,
      handle,
      keyGroups,
    });
    let rows = 0;
    for await (const frame of log) rows += frame.rows.length;
    if (rows === 0 && log.rowCount > 0) throw new Error("a log of rows has none");
  }
  await pool.close();
  return (metadata.userMetadata as { readonly offset: number }).offset;
}
