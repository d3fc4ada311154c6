import { nodeEnvironment } from "../environment/node-environment.ts";
import { type CheckpointSource, findCheckpoint } from "./checkpoint-location.ts";
import type { CheckpointView, OpenCheckpointOptions } from "./checkpoint-view.ts";
import { FingerprintReader } from "./fingerprint.ts";
import { OpenCheckpoint } from "./open-checkpoint.ts";
import { Scratch, systemPrefix } from "./scratch.ts";

/**
 * Opens a checkpoint for reading. CheckpointNotFoundError, CorruptionError, UnsupportedFormatError,
 * StorageError. Close or dispose what it returns.
 */
export async function openCheckpoint(
  source: CheckpointSource,
  options: OpenCheckpointOptions = {},
): Promise<CheckpointView> {
  const { storage, metadata } = await findCheckpoint(source, options);
  const scratch = new Scratch(options.environment ?? nodeEnvironment(), systemPrefix());
  return new OpenCheckpoint(storage, metadata, new FingerprintReader(options), scratch);
}
