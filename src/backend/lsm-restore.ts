// Restores the LSM of a backend from the parts of one or several checkpoints, without copying rows:
// files inside the backend's key groups are linked, those that reach beyond are clipped in the
// worker pool, and one MANIFEST is written over all of them.
//   R1. Parts have disjoint key groups, so that files of different parts never overlap; within a
//       part each file keeps its level, and numbers keep their order: LevelDB searches level 0 by it.
//   R2. Files whose verification is deferred are used as they are, those that are clipped too: what is verified
//       then are all bytes of the file that was clipped.
//   R3. Only files that lie wholly inside are known to be stored: a clipped one is a new file.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import type { KeyGroupRange, SharedFile } from "../api/keyed-state-backend.ts";
import { type FetchedFile, type ListEntry, fetchBase } from "../checkpoint/base-reader.ts";
import { runBounded } from "../checkpoint/bounded-work.ts";
import { fileName } from "../checkpoint/layout.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { TaskProgress } from "../checkpoint/task-progress.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import type { SstListEntry } from "../format/file-list.ts";
import { userKeyOf } from "../format/leveldb-internal-key.ts";
import { type RestoredFile, buildDirectory } from "../lsm/restore-directory.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { RestoreVerification } from "./options.ts";
import type { RestorePart } from "./restore.ts";

/** Files clipped at a time. */
const clipsMax = 4;

export interface RestoreDatabaseRequest {
  readonly environment: Environment;
  readonly workers: WorkerPool;
  readonly parts: readonly RestorePart[];
  readonly keyGroups: KeyGroupRange;
  /** To be made. */
  readonly directory: string;
  /** For fetched files; exists, and is removed by the caller once all is verified. */
  readonly fetchDirectory: string;
  readonly verification: RestoreVerification;
  readonly local: LocalFiles | undefined;
}

export interface RestoredDatabase {
  /** Files of the backend's own storage by their number in the database. */
  readonly stored: ReadonlyMap<number, SharedFile>;
  readonly clippedFiles: number;
  readonly clippedBytes: number;
  /** On the way from foreign storages, and into the database's directory. */
  readonly linkedFiles: number;
  readonly copiedFiles: number;
  /** Fetched files still to be verified. */
  readonly unverified: readonly FetchedFile[];
  readonly fetchDirectory: string;
  /** Of all its files. */
  readonly totalBytes: number;
}

/** A file of the database to be, without its number. */
type Placed = Omit<RestoredFile, "number"> & { readonly stored: SharedFile | undefined };

export async function restoreDatabase(request: RestoreDatabaseRequest): Promise<RestoredDatabase> {
  const { environment, directory, keyGroups, parts } = request;
  const files: RestoredFile[] = [];
  const stored = new Map<number, SharedFile>();
  const unverified: FetchedFile[] = [];
  let [lastSequence, clippedFiles, clippedBytes] = [0, 0, 0];
  let [linkedFiles, copiedFiles] = [0, 0];
  for (const [index, part] of parts.entries()) {
    const before = part.storage.stats();
    const restored = await restorePart(request, part, String(index)); //# fail point: restore.part-placed
    if (!part.isOwnStorage) {
      const after = part.storage.stats();
      linkedFiles += after.linkedFiles - before.linkedFiles;
      copiedFiles += after.copiedFiles - before.copiedFiles;
    }
    lastSequence = Math.max(lastSequence, restored.lastSequence);
    unverified.push(...restored.unverified);
    for (const { stored: file, ...placed } of restored.files) {
      const number = files.length + 1; // R1
      files.push({ ...placed, number });
      if (file !== undefined && part.isOwnStorage) stored.set(number, file);
      if (file !== undefined) continue;
      clippedFiles++;
      clippedBytes += placed.sizeBytes;
    }
  }
  const set = { files, lastSequence, nextFile: files.length + 1 };
  const built = await buildDirectory(environment, directory, set, keyGroups); //# fail point: restore.directory-built
  linkedFiles += built.linkedFiles;
  copiedFiles += built.copiedFiles;
  const { fetchDirectory } = request;
  return {
    stored,
    clippedFiles,
    clippedBytes,
    linkedFiles,
    copiedFiles,
    unverified,
    fetchDirectory,
    totalBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
  };
}

