// Restores the LSM from canonical savepoints with the backend's own number of key groups: each of
// their files becomes a table, in the worker pool, and one MANIFEST is written over all of them.
//   B1. Rows ascend from file to file, and parts have disjoint key groups: so tables do not overlap,
//       and all of them fit one level. LevelDB's rules are checked before it opens them.
//   B2. No file is known to be stored: the first checkpoint stands without the savepoint.
import { join } from "node:path";
import { fetchBase } from "../checkpoint/base-reader.ts";
import { runBounded } from "../checkpoint/bounded-work.ts";
import { fileName } from "../checkpoint/layout.ts";
import { TaskProgress } from "../checkpoint/task-progress.ts";
import { CorruptionError } from "../errors.ts";
import type { CanonicalListEntry } from "../format/file-list.ts";
import { BUILT_SEQUENCE } from "../format/leveldb-table-builder.ts";
import { levelFor } from "../format/leveldb-file-set.ts";
import { buildDirectory } from "../lsm/restore-directory.ts";
import type { RestoreDatabaseRequest, RestoredDatabase } from "./lsm-restore.ts";
import type { RestorePart } from "./restore.ts";

interface Made {
  readonly path: string;
  readonly sizeBytes: number;
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
}

/** How each part of a restore gets into the LSM. */
export interface RestorePlan {
  /** Made into tables: rows whose key groups stay what they are, if there is nothing else. */
  readonly made: readonly RestorePart[];
  /** Linked. */
  readonly linked: readonly RestorePart[];
  /** Put into the write buffer row by row. */
  readonly loaded: readonly RestorePart[];
}

export function planRestore(parts: readonly RestorePart[], keyGroupCount: number): RestorePlan {
  const isOfRows = ({ handle }: RestorePart): boolean => handle.base.kind === "canonical";
  const canMake = parts.every((part) => {
    return isOfRows(part) && part.handle.keyGroups.max === keyGroupCount;
  });
  if (canMake) return { made: parts, linked: [], loaded: [] };
  const linked = parts.filter((part) => !isOfRows(part));
  return { made: [], linked, loaded: parts.filter(isOfRows) };
}

export async function makeDatabase(
  request: RestoreDatabaseRequest,
  blockSizeBytes: number,
): Promise<RestoredDatabase> {
  const made: Made[] = [];
  for (const [index, part] of request.parts.entries()) {
    made.push(...(await makeTables(request, part, String(index), blockSizeBytes)));
  }
  const totalBytes = made.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const level = levelFor(totalBytes);
  const files = made.map((file, index) => ({ ...file, level, number: index + 1 }));
  const set = { files, lastSequence: BUILT_SEQUENCE, nextFile: files.length + 1 };
  const { environment, directory, fetchDirectory, keyGroups } = request;
  const { linkedFiles, copiedFiles } = await buildDirectory(environment, directory, set, keyGroups); // B1
  return {
    stored: new Map(),
    clippedFiles: 0,
    clippedBytes: 0,
    linkedFiles,
    copiedFiles,
    unverified: [],
    fetchDirectory,
    totalBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
  };
}

/** Tables of the part's rows of the key groups, in key order. */
async function makeTables(
  request: RestoreDatabaseRequest,
  part: RestorePart,
  prefix: string,
  blockSizeBytes: number,
): Promise<Made[]> {
  const { environment, workers, keyGroups, fetchDirectory } = request;
  const { handle, storage } = part;
  const { files } = await fetchBase({
    storage,
    pool: workers,
    environment,
    base: handle.base,
    directory: fetchDirectory,
    localPath: (_entry, index) => join(fetchDirectory, `${prefix}-${index}.rows`),
    verify: () => "reader", // By `makeTable`.
    select: (entry) => overlaps(entry as CanonicalListEntry, keyGroups),
    rowsOf: handle,
  });
  const made: (Made | undefined)[] = files.map(() => undefined);
  const indexes = files.map((_file, index) => index);
  const progress = new TaskProgress(
    "load",
    files.map(({ entry }) => entry),
  );
  await runBounded(indexes, workers.threads, undefined, async (index, stop) => {
    const { entry, path } = files[index]!;
    const { firstKeyGroup, lastKeyGroup, rowCount } = entry as CanonicalListEntry;
    const file = fileName(entry.id);
    const task = {
      path,
      lengthBytes: entry.lengthBytes,
      sha256: entry.sha256,
      file,
      target: `${path}.table`,
      blockSizeBytes,
      stateIds: handle.states.map(({ id }) => id),
      keyGroupCount: handle.keyGroups.max,
      storedGroups: { first: firstKeyGroup, last: lastKeyGroup },
      keyGroups: { first: keyGroups.first, last: keyGroups.last },
    };
    const table = await workers.submit("makeTable", task, { signal: stop });
    if (table.rowCount !== rowCount) {
      throw new CorruptionError("the file has another number of rows than its list says", file, 0);
    }
    await environment.fileSystem.unlink(path); // Disk holds the rows once, but for a few files.
    progress.fileDone(entry.lengthBytes);
    if (table.bounds === undefined) return;
    made[index] = { ...table.bounds, path: task.target, sizeBytes: table.lengthBytes };
  });
  return made.filter((table) => table !== undefined);
}

function overlaps(
  { firstKeyGroup, lastKeyGroup }: CanonicalListEntry,
  { first, last }: { readonly first: number; readonly last: number },
): boolean {
  return firstKeyGroup <= last && lastKeyGroup >= first;
}
