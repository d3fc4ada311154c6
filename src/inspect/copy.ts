// Makes a directory of its own from one checkpoint: a storage that holds only that, restorable by its
// path, and that no job deletes from.
//   C1. It is made under a name of its own beside the target, and renamed at the end, once everything
//       in it is durable and verified: the target is whole or not there.
//   C2. Files are linked where the file system can, which keeps them from the first moment on,
//       whatever the job deletes; else copied. A link shares damage with the original.
//       A changelog segment is copied always, up to the length that the checkpoint names: the original grows.
//   C3. The target must not exist. If copying fails, what was made is removed, and nothing else.
import { dirname, join, resolve } from "node:path";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment, FileSystem } from "../api/environment.ts";
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { runBounded } from "../checkpoint/bounded-work.ts";
import { requireFetchSpace } from "../checkpoint/fetch-space.ts";
import { fileSystemStorage } from "../checkpoint/file-system-storage.ts";
import { FILES_PREFIX, LATEST_NAME, fileName, metadataName } from "../checkpoint/layout.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { CorruptionError } from "../errors.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { toHex } from "../format/hex.ts";
import { encodeHint } from "../format/metadata-hint.ts";
import { METADATA_BYTES_MAX, decodeMetadata } from "../format/metadata.ts";
import { type WorkerPool, openWorkerPool } from "../workers/worker-pool.ts";
import { segmentPrefixesOf } from "./checkpoint-files.ts";
import type { CheckpointView } from "./checkpoint-view.ts";
import { storedSegment } from "./log-source.ts";
import { opened } from "./open-checkpoint.ts";
import { moveIntoPlace, requireOutside, targetExists } from "./target-place.ts";

/** Files under way: each waits for a sync, which others share. */
const CONCURRENCY_MAX = 16;

/** Of a segment, at a time. */
const COPY_BYTES = 1_048_576;

export interface CopyProgress {
  readonly copiedBytes: number;
  readonly totalBytes: number;
}

export interface CopyOptions {
  /**
   * `link`: hard links where the file system can, else copies. `copy`: copies always, so that damage
   * to the original is not shared.
   * @defaultValue "link"
   */
  readonly transfer?: "link" | "copy" | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  /** Where the target is. @defaultValue Node's */
  readonly environment?: Environment | undefined;
}

export interface CopiedCheckpoint {
  readonly checkpointId: number;
  readonly fileCount: number;
  readonly totalBytes: number;
  /** Path of the copied metadata: what `restore` takes, as it does `target`. */
  readonly location: string;
}

/** InvalidArgumentError if `target` exists. */
export async function copyCheckpoint(
  view: CheckpointView,
  target: string,
  options: CopyOptions = {},
): Promise<CopiedCheckpoint> {
  const environment = options.environment ?? nodeEnvironment();
  const { fileSystem } = environment;
  const path = resolve(target);
  if ((await doing(path, () => fileSystem.stat(path))) !== undefined) throw targetExists(path); // C3
  await doing(path, () => requireOutside(view.storage, path, fileSystem));
  const partial = `${path}.partial-${toHex(environment.random.bytes(8))}`;
  const pool = await openWorkerPool({ environment });
  try {
    const copied = await opened(view).guard(() => fill(view, partial, options, environment, pool));
    await doing(path, () => moveIntoPlace(partial, path, fileSystem)); // C1
    return { ...copied, location: join(path, metadataName(view.metadata.completionNumber)) };
  } catch (error) {
    await doing(partial, () => fileSystem.removeTree(partial));
    throw error;
  } finally {
    await pool.close();
  }
}

