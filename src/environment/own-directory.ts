// Directories with a name of ours in a directory that others may write to, a volume of a pod's group for
// example: only these have to be private.
import { dirname, join } from "node:path";
import type { Environment } from "../api/environment.ts";
import { StorageError } from "../errors.ts";

const PROBE_ID_BYTES = 8;

/** Makes the directory, or refuses the one that is there as StorageError: a link, or not this user's alone. */
export async function makeOwnDirectory(environment: Environment, path: string): Promise<void> {
  const { fileSystem } = environment;
  await fileSystem.makeDirectory(path);
  const stat = await fileSystem.stat(path);
  if (stat?.kind === "directory" && stat.isPrivate !== false) return;
  if (stat?.kind === "directory" && !(await keepsOwners(environment, dirname(path)))) return;
  throw new StorageError(
    `${path} is a link, belongs to another user, or can be written by others: remove it, or choose another directory`,
  );
}

/** Whether the owner and mode of a new directory are what they should be: not on every file system. */
async function keepsOwners({ fileSystem, random }: Environment, parent: string): Promise<boolean> {
  const id = Buffer.from(random.bytes(PROBE_ID_BYTES)).toString("hex");
  const probe = join(parent, `probe-${id}`);
  await fileSystem.makeDirectory(probe);
  try {
    return (await fileSystem.stat(probe))?.isPrivate !== false;
  } finally {
    await fileSystem.removeTree(probe);
  }
}
