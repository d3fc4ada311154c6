// Where a command may make a directory, and how that appears: whole, under its name, or not at all.
import { dirname, sep } from "node:path";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { FileSystem } from "../api/environment.ts";
import { LATEST_NAME } from "../checkpoint/layout.ts";
import { systemCodeOf } from "../environment/typed-error.ts";
import { InvalidArgumentError } from "../errors.ts";

/** What is read is not written into. */
export async function requireOutside(
  storage: CheckpointStorage,
  path: string,
  fileSystem: FileSystem,
): Promise<void> {
  const latest = storage.locate?.(LATEST_NAME);
  if (latest === undefined) return;
  const root = await fileSystem.realPath(dirname(latest));
  let above = dirname(path);
  while (above !== dirname(above) && (await fileSystem.stat(above)) === undefined) {
    above = dirname(above);
  }
  const place = await fileSystem.realPath(above);
  if (place !== root && !place.startsWith(`${root}${sep}`)) return;
  throw new InvalidArgumentError(`${path} is inside the storage that is read`);
}

/** Renames what is whole and durable to the path, which does not exist or is an empty directory. */
export async function moveIntoPlace(
  partial: string,
  path: string,
  fileSystem: FileSystem,
): Promise<void> {
  try {
    await fileSystem.rename(partial, path);
  } catch (cause) {
    const code = systemCodeOf(cause) ?? "";
    throw ["EEXIST", "ENOTEMPTY", "ENOTDIR"].includes(code) ? targetExists(path) : cause;
  }
  await fileSystem.syncDirectory(dirname(path));
}

export function targetExists(path: string): InvalidArgumentError {
  return new InvalidArgumentError(`${path} exists: name a directory that does not`);
}