async function fill(
  view: CheckpointView,
  target: string,
  options: CopyOptions,
  environment: Environment,
  pool: WorkerPool,
): Promise<Omit<CopiedCheckpoint, "location">> {
  const { fileSystem } = environment;
  const { metadata, checkpointId } = view;
  const { signal, transfer } = options;
  const storage = transfer === "copy" ? copying(view.storage, environment) : view.storage;
  const files = await view.files();
  const linked = files.filter(({ kind }) => kind !== "segment");
  const segments = files.filter(({ kind }) => kind === "segment");
  const copy = fileSystemStorage(target, {}, environment);
  await copy.open();
  const folder = join(target, FILES_PREFIX);
  await doing(folder, () => fileSystem.makeDirectory(folder));
  await requireFetchSpace(storage, fileSystem, folder, linked);
  await requireFetchSpace({}, fileSystem, folder, segments);
  const pathOf = ({ id }: SharedFile): string => join(target, fileName(id));
  // All links first: from then on the job may delete what it likes (C2).
  await runBounded(linked, CONCURRENCY_MAX, signal, async (file, stop) => {
    await fetchFile(storage, file, pathOf(file), stop);
  });
  await runBounded(segments, CONCURRENCY_MAX, signal, async (file, stop) => {
    const path = pathOf(file);
    await doing(path, () => copySegment(view.storage, file, path, fileSystem, stop));
  });
  const name = metadataName(metadata.completionNumber);
  const bytes = await metadataBytes(view, name);
  await verifyAll(files, pathOf, options, pool, fileSystem);
  for (const { lengthBytes, sha256, id } of segmentPrefixesOf(opened(view).parts)) {
    const request = { path: join(target, fileName(id)), lengthBytes, sha256, file: fileName(id) };
    await pool.submit("verifySegment", request, { signal });
  }
  await doing(folder, () => fileSystem.syncDirectory(folder));
  await copy.createIfAbsent(name, bytes);
  await copy.replace(LATEST_NAME, encodeHint(metadata.completionNumber));
  const totalBytes = files.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  return { checkpointId, fileCount: files.length, totalBytes };
}

/** The same files, given as copies. */
function copying(storage: CheckpointStorage, environment: Environment): CheckpointStorage {
  const latest = storage.locate?.(LATEST_NAME);
  if (latest === undefined) return storage; // Without local files there is nothing to link.
  return fileSystemStorage(dirname(latest), { transfer: "copy" }, environment);
}

async function fetchFile(
  storage: CheckpointStorage,
  { id, lengthBytes }: SharedFile,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const name = fileName(id);
  const size = await storage.size(name);
  if (size !== lengthBytes) {
    const found = size === undefined ? "does not exist" : `has ${size} bytes`;
    throw new CorruptionError(`a file of the checkpoint ${found}`, name, 0);
  }
  await storage.fetchFile(name, path, { signal });
}

async function copySegment(
  storage: CheckpointStorage,
  segment: SharedFile,
  path: string,
  fileSystem: FileSystem,
  signal: AbortSignal,
): Promise<void> {
  const stored = storedSegment(storage, segment);
  const copy = await fileSystem.create(path);
  try {
    for (let at = 0; at < segment.lengthBytes; at += COPY_BYTES) {
      signal.throwIfAborted();
      await copy.write(await stored.read(at, Math.min(COPY_BYTES, segment.lengthBytes - at)));
    }
  } finally {
    await copy.close();
  }
}

async function verifyAll(
  files: readonly SharedFile[],
  pathOf: (file: SharedFile) => string,
  { signal, onProgress }: CopyOptions,
  pool: WorkerPool,
  fileSystem: FileSystem,
): Promise<void> {
  const totalBytes = files.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  let copiedBytes = 0;
  onProgress?.({ copiedBytes, totalBytes });
  await runBounded(files, CONCURRENCY_MAX, signal, async (file, stop) => {
    const path = pathOf(file);
    const { lengthBytes, sha256, id } = file;
    const request = { path, lengthBytes, sha256, file: fileName(id) };
    await pool.submit("verifyFile", request, { signal: stop });
    await doing(path, () => fileSystem.syncFile(path));
    copiedBytes += lengthBytes;
    onProgress?.({ copiedBytes, totalBytes });
  });
}

/** The stored bytes, which still are those of the view's checkpoint. */
async function metadataBytes(
  { storage, metadata }: CheckpointView,
  name: string,
): Promise<Uint8Array> {
  const bytes = await storage.read(name, METADATA_BYTES_MAX);
  if (bytes === undefined) throw new CorruptionError("the metadata does not exist", name, 0);
  const { writerEpoch, checkpointId } = decodeMetadata(bytes, await loadFrameChecksum(), name);
  if (writerEpoch.id === metadata.writerEpoch.id && checkpointId === metadata.checkpointId) {
    return bytes;
  }
  throw new CorruptionError("the metadata is of another checkpoint now", name, 0);
}

async function doing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw typedFileError(`copy a checkpoint to ${path}`, cause);
  }
}
