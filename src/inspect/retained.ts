// The retained checkpoints of a storage: sizes, and which files they share.
import type {
  CheckpointPolicy,
  KeyGroupRange,
  LoggedBytes,
  SharedFile,
} from "../api/keyed-state-backend.ts";
import { CheckpointReader, isUnreadable } from "../checkpoint/checkpoint-reader.ts";
import { metadataName } from "../checkpoint/layout.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { CheckpointNotFoundError, InvalidArgumentError } from "../errors.ts";
import type { BackendKind, CheckpointMetadata } from "../format/metadata.ts";
import { type TimingPhases, timingOf } from "../format/timing.ts";
import type { CheckpointFile } from "./checkpoint-files.ts";
import { type CheckpointSource, type LocationOptions, locate } from "./checkpoint-location.ts";
import { FingerprintReader } from "./fingerprint.ts";
import { OpenCheckpoint } from "./open-checkpoint.ts";
import { Scratch, systemPrefix } from "./scratch.ts";

/** A checkpoint that can be read. Sizes in bytes, file lists included. */
export interface ListedCheckpoint {
  readonly checkpointId: number;
  readonly completionNumber: number;
  readonly createdAtMs: number;
  /** Since the checkpoint before it was created; undefined for the oldest that is retained. */
  readonly sincePreviousMs: number | undefined;
  /** From its trigger until its metadata was written, and how long records waited; if it tells. */
  readonly durationMs: number | undefined;
  readonly pauseMs: number | undefined;
  /** Where that time went, in ms; if it tells. */
  readonly phases: TimingPhases | undefined;
  /** What its writer expected a restore to take, in ms; undefined without a changelog. */
  readonly estimatedRecoveryMs: number | undefined;
  /** Changes that were appended for it; undefined without a changelog. */
  readonly logged: LoggedBytes | undefined;
  /** Whether a new base was being made in the background. */
  readonly isMaterializing: boolean;
  readonly policy: CheckpointPolicy;
  readonly backend: BackendKind;
  readonly keyGroups: readonly KeyGroupRange[];
  readonly states: readonly string[];
  readonly fileCount: number;
  readonly totalBytes: number;
  /** Of those, bytes of changelog segments, which a restore replays; and how many segments. */
  readonly logBytes: number;
  readonly segmentCount: number;
  /** Not in the checkpoint before it, and the rest; undefined for the oldest that is retained. */
  readonly newBytes: number | undefined;
  readonly sharedBytes: number | undefined;
  /**
   * In no other retained checkpoint that can be read: what deleting this one would give back. A segment
   * that others have at another length goes only with the last of them.
   */
  readonly uniqueBytes: number;
  /** No retention deletes it. */
  readonly isPinned: boolean;
  /** Path or name of its metadata. */
  readonly location: string;
}

/** A checkpoint whose metadata or file lists cannot be read. */
export interface DamagedCheckpoint {
  readonly completionNumber: number;
  readonly location: string;
  readonly error: Error;
}

export interface CheckpointListing {
  /** The newest first. */
  readonly checkpoints: readonly ListedCheckpoint[];
  readonly damaged: readonly DamagedCheckpoint[];
  /** Ids of the retained checkpoints that have a file, by the file's id; ascending. */
  readonly users: ReadonlyMap<string, readonly number[]>;
}

interface Loaded {
  readonly metadata: CheckpointMetadata;
  readonly files: readonly CheckpointFile[];
  readonly isPinned: boolean;
}

