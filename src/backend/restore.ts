// Finds the checkpoint to start from and checks that it fits, before anything local is made.
import type { RestoreHandles } from "../api/checkpoint-coordinator.ts";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type {
  KeyGroupRange,
  KeyedStateHandle,
  RestoredCheckpoint,
  RestoredPart,
  StateSchema,
} from "../api/keyed-state-backend.ts";
import { CheckpointReader } from "../checkpoint/checkpoint-reader.ts";
import { LATEST_NAME, metadataName, numberOfMetadataName } from "../checkpoint/layout.ts";
import { CheckpointNotFoundError, InvalidArgumentError } from "../errors.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";
import { savepointFormatOf } from "../format/savepoint.ts";
import type { ResolvedOptions, RestoreTarget } from "./options.ts";
import { mergeSchemas } from "./state-catalog.ts";

/** A handle to restore from, and where its files are. */
export interface RestorePart {
  readonly storage: CheckpointStorage;
  /** Whether that is the storage the backend writes to: only then may it build on the files. */
  readonly isOwnStorage: boolean;
  readonly handle: KeyedStateHandle;
}

/** What to start from. */
export interface RestoreSource {
  readonly restored: RestoredCheckpoint;
  /** The parts whose key groups are, wholly or in part, the backend's. */
  readonly parts: readonly RestorePart[];
  readonly states: readonly StateSchema[];
  /** Above every change in the parts. */
  readonly changeNumber: number;
}

interface Found {
  readonly part: RestoredPart;
  readonly parts: readonly RestorePart[];
  readonly what: string;
}

/** The source that the options name; undefined for an empty start. */
export async function findRestoreSource(
  options: ResolvedOptions,
): Promise<RestoreSource | undefined> {
  const { restore, checkpointStorage } = options;
  if (isPaths(restore)) {
    const found: Found[] = [];
    for (const path of restore) found.push(await fromPath(path, options));
    return combine(found, options);
  }
  if (typeof restore === "object") {
    if (restore.checkpointId === 0 && restore.handles.length === 0) return undefined;
    return combine([fromHandles(restore, options)], options);
  }
  const reader = new CheckpointReader(checkpointStorage);
  const own = (metadata: CheckpointMetadata): RestoreSource =>
    combine([fromMetadata(metadata, checkpointStorage, true, options)], options);
  if (typeof restore === "number") return own(await reader.findById(restore));
  if (restore === "latest-or-new") {
    return (await reader.hasTrace()) ? own(await reader.loadNewest()) : undefined;
  }
  if (restore === "latest") return own(await reader.loadNewest());
  return combine([await fromPath(restore, options)], options);
}

/**
 * A file is missing either from a checkpoint that exists, which is damage, or because another owner has
 * completed newer ones and given up this one since it was found: then there is nothing to repair.
 */
export async function refuseGivenUp(
  { checkpointStorage }: ResolvedOptions,
  source: RestoreSource | undefined,
): Promise<void> {
  if (source === undefined || !source.parts.every(({ isOwnStorage }) => isOwnStorage)) return;
  const { checkpointId } = source.restored;
  try {
    await new CheckpointReader(checkpointStorage).findById(checkpointId);
  } catch (cause) {
    if (!(cause instanceof CheckpointNotFoundError)) return; // The damage is what to tell.
    throw new CheckpointNotFoundError(
      `checkpoint ${checkpointId} was given up by another owner while it was being restored: open again`,
      { cause },
    );
  }
}

function isPaths(restore: RestoreTarget): restore is readonly string[] {
  return Array.isArray(restore);
}

