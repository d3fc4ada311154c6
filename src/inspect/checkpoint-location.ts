// Finds a checkpoint: by the root of a storage, by the path of its metadata, by id.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import { CheckpointReader } from "../checkpoint/checkpoint-reader.ts";
import { fileSystemStorage } from "../checkpoint/file-system-storage.ts";
import { LATEST_NAME, numberOfMetadataName } from "../checkpoint/layout.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { CheckpointNotFoundError, InvalidArgumentError } from "../errors.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";

/** The newest is found in two steps; a job that retires it in between has made a newer one. */
const ATTEMPTS_MAX = 8;

/** A path of a directory or of a checkpoint's metadata; or a storage. */
export type CheckpointSource = string | CheckpointStorage;

export interface LocationOptions {
  /** Which checkpoint. @defaultValue the newest, or the one whose metadata the path names */
  readonly checkpointId?: number | undefined;
  /** Where paths are. @defaultValue Node's */
  readonly environment?: Environment | undefined;
}

/** A storage, and the number in the path of one checkpoint's metadata. */
export interface Location {
  readonly storage: CheckpointStorage;
  readonly completionNumber: number | undefined;
}

export interface FoundCheckpoint {
  readonly storage: CheckpointStorage;
  readonly metadata: CheckpointMetadata;
}

export function locate(source: CheckpointSource, { environment }: LocationOptions): Location {
  if (typeof source !== "string") return { storage: source, completionNumber: undefined };
  const root = fileSystemStorage(source, {}, environment ?? nodeEnvironment());
  const { storage, name } = root.resolvePath?.(source) ?? { storage: root, name: LATEST_NAME };
  if (name === LATEST_NAME) return { storage, completionNumber: undefined };
  const completionNumber = numberOfMetadataName(name);
  if (completionNumber !== undefined) return { storage, completionNumber };
  throw new InvalidArgumentError(`${source} is not a checkpoint's metadata`);
}

export async function findCheckpoint(
  source: CheckpointSource,
  options: LocationOptions,
): Promise<FoundCheckpoint> {
  const { storage, completionNumber } = locate(source, options);
  const { checkpointId } = options;
  const reader = new CheckpointReader(storage);
  if (checkpointId === undefined) {
    const metadata =
      completionNumber === undefined
        ? await loadNewest(reader)
        : await reader.load(completionNumber);
    return { storage, metadata };
  }
  if (completionNumber !== undefined) {
    throw new InvalidArgumentError("the path names one checkpoint already: give no id besides");
  }
  if (!Number.isSafeInteger(checkpointId) || checkpointId < 0) {
    throw new InvalidArgumentError(`a checkpoint id is an integer, got ${String(checkpointId)}`);
  }
  return { storage, metadata: await reader.findById(checkpointId) };
}

async function loadNewest(reader: CheckpointReader): Promise<CheckpointMetadata> {
  for (let attempt = 1; ; attempt++) {
    const number = await reader.findNewest();
    if (number === undefined) {
      throw new CheckpointNotFoundError(`there is no checkpoint in ${reader.storage.description}`);
    }
    try {
      return await reader.load(number);
    } catch (error) {
      if (!(error instanceof CheckpointNotFoundError) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

/** Whether the storage still has this checkpoint, and not another one under its number. */
export async function isRetained({ storage, metadata }: FoundCheckpoint): Promise<boolean> {
  const { completionNumber, checkpointId, writerEpoch } = metadata;
  try {
    const there = await new CheckpointReader(storage).load(completionNumber);
    return there.writerEpoch.id === writerEpoch.id && there.checkpointId === checkpointId;
  } catch (error) {
    return !(error instanceof CheckpointNotFoundError); // What cannot be told is not said.
  }
}
