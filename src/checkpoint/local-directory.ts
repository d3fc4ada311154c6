// Where local recovery keeps its files: names only, each the id of a stored file.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import { FILE_ID_BYTES } from "../format/file-list.ts";
import { isHex } from "../format/hex.ts";

/** In the working directory. */
export const LOCAL_FILES_NAME = "local";

export function isFileId(name: string): boolean {
  return isHex(name, FILE_ID_BYTES * 2);
}

/** What has no part in local recovery: removes what it left. Under the working directory's lock. */
export async function removeLocalFiles(
  { fileSystem }: Environment,
  workingDirectory: string,
): Promise<void> {
  const directory = join(workingDirectory, LOCAL_FILES_NAME);
  if ((await fileSystem.stat(directory))?.kind !== "directory") return;
  const names = await fileSystem.readDirectory(directory);
  const own = names.filter(isFileId);
  for (const id of own) await fileSystem.removeTree(join(directory, id));
  if (own.length === names.length) await fileSystem.removeTree(directory);
}
