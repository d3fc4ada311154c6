// Builds a directory that LevelDB opens as a database of given SSTs, without copying a row.
// Page: docs/formats/leveldb-directory.md.
//   R1. The directory is fresh and holds exactly the set: a foreign file with a parseable name would
//       be read or deleted by LevelDB.
//   R2. The set is validated before LevelDB sees it: a wrong MANIFEST ends the process.
//   R3. MANIFEST is durable before CURRENT names it, so a directory with CURRENT is whole.
//   R4. MANIFEST takes the number after all SSTs, and nextFile is beyond it: no number is used twice.
import { join } from "node:path";
import type { Environment, FileSystem } from "../api/environment.ts";
import { shortCallsOf } from "../environment/short-calls.ts";
import { removeDirectory } from "../environment/typed-error.ts";
import { writeSynced } from "../environment/write-synced.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { validateFileSet } from "../format/leveldb-file-set.ts";
import type { OwnedKeyGroups } from "../format/leveldb-file-set.ts";
import { buildManifest } from "../format/leveldb-manifest.ts";
import type { LevelFile } from "../format/leveldb-version-edit.ts";
import { typedFailure } from "./failure.ts";
import { CURRENT_NAME, manifestName, sstName } from "./file-names.ts";
import { linkOrCopy } from "./link-file.ts";

/** Files linked at a time. */
const LINK_LANES = 8;

/** An SST to restore; the number is the one it gets, which need not be the one it had. */
export interface RestoredFile extends LevelFile {
  /** Where its bytes are. They are linked, and never modified by LevelDB. */
  readonly path: string;
}

export interface RestoredSet {
  readonly files: readonly RestoredFile[];
  readonly lastSequence: number;
  /** Above every number of `files`. */
  readonly nextFile: number;
}

export interface RestoredDirectory {
  readonly linkedFiles: number;
  readonly copiedFiles: number;
}

/**
 * Makes `directory`, which must not exist. With `owned`, every row must be of those key groups. If
 * it fails, it leaves nothing behind.
 */
export async function buildDirectory(
  environment: Environment,
  directory: string,
  set: RestoredSet,
  owned?: OwnedKeyGroups,
): Promise<RestoredDirectory> {
  const { fileSystem } = environment;
  const manifestNumber = set.nextFile;
  const whole = { ...set, nextFile: manifestNumber + 1 };
  validateFileSet({ ...set, logNumber: 0 }, directory, owned);
  try {
    if ((await fileSystem.stat(directory)) !== undefined) {
      throw new InvalidArgumentError(`the directory to restore into exists: ${directory}`);
    }
    await fileSystem.makeDirectory(directory); //# fail point: database.directory-made
    try {
      const restored = await linkFiles(shortCallsOf(fileSystem), directory, set.files); //# fail point: database.files-linked
      const manifest = manifestName(manifestNumber);
      await writeSynced(fileSystem, join(directory, manifest), buildManifest(whole)); //# fail point: database.manifest-written
      await fileSystem.syncDirectory(directory);
      await writeSynced(fileSystem, join(directory, CURRENT_NAME), Buffer.from(`${manifest}\n`)); //# fail point: database.current-written
      await fileSystem.syncDirectory(directory);
      return restored;
    } catch (error) {
      await removeDirectory(fileSystem, directory);
      throw error;
    }
  } catch (error) {
    throw typedFailure(error, `restoring into ${directory} failed`);
  }
}

async function linkFiles(
  fileSystem: FileSystem,
  directory: string,
  files: readonly RestoredFile[],
): Promise<RestoredDirectory> {
  let copiedFiles = 0;
  let next = 0;
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    while (next < files.length && !hasFailed) {
      const file = files[next++]!;
      if (await linkFile(fileSystem, directory, file)) copiedFiles++;
    }
  };
  const lanes = Array.from({ length: LINK_LANES }, () =>
    lane().catch((error: unknown) => {
      hasFailed = true;
      throw error;
    }),
  );
  // All have ended before the directory may be removed.
  for (const outcome of await Promise.allSettled(lanes)) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
  return { linkedFiles: files.length - copiedFiles, copiedFiles };
}

/** Whether it had to be copied. */
async function linkFile(
  fileSystem: FileSystem,
  directory: string,
  file: RestoredFile,
): Promise<boolean> {
  const target = join(directory, sstName(file.number));
  const outcome = await linkOrCopy(fileSystem, file.path, target);
  if (outcome === "absent") throw new CorruptionError("an SST is missing", file.path, 0);
  const stat = await fileSystem.stat(target);
  if (stat?.kind !== "file" || stat.sizeBytes !== file.sizeBytes) {
    throw new CorruptionError("an SST has another size than recorded", file.path, 0);
  }
  return outcome === "copied";
}
