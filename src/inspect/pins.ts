// Pins, as tools set them: while the job runs, and behind its back.
import { CheckpointNotFoundError } from "../errors.ts";
import { CheckpointReader } from "../checkpoint/checkpoint-reader.ts";
import { pinNumber, unpinNumber } from "../checkpoint/pins.ts";
import {
  type CheckpointSource,
  type LocationOptions,
  findCheckpoint,
} from "./checkpoint-location.ts";

export interface PinnedCheckpoint {
  readonly checkpointId: number;
  readonly completionNumber: number;
}

/**
 * Keeps a retained checkpoint, the newest or the given one, from being deleted by the job's retention
 * until it is unpinned. Repeating it changes nothing. CheckpointNotFoundError if it is given up already.
 */
export async function pinCheckpoint(
  source: CheckpointSource,
  options: LocationOptions = {},
): Promise<PinnedCheckpoint> {
  const { storage, metadata } = await findCheckpoint(source, options);
  const { checkpointId, completionNumber } = metadata;
  await storage.open();
  await pinNumber(storage, completionNumber);
  return { checkpointId, completionNumber };
}

/** Leaves a pinned checkpoint to the retention again: the next one that completes may delete it. */
export async function unpinCheckpoint(
  source: CheckpointSource,
  options: LocationOptions = {},
): Promise<PinnedCheckpoint> {
  const { storage, metadata } = await findCheckpoint(source, options);
  const { checkpointId, completionNumber } = metadata;
  const pins = await new CheckpointReader(storage).pinnedBelow(completionNumber + 1);
  if (!pins.includes(completionNumber)) {
    throw new CheckpointNotFoundError(`checkpoint ${checkpointId} is not pinned`);
  }
  await unpinNumber(storage, completionNumber);
  return { checkpointId, completionNumber };
}
