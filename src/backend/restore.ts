// Finds the checkpoint to start from and checks that it fits, before anything local is made.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { JsonValue, KeyGroupRange, KeyedStateHandle } from "../api/keyed-state-backend.ts";
import { CheckpointReader } from "../checkpoint/checkpoint-reader.ts";
import { LATEST_NAME, numberOfMetadataName } from "../checkpoint/layout.ts";
import { CheckpointNotFoundError, InvalidArgumentError } from "../errors.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";
import type { ResolvedOptions, RestoreHandles } from "./options.ts";

/** A checkpoint to start from, and where its files are. */
export interface RestoreSource {
  readonly storage: CheckpointStorage;
  /** Whether that is the storage the backend writes to: only then may it build on the files. */
  readonly isOwnStorage: boolean;
  readonly checkpointId: number;
  readonly metadata: JsonValue | undefined;
  readonly handle: KeyedStateHandle;
}

/** The source that the options name; undefined for an empty start. */
export async function findRestoreSource(
  options: ResolvedOptions,
): Promise<RestoreSource | undefined> {
  const { restore, checkpointStorage } = options;
  if (typeof restore === "object") return fromHandles(restore, options);
  const reader = new CheckpointReader(checkpointStorage);
  if (typeof restore === "number") {
    return fromMetadata(await reader.findById(restore), checkpointStorage, true, options);
  }
  if (restore === "latest-or-new") {
    if (!(await reader.hasTrace())) return undefined;
    return fromMetadata(await reader.loadNewest(), checkpointStorage, true, options);
  }
  if (restore === "latest") {
    return fromMetadata(await reader.loadNewest(), checkpointStorage, true, options);
  }
  return fromPath(restore, options);
}

async function fromPath(path: string, options: ResolvedOptions): Promise<RestoreSource> {
  const { checkpointStorage } = options;
  if (checkpointStorage.resolvePath === undefined) {
    throw new InvalidArgumentError(
      `restore: ${checkpointStorage.description} has no paths: name a checkpoint id`,
    );
  }
  const { storage, name } = checkpointStorage.resolvePath(path);
  const reader = new CheckpointReader(storage);
  const isOwn = storage.description === checkpointStorage.description;
  if (name === LATEST_NAME) return fromMetadata(await reader.loadNewest(), storage, isOwn, options);
  const number = numberOfMetadataName(name);
  if (number === undefined) {
    throw new InvalidArgumentError(`restore: ${path} is not a checkpoint's metadata`);
  }
  return fromMetadata(await reader.load(number), storage, isOwn, options);
}

function fromHandles(restore: RestoreHandles, options: ResolvedOptions): RestoreSource {
  return {
    storage: options.checkpointStorage,
    isOwnStorage: true,
    checkpointId: restore.checkpointId,
    metadata: restore.metadata,
    handle: singleHandle(restore.handles, options, "the given handles"),
  };
}

function fromMetadata(
  metadata: CheckpointMetadata,
  storage: CheckpointStorage,
  isOwnStorage: boolean,
  options: ResolvedOptions,
): RestoreSource {
  const { checkpointId, userMetadata, backendKind } = metadata;
  if (backendKind !== options.backend) {
    throw new InvalidArgumentError(
      `checkpoint ${checkpointId} was taken by the ${backendKind} backend and cannot be restored into the ${options.backend} backend`,
    );
  }
  return {
    storage,
    isOwnStorage,
    checkpointId,
    metadata: userMetadata,
    handle: singleHandle(metadata.handles, options, `checkpoint ${checkpointId}`),
  };
}

/** The handle of exactly the backend's key groups. Rescaling needs more, and comes later. */
function singleHandle(
  handles: readonly KeyedStateHandle[],
  options: ResolvedOptions,
  what: string,
): KeyedStateHandle {
  const { keyGroups } = options;
  const otherMax = handles.find((handle) => handle.keyGroups.max !== keyGroups.max);
  if (otherMax !== undefined) {
    throw new InvalidArgumentError(
      `${what} has ${otherMax.keyGroups.max} key groups, this backend ${keyGroups.max}: the number is fixed for a job's life`,
    );
  }
  checkNoOverlap(handles, what);
  const handle = handles.find((one) => isSameRange(one.keyGroups, keyGroups));
  if (handle !== undefined) return handle;
  const ranges = handles.map(({ keyGroups: range }) => `${range.first}-${range.last}`).join(", ");
  throw new InvalidArgumentError(
    `${what} holds key groups ${ranges || "none"}, this backend owns ${keyGroups.first}-${keyGroups.last}: this version restores equal ranges only`,
  );
}

function checkNoOverlap(handles: readonly KeyedStateHandle[], what: string): void {
  const sorted = [...handles].sort((a, b) => a.keyGroups.first - b.keyGroups.first);
  for (let index = 1; index < sorted.length; index++) {
    const [left, right] = [sorted[index - 1]!.keyGroups, sorted[index]!.keyGroups];
    if (right.first > left.last) continue;
    throw new InvalidArgumentError(
      `${what} has overlapping key groups: ${left.first}-${left.last} and ${right.first}-${right.last}`,
    );
  }
}

function isSameRange(a: KeyGroupRange, b: KeyGroupRange): boolean {
  return a.max === b.max && a.first === b.first && a.last === b.last;
}

/** Refuses a storage path that does not exist, so that a misspelt one is not an empty start. */
export async function requireStorage(options: ResolvedOptions): Promise<void> {
  if (options.restore !== "latest") return;
  const reader = new CheckpointReader(options.checkpointStorage);
  if (await reader.hasTrace()) return;
  throw new CheckpointNotFoundError(
    `there is no checkpoint in ${options.checkpointStorage.description}: use "latest-or-new" to start empty`,
  );
}