async function fromPath(path: string, options: ResolvedOptions): Promise<Found> {
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

function fromHandles(restore: RestoreHandles, options: ResolvedOptions): Found {
  const { checkpointId, metadata, handles, storage = options.checkpointStorage } = restore;
  const isOwnStorage = storage.description === options.checkpointStorage.description;
  return {
    part: { checkpointId, metadata, keyGroups: handles.map(({ keyGroups }) => keyGroups) },
    parts: handles.map((handle) => ({ storage, isOwnStorage, handle })),
    what: "the given handles",
  };
}

function fromMetadata(
  metadata: CheckpointMetadata,
  storage: CheckpointStorage,
  isOwnStorage: boolean,
  options: ResolvedOptions,
): Found {
  const { checkpointId, userMetadata, backendKind, handles, completionNumber } = metadata;
  const format = savepointFormatOf(metadata, metadataName(completionNumber));
  if (backendKind !== options.backend && format !== "canonical") {
    throw new InvalidArgumentError(
      `checkpoint ${checkpointId} was taken by the ${backendKind} backend and cannot be restored into the ${options.backend} backend: convert it with "varve convert SOURCE TARGET", or take a canonical savepoint`,
    );
  }
  checkOwnership(options, storage, isOwnStorage, format !== undefined);
  const keyGroups = handles.map((handle) => handle.keyGroups);
  if (isOwnStorage) requireNoneLeftOut(keyGroups, checkpointId, storage, options.keyGroups);
  return {
    part: { checkpointId, metadata: userMetadata, keyGroups },
    parts: handles.map((handle) => ({ storage, isOwnStorage, handle })),
    what: `checkpoint ${checkpointId} of ${storage.description}`,
  };
}

/** Who deletes what is restored: the user, unless it is in the job's own storage. */
function checkOwnership(
  options: ResolvedOptions,
  storage: CheckpointStorage,
  isOwnStorage: boolean,
  isSavepoint: boolean,
): void {
  const isClaimed = options.restoreMode === "claim";
  if (isSavepoint && isOwnStorage && !isClaimed) {
    throw new InvalidArgumentError(
      `${storage.description} is a savepoint, which the job would delete in time: give the backend a checkpointStorage of its own, or say restoreMode: "claim"`,
    );
  }
  if (isOwnStorage || !isClaimed) return;
  throw new InvalidArgumentError(
    `restoreMode "claim" takes over what is in the checkpointStorage itself: make ${storage.description} the checkpointStorage, or restore it with "no-claim"`,
  );
}

/** The next checkpoint of the storage would replace this one without those key groups. */
function requireNoneLeftOut(
  ranges: readonly KeyGroupRange[],
  checkpointId: number,
  storage: CheckpointStorage,
  owned: KeyGroupRange,
): void {
  const isWhole = owned.first === 0 && owned.last === owned.max - 1;
  const outside = ranges.find(({ max, first, last }) => {
    return max === owned.max ? first < owned.first || last > owned.last : !isWhole;
  });
  if (outside === undefined) return;
  throw new InvalidArgumentError(
    `checkpoint ${checkpointId} holds key groups ${outside.first}-${outside.last}, this backend owns ${owned.first}-${owned.last} and would replace it in ${storage.description}: to restore a part, give the backend a checkpointStorage of its own and name the checkpoint's path`,
  );
}

/** Refuses parts that do not fit together, or not the backend. */
function combine(found: readonly Found[], options: ResolvedOptions): RestoreSource {
  const { keyGroups } = options;
  const what = found.map((one) => one.what).join(", ");
  const all = found.flatMap(({ parts }) => parts);
  const max = groupCountOf(all, keyGroups.max, what);
  // After a change of their number any key may go to any key group.
  const needed = max === keyGroups.max ? keyGroups : { max, first: 0, last: max - 1 };
  checkCover(
    all.map(({ handle }) => handle.keyGroups),
    needed,
    what,
  );
  const parts = all.filter(({ handle }) => {
    return handle.keyGroups.first <= needed.last && handle.keyGroups.last >= needed.first;
  });
  const [only] = found;
  const checkpointId = Math.max(...found.map(({ part }) => part.checkpointId));
  return {
    restored: {
      checkpointId,
      metadata: found.length === 1 ? only!.part.metadata : undefined,
      parts: found.map(({ part }) => part),
    },
    parts,
    states: mergeSchemas(parts.map(({ handle }) => handle.states)),
    changeNumber: Math.max(...parts.map(({ handle }) => handle.changeNumber)),
  };
}

/** The number of key groups of the parts, which only canonical rows allow to be another one. */
function groupCountOf(parts: readonly RestorePart[], owned: number, what: string): number {
  const [first] = parts;
  if (first === undefined) return owned;
  const { max } = first.handle.keyGroups;
  for (const { handle } of parts) {
    if (handle.keyGroups.max !== max) {
      throw new InvalidArgumentError(
        `${what}: parts of ${max} and of ${handle.keyGroups.max} key groups do not fit together`,
      );
    }
    if (max === owned || handle.base.kind === "canonical") continue;
    throw new InvalidArgumentError(
      `${what} has ${max} key groups, this backend ${owned}: convert it with "varve convert SOURCE TARGET --key-groups ${owned}", or take a canonical savepoint`,
    );
  }
  return max;
}

/** The ranges must not overlap anywhere, and leave no gap among the backend's key groups. */
function checkCover(ranges: readonly KeyGroupRange[], owned: KeyGroupRange, what: string): void {
  const sorted = [...ranges].sort((a, b) => a.first - b.first);
  let missing = owned.first;
  for (const [index, { first, last }] of sorted.entries()) {
    const before = sorted[index - 1];
    if (before !== undefined && before.last >= first) {
      throw new InvalidArgumentError(
        `${what} has overlapping key groups: ${before.first}-${before.last} and ${first}-${last}`,
      );
    }
    if (first <= missing && last >= missing) missing = last + 1;
  }
  if (missing > owned.last) return;
  const list = sorted.map(({ first, last }) => `${first}-${last}`).join(", ");
  throw new InvalidArgumentError(
    `${what} holds key groups ${list || "none"}; this backend owns ${owned.first}-${owned.last}, and ${missing} is in none of them`,
  );
}
