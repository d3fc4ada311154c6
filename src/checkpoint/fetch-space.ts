// Whether there is room for what a restore fetches, before it fetches anything.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { FileSystem } from "../api/environment.ts";
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { NoSpaceError } from "../errors.ts";
import { fileName } from "./layout.ts";

/**
 * NoSpaceError if the files would be copied and do not fit. What cannot be known is no reason to
 * refuse: a quota, or others who write meanwhile, may still end the fetching later, typed as well. What
 * has no `canLink` copies.
 */
export async function requireFetchSpace(
  storage: Pick<CheckpointStorage, "canLink">,
  fileSystem: FileSystem,
  directory: string,
  files: readonly SharedFile[],
): Promise<void> {
  const [first] = files;
  if (first === undefined) return;
  // One file stands for all: whether links are possible is a matter of the two file systems.
  if ((await storage.canLink?.(fileName(first.id), directory)) === true) return;
  const neededBytes = files.reduce((sum, file) => sum + file.lengthBytes, 0);
  const availableBytes = await freeBytesOf(fileSystem, directory);
  if (availableBytes === undefined || availableBytes >= neededBytes) return;
  throw new NoSpaceError(
    `the checkpoint's files have to be copied to ${directory}, which takes ${neededBytes} bytes, and ${availableBytes} are available: make room, or put workingDirectory on the file system of the checkpoints`,
    { neededBytes, availableBytes },
  );
}

async function freeBytesOf(fileSystem: FileSystem, directory: string): Promise<number | undefined> {
  try {
    return await fileSystem.freeBytes(directory);
  } catch (cause) {
    throw typedFileError(`tell the free space of ${directory}`, cause);
  }
}
