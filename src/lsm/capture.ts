// Captures the live SSTs of a database under names of their own, so that compactions cannot remove
// them. SSTs are immutable: a hard link is a snapshot.
//   C1. The set is what one state of MANIFEST says, never a directory listing. A file that is gone
//       when its turn comes was compacted away: MANIFEST is read again, and says the same rows.
//   C2. Sizes must be MANIFEST's: LevelDB itself never checks them.
//   C3. Only SSTs are touched. Opening LOCK and closing it again would drop the process's lock.
import { join } from "node:path";
import { removeDirectory } from "../environment/typed-error.ts";
import type { Environment } from "../api/environment.ts";
import { CorruptionError, InvalidArgumentError, StorageError } from "../errors.ts";
import type { LiveSet } from "../format/leveldb-manifest.ts";
import { validateFileSet } from "../format/leveldb-file-set.ts";
import { oldSstName, sstName } from "./file-names.ts";
import { linkOrCopy } from "./link-file.ts";
import type { LinkOutcome } from "./link-file.ts";
import type { ManifestFollower } from "./manifest-follower.ts";

/** Each retry means that a compaction ended meanwhile; this many in one capture do not happen. */
const ATTEMPTS_MAX = 1000;

/** A live SST. Numbers identify files within the life of one directory only. */
export interface CapturedFile {
  readonly number: number;
  readonly level: number;
  readonly sizeBytes: number;
  /** Internal keys of entries that exist, tombstones included. */
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
  /** Its name in the capture directory; undefined if the number was known already. */
  readonly path?: string | undefined;
}

export interface CapturedSet {
  readonly files: readonly CapturedFile[];
  readonly lastSequence: number;
  readonly nextFile: number;
  readonly linkedFiles: number;
  readonly copiedFiles: number;
}

export interface CaptureSource {
  /** The database's own directory. */
  readonly directory: string;
  readonly manifest: ManifestFollower;
}

/**
 * Links the live SSTs that are not `known` into `target`, which must not exist. If it fails, it
 * leaves nothing behind.
 */
export async function captureFiles(
  environment: Environment,
  source: CaptureSource,
  target: string,
  known: ReadonlySet<number>,
): Promise<CapturedSet> {
  const { fileSystem } = environment;
  if ((await fileSystem.stat(target)) !== undefined) {
    throw new InvalidArgumentError(`the capture directory ${target} exists`);
  }
  await fileSystem.makeDirectory(target); //# fail point: capture.directory-made
  try {
    return await linkLiveSet(environment, source, target, known);
  } catch (error) {
    await removeDirectory(fileSystem, target);
    throw error;
  }
}

async function linkLiveSet(
  environment: Environment,
  source: CaptureSource,
  target: string,
  known: ReadonlySet<number>,
): Promise<CapturedSet> {
  const { fileSystem } = environment;
  const outcomes = new Map<number, LinkOutcome>();
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const live = await source.manifest.poll(); //# fail point: capture.manifest-polled
    const isWhole = await linkMissing(environment, source.directory, target, live, known, outcomes);
    if (!isWhole) continue;
    for (const number of outcomes.keys()) {
      if (!live.files.has(number)) {
        await fileSystem.unlink(join(target, sstName(number)));
        outcomes.delete(number);
      }
    }
    await checkSizes(environment, target, live, outcomes); //# fail point: capture.linked
    return describe(live, source.directory, target, outcomes);
  }
  throw new StorageError("LevelDB's files vanish faster than they can be linked");
}

/** False if a file of the live set does not exist any more. */
async function linkMissing(
  environment: Environment,
  directory: string,
  target: string,
  live: LiveSet,
  known: ReadonlySet<number>,
  outcomes: Map<number, LinkOutcome>,
): Promise<boolean> {
  for (const number of live.files.keys()) {
    if (known.has(number) || outcomes.has(number)) continue;
    const link = (name: string): Promise<LinkOutcome> =>
      linkOrCopy(environment.fileSystem, join(directory, name), join(target, sstName(number)));
    let outcome = await link(sstName(number));
    if (outcome === "absent") outcome = await link(oldSstName(number));
    if (outcome === "absent") return false;
    outcomes.set(number, outcome);
  }
  return true;
}

async function checkSizes(
  environment: Environment,
  target: string,
  live: LiveSet,
  outcomes: ReadonlyMap<number, LinkOutcome>,
): Promise<void> {
  for (const number of outcomes.keys()) {
    const path = join(target, sstName(number));
    const stat = await environment.fileSystem.stat(path);
    if (stat?.sizeBytes === live.files.get(number)?.sizeBytes) continue;
    throw new CorruptionError("C2: an SST has another size than MANIFEST says", path, 0);
  }
}

function describe(
  live: LiveSet,
  directory: string,
  target: string,
  outcomes: ReadonlyMap<number, LinkOutcome>,
): CapturedSet {
  const files = [...live.files.values()].map((file) =>
    outcomes.has(file.number) ? { ...file, path: join(target, sstName(file.number)) } : file,
  );
  validateFileSet({ ...live, files }, directory);
  const copiedFiles = [...outcomes.values()].filter((outcome) => outcome === "copied").length;
  return {
    files,
    lastSequence: live.lastSequence,
    nextFile: live.nextFile,
    linkedFiles: outcomes.size - copiedFiles,
    copiedFiles,
  };
}
