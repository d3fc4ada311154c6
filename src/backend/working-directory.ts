// What earlier runs left in the working directory. It is disposable: a completed checkpoint is the
// only durable truth. Only names that this library makes are touched, and only under the lock.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import { removeLocalFiles } from "../checkpoint/local-directory.ts";
import { typedFileError } from "../environment/typed-error.ts";

const kinds = ["db-", "fetch-", "capture-", "scan-", "view-", "dump-", "mappings-", "probe-"];
const SUFFIX_DIGITS = 16;

/** `keepsLocalFiles`: those of local recovery stay, which verifies what it uses. */
export async function clearWorkingDirectory(
  environment: Environment,
  path: string,
  keepsLocalFiles: boolean,
): Promise<void> {
  const { fileSystem } = environment;
  try {
    for (const name of await fileSystem.readDirectory(path)) {
      const kind = kinds.find((prefix) => name.startsWith(prefix));
      if (kind === undefined || name.length !== kind.length + SUFFIX_DIGITS) continue;
      await fileSystem.removeTree(join(path, name));
    }
    if (!keepsLocalFiles) await removeLocalFiles(environment, path);
  } catch (cause) {
    throw typedFileError(`clear ${path}`, cause);
  }
}
