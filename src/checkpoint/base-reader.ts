// Brings a base's files into a local directory, verified.
//   V1. Every byte is verified before anybody opens a file, unless the caller defers it and verifies
//       it himself: LevelDB trusts what it reads.
//   V2. What is checked is the fetched file, not the stored one: a copy may go wrong.
//   V3. Local names are made by the caller; the stored list has ids only.
//   V4. A hash says that bytes are those that were stored, not that LevelDB may read them: of a table
//       every entry is looked at too, where the caller says what its rows may be.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type { BaseHandle, KeyedStateHandle, SharedFile } from "../api/keyed-state-backend.ts";
import { CorruptionError } from "../errors.ts";
import { FILE_LIST_BYTES_MAX } from "../format/file-list.ts";
import type {
  CanonicalListEntry,
  DumpListEntry,
  FileList,
  SstListEntry,
} from "../format/file-list.ts";
import type { TableClaims } from "../format/leveldb-table-walk.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { runBounded } from "./bounded-work.ts";
import { requireFetchSpace } from "./fetch-space.ts";
import { fileName } from "./layout.ts";
import type { LocalFiles } from "./local-files.ts";
import { TaskProgress } from "./task-progress.ts";

/** Files fetched and verified at a time: enough to keep a pool of hashing threads busy. */
const concurrencyMax = 8;
/** Within the time that a thread takes to start: lists of so many files are decoded here, */
const decodedHereMax = 5000;
/** and so many tables are checked, by so many at a time: most calls block. */
const checkedHereMax = 1000;
const checkLanes = 4;

export type ListEntry = SstListEntry | DumpListEntry | CanonicalListEntry;

/**
 * `now`: every byte. `behind`: length, index and filter of a table now, the rest by the caller while
 * it is in use. `reader`: by the caller's own task, as it reads the file.
 */
export type Verification = "now" | "behind" | "reader";