interface RestoredPartFiles {
  readonly files: readonly Placed[];
  readonly lastSequence: number;
  readonly unverified: readonly FetchedFile[];
}

/** The part's files inside the key groups, in the order of their numbers. */
async function restorePart(
  request: RestoreDatabaseRequest,
  part: RestorePart,
  prefix: string,
): Promise<RestoredPartFiles> {
  const { environment, workers, keyGroups, fetchDirectory } = request;
  if (!hasAllOf(keyGroups, part.handle.keyGroups)) workers.startFor(["clipTable"]);
  const isBehind = (entry: ListEntry): boolean =>
    request.verification === "behind" && "smallest" in entry;
  const { list, files } = await fetchBase({
    storage: part.storage,
    pool: workers,
    environment,
    base: part.handle.base,
    directory: fetchDirectory,
    local: part.isOwnStorage ? request.local : undefined,
    localPath: (_entry, index) => join(fetchDirectory, `${prefix}-${index}.sst`),
    select: (entry) => !("smallest" in entry) || overlaps(entry, keyGroups),
    verify: (entry) => (isBehind(entry) ? "behind" : "now"),
    rowsOf: part.handle,
  });
  if (list.kind !== "sst-set") {
    throw new InvalidArgumentError("the checkpoint is a dump, not a set of table files");
  }
  const fetched = files as readonly FetchedFile<SstListEntry>[];
  for (const { entry } of fetched) requireInside(entry, part.handle.keyGroups);
  const sorted = [...fetched].sort((a, b) => a.entry.number - b.entry.number);
  const placed: (Placed | undefined)[] = sorted.map(() => undefined);
  const indexes = sorted.map((_file, index) => index);
  const clipped = sorted.map(({ entry }) => entry).filter((entry) => !isInside(entry, keyGroups));
  const progress = clipped.length === 0 ? undefined : new TaskProgress("clip", clipped);
  await runBounded(indexes, clipsMax, undefined, async (index, stop) => {
    const file = sorted[index]!;
    placed[index] = await place(file, keyGroups, workers, stop);
    if (!isInside(file.entry, keyGroups)) progress?.fileDone(file.entry.lengthBytes);
  });
  const kept = placed.filter((file) => file !== undefined);
  const unverified = fetched.filter(({ entry }) => isBehind(entry));
  return { files: kept, lastSequence: list.lastSequence, unverified };
}

async function place(
  { entry, path }: FetchedFile<SstListEntry>,
  keyGroups: KeyGroupRange,
  workers: WorkerPool,
  signal: AbortSignal,
): Promise<Placed | undefined> {
  const { level } = entry;
  const file = fileName(entry.id);
  if (isInside(entry, keyGroups)) {
    const { smallest, largest, lengthBytes } = entry;
    return { level, smallest, largest, sizeBytes: lengthBytes, path, stored: entry };
  }
  const { first, last } = keyGroups;
  const target = `${path}.clipped`;
  const task = { path, target, keyGroups: { first, last }, file };
  const { lengthBytes, bounds } = await workers.submit("clipTable", task, { signal });
  if (bounds === undefined) return undefined;
  return { level, ...bounds, sizeBytes: lengthBytes, path: target, stored: undefined };
}

function hasAllOf({ first, last }: KeyGroupRange, other: KeyGroupRange): boolean {
  return first <= other.first && last >= other.last;
}

function groupOf(internalKey: Uint8Array): number {
  const key = userKeyOf(internalKey);
  return key.length < 2 ? -1 : key[0]! * 256 + key[1]!;
}

function isInside({ smallest, largest }: SstListEntry, { first, last }: KeyGroupRange): boolean {
  return groupOf(smallest) >= first && groupOf(largest) <= last;
}

function overlaps({ smallest, largest }: SstListEntry, { first, last }: KeyGroupRange): boolean {
  return groupOf(smallest) <= last && groupOf(largest) >= first;
}

/** Rows outside the handle's own key groups would come back, stale, in a later merge. */
function requireInside(entry: SstListEntry, keyGroups: KeyGroupRange): void {
  if (isInside(entry, keyGroups)) return;
  throw new CorruptionError(
    `the file has rows outside the key groups ${keyGroups.first}-${keyGroups.last} of its handle`,
    fileName(entry.id),
    0,
  );
}