/** No checkpoints, if there are none. A job may go on meanwhile: what it deletes is left out. */
export async function listCheckpoints(
  source: CheckpointSource,
  options: Pick<LocationOptions, "environment"> = {},
): Promise<CheckpointListing> {
  const { storage, completionNumber } = locate(source, options);
  if (completionNumber !== undefined) {
    throw new InvalidArgumentError("the path names one checkpoint: name the storage's root");
  }
  const reader = new CheckpointReader(storage);
  const nameOf = (number: number): string => {
    const name = metadataName(number);
    return storage.locate?.(name) ?? name;
  };
  const loaded: Loaded[] = [];
  const damaged: DamagedCheckpoint[] = [];
  let oldest = 1;
  /** False if it is deleted. */
  const visit = async (number: number, isPinned: boolean): Promise<boolean> => {
    try {
      const metadata = await reader.load(number);
      oldest = Math.max(oldest, metadata.oldestRetained);
      loaded.push({ metadata, files: await loadFiles(reader, metadata), isPinned });
    } catch (error) {
      if (error instanceof CheckpointNotFoundError) return false;
      if (!isUnreadable(error)) throw error;
      damaged.push({
        completionNumber: number,
        location: nameOf(number),
        error: error as Error,
      });
    }
    return true;
  };
  const newest = (await reader.findNewest()) ?? 0;
  const pins = await reader.pinnedBelow(newest + 1);
  let number = newest;
  while (number >= oldest && (await visit(number, pins.includes(number)))) number--;
  for (const pinned of pins.toReversed()) if (pinned <= number) await visit(pinned, true);
  const users = usersOf(loaded);
  const checkpoints = loaded.map((one, index) => {
    return describe(one, loaded[index + 1], users, nameOf(one.metadata.completionNumber));
  });
  return { checkpoints, damaged, users };
}

async function loadFiles(
  { storage }: CheckpointReader,
  metadata: CheckpointMetadata,
): Promise<readonly CheckpointFile[]> {
  const scratch = new Scratch(nodeEnvironment(), systemPrefix()); // File lists need none.
  const view = new OpenCheckpoint(storage, metadata, new FingerprintReader({}), scratch);
  try {
    return await view.files();
  } finally {
    await view.close();
  }
}

function usersOf(loaded: readonly Loaded[]): Map<string, number[]> {
  const users = new Map<string, number[]>();
  for (const { metadata, files } of loaded.toReversed()) {
    for (const { id } of files) {
      const known = users.get(id);
      if (known === undefined) users.set(id, [metadata.checkpointId]);
      else known.push(metadata.checkpointId);
    }
  }
  return users;
}

function describe(
  { metadata, files, isPinned }: Loaded,
  previous: Loaded | undefined,
  users: ReadonlyMap<string, readonly number[]>,
  location: string,
): ListedCheckpoint {
  const { checkpointId, completionNumber, createdAtMs, policy, backendKind, handles } = metadata;
  const timing = timingOf(metadata);
  const isNext = previous?.metadata.completionNumber === completionNumber - 1;
  const totalBytes = sum(files);
  const newBytes = isNext ? addedBytes(files, previous.files) : undefined;
  const segments = files.filter(({ kind }) => kind === "segment");
  return {
    checkpointId,
    completionNumber,
    createdAtMs,
    sincePreviousMs: isNext ? createdAtMs - previous.metadata.createdAtMs : undefined,
    durationMs: timing?.durationMs,
    pauseMs: timing?.pauseMs,
    phases: timing?.phases,
    estimatedRecoveryMs: timing?.recoveryMs,
    logged: timing?.logged,
    isMaterializing: timing?.isMaterializing === true,
    policy,
    backend: backendKind,
    keyGroups: handles.map(({ keyGroups }) => keyGroups),
    states: [...new Set(handles.flatMap(({ states }) => states.map(({ name }) => name)))].sort(),
    fileCount: files.length,
    totalBytes,
    logBytes: sum(segments),
    segmentCount: segments.length,
    newBytes,
    sharedBytes: newBytes === undefined ? undefined : totalBytes - newBytes,
    uniqueBytes: sum(files.filter(({ id }) => users.get(id)?.length === 1)),
    isPinned,
    location,
  };
}

/** What the files have that those of the checkpoint before did not: of a segment, by how much it grew. */
function addedBytes(files: readonly SharedFile[], before: readonly SharedFile[]): number {
  const known = new Map(before.map(({ id, lengthBytes }) => [id, lengthBytes]));
  return files.reduce((bytes, { id, lengthBytes }) => {
    return bytes + Math.max(0, lengthBytes - (known.get(id) ?? 0));
  }, 0);
}

function sum(files: readonly SharedFile[]): number {
  return files.reduce((bytes, { lengthBytes }) => bytes + lengthBytes, 0);
}