export interface FetchBaseRequest {
  readonly storage: CheckpointStorage;
  readonly pool: WorkerPool;
  readonly environment: Environment;
  readonly base: BaseHandle;
  /** Exists, and is given up if this fails. */
  readonly directory: string;
  /** Path for an entry of the list, in the directory; must not exist. */
  readonly localPath: (entry: ListEntry, index: number) => string;
  /** Which files to fetch. @defaultValue all */
  readonly select?: ((entry: ListEntry) => boolean) | undefined;
  /** How each file is verified (V1). @defaultValue now */
  readonly verify?: ((entry: ListEntry) => Verification) | undefined;
  /** The handle, whose key groups and states the rows must be of (V4). */
  readonly rowsOf?: KeyedStateHandle | undefined;
  /** Where a file may be at hand already, and is kept for the next time. */
  readonly local?: LocalFiles | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface FetchedFile<E extends ListEntry = ListEntry> {
  readonly entry: E;
  readonly path: string;
  /** What is to be verified of a table besides its hash. */
  readonly table?: TableClaims | undefined;
}

export interface FetchedBase {
  readonly list: FileList;
  /** In the order of the list. */
  readonly files: readonly FetchedFile[];
}

/** The file list of a base, verified against its handle. */
export async function readFileList(
  storage: CheckpointStorage,
  pool: WorkerPool,
  base: BaseHandle,
  signal?: AbortSignal,
  local?: LocalFiles,
): Promise<FileList> {
  const name = fileName(base.fileList.id);
  if (base.fileList.lengthBytes > FILE_LIST_BYTES_MAX) {
    throw new CorruptionError("the file list is longer than one can be", name, 0);
  }
  await checkStored(storage, base.fileList);
  const atHand = await local?.read(base.fileList);
  const bytes = atHand ?? (await storage.read(name, base.fileList.lengthBytes));
  if (bytes === undefined) throw missing(name);
  const request = { bytes, expected: base.fileList, file: name };
  const isSmall = base.fileCount <= decodedHereMax;
  const { list } = await pool.submit("decodeFileList", request, { signal, isSmall });
  const totalBytes = list.files.reduce((sum, file) => sum + file.lengthBytes, 0);
  const isAsDescribed =
    list.kind === base.kind &&
    list.files.length === base.fileCount &&
    totalBytes === base.totalBytes;
  if (!isAsDescribed) throw new CorruptionError("file list and metadata disagree", name, 0);
  await local?.keepBytes(base.fileList.id, bytes);
  return list;
}

/**
 * Fetches and verifies the files of a base. CorruptionError names the first stored file that is
 * missing, truncated or damaged. NoSpaceError if they do not fit, before the first one if that can
 * be known. After a failure local files may be left: the caller's directory is of no use then.
 */
export async function fetchBase(request: FetchBaseRequest): Promise<FetchedBase> {
  const { storage, pool, environment, base, directory, signal, local } = request;
  const { localPath, select = () => true, verify = () => "now" } = request;
  const list = await readFileList(storage, pool, base, signal, local); //# fail point: restore.list-read
  const entries: readonly ListEntry[] = list.files;
  for (const entry of entries) requireOwnGroups(entry, request.rowsOf);
  const tableOf = tableClaims(list, request.rowsOf);
  const files = entries
    .map((entry, index) => ({ entry, path: localPath(entry, index), table: tableOf(entry) }))
    .filter(({ entry }) => select(entry));
  const wanted = files.map(({ entry }) => entry).filter(({ id }) => local?.has(id) !== true);
  await requireFetchSpace(storage, environment.fileSystem, directory, wanted); //# fail point: restore.space-checked
  const progress = new TaskProgress(
    "restore",
    files.map(({ entry }) => entry),
  );
  await runBounded(files, concurrencyMax, signal, async ({ entry, path, table }, stop) => {
    const name = fileName(entry.id);
    const verification = verify(entry);
    const isBehind = verification === "behind"; // Its length is checked with its index.
    const isAtHand = local?.has(entry.id) === true;
    if (!isBehind || isAtHand) await checkStored(storage, entry);
    const how = { verification, table };
    if (isAtHand && (await local.take(entry, path, how, stop))) {
      progress.fileDone(entry.lengthBytes);
      return;
    }
    try {
      await storage.fetchFile(name, path, { signal: stop });
    } catch (cause) {
      if (isBehind) await checkStored(storage, entry); // Tells what is wrong, if it is the file.
      throw cause;
    }
    if (verification === "now") {
      const { lengthBytes, sha256 } = entry;
      const task = { path, lengthBytes, sha256, file: name, table };
      await pool.submit("verifyFile", task, { signal: stop }); //# fail point: restore.file-verified
    }
    await local?.keepFile(entry.id, path);
    progress.fileDone(entry.lengthBytes);
  });
  const behind = files.filter(({ entry }) => verify(entry) === "behind");
  await checkTables(behind, pool, signal); //# fail point: restore.base-fetched
  return { list, files };
}

/**
 * Refuses a file whose key groups, as its list says, are not all the handle's. Those of tables are in
 * their bounds, which are looked at with the set.
 */
export function requireOwnGroups(entry: ListEntry, rowsOf: KeyedStateHandle | undefined): void {
  if (rowsOf === undefined || !("firstKeyGroup" in entry)) return;
  const { first, last } = rowsOf.keyGroups;
  if (entry.firstKeyGroup >= first && entry.lastKeyGroup <= last) return;
  const name = fileName(entry.id);
  throw new CorruptionError("the file has key groups outside those of its handle", name, 0);
}

/** What the files of a list must hold if they are tables. */
export function tableClaims(
  list: FileList,
  rowsOf: KeyedStateHandle | undefined,
): (entry: ListEntry) => TableClaims | undefined {
  if (list.kind !== "sst-set" || rowsOf === undefined) return () => undefined;
  const { lastSequence } = list;
  const { first, last } = rowsOf.keyGroups;
  const keyGroups = { first, last };
  const stateIds = rowsOf.states.map(({ id }) => id);
  return (entry) => {
    if (!("smallest" in entry)) return undefined;
    const { smallest, largest } = entry;
    return { smallest, largest, lastSequence, keyGroups, stateIds };
  };
}

/** On this thread up to a number: each takes much less than the trip to a worker. */
async function checkTables(
  files: readonly FetchedFile[],
  pool: WorkerPool,
  signal: AbortSignal | undefined,
): Promise<void> {
  const isSmall = files.length <= checkedHereMax;
  const lanes = isSmall ? checkLanes : pool.threads;
  const batches = Array.from({ length: Math.min(lanes, files.length) }, (_, lane) =>
    files
      .filter((_file, index) => index % lanes === lane)
      .map(({ entry, path }) => {
        return { path, lengthBytes: entry.lengthBytes, file: fileName(entry.id) };
      }),
  );
  await runBounded(batches, lanes, signal, async (batch, stop) => {
    await pool.submit("checkTables", { files: batch }, { signal: stop, isSmall });
  });
}

/** Before anything is transferred. */
async function checkStored(storage: CheckpointStorage, file: SharedFile): Promise<void> {
  const name = fileName(file.id);
  const size = await storage.size(name);
  if (size === undefined) throw missing(name);
  if (size === file.lengthBytes) return;
  throw new CorruptionError(
    `the stored file has ${size} bytes instead of ${file.lengthBytes}`,
    name,
    Math.min(size, file.lengthBytes),
  );
}

function missing(name: string): CorruptionError {
  return new CorruptionError("the checkpoint references a file that does not exist", name, 0);
}
