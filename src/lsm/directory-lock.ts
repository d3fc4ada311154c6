// Exclusive use of a working directory, by one backend of one process.
//
// Across processes the system's own lock decides, which dies with its process: LevelDB takes fcntl on
// LOCK of each database it opens, so the lock is a tiny database held open. A process id in a file
// would lie after a crash and across containers.
//
//   K1. Within the process, a second try must not reach that database: LevelDB closes the file
//       descriptor of a LOCK it could not take, and with it the process's own fcntl lock goes.
//   K2. Within one thread a registry by real path keeps K1. Other threads have registries of their
//       own: for them stands a second database, the gate, opened first. LevelDB refuses it from the
//       table it keeps for the whole process; that this drops the gate's fcntl lock does not matter.
//   K3. LevelDB's table compares paths as strings: both databases are opened by real path.
//   K4. A file system that only this process sees needs no system lock: the registry is enough, one
//       for each such file system.
//   K5. A power loss may leave a database that does not open. It holds nothing, so all its files but
//       LOCK go, and it is made anew; even a holder is not hurt by that. LOCK stays: its inode is
//       what is locked.
//   K6. Both are in a directory of this user alone: who could put another in its place could lift the lock.
import { join } from "node:path";
import type { Environment, FileSystem } from "../api/environment.ts";
import { makeOwnDirectory } from "../environment/own-directory.ts";
import { systemCodeOf } from "../environment/typed-error.ts";
import { LockedError } from "../errors.ts";
import { levelCodeOf, typedFailure } from "./failure.ts";
import { openLevelDatabase } from "./level-database.ts";
import type { LevelDatabase, LsmOptions } from "./level-database.ts";

const LOCK_DIRECTORY = "lock";
const GATE_NAME = "gate";
const HOLD_NAME = "hold";
const LEVEL_LOCK_NAME = "LOCK";

/** The databases stay empty: the least that LevelDB takes. */
const smallest: LsmOptions = {
  blockCacheBytes: 65_536,
  writeBufferBytes: 65_536,
  fileSizeBytes: 1_048_576,
  blockSizeBytes: 4096,
  compression: false,
  maxOpenFiles: 74,
};

export interface DirectoryLock {
  /** The directory, every symbolic link resolved. */
  readonly realPath: string;
  /** Idempotent. */
  release(): Promise<void>;
}

/** Real paths that backends of this thread use. */
const nativePaths = new Set<string>();
const pathsElsewhere = new WeakMap<FileSystem, Set<string>>(); // K4

/** Creates the directory if need be. LockedError at once if it is in use. */
export async function lockDirectory(
  environment: Environment,
  path: string,
): Promise<DirectoryLock> {
  const { fileSystem } = environment;
  let realPath: string;
  try {
    await fileSystem.makeDirectory(path);
    realPath = await fileSystem.realPath(path);
  } catch (error) {
    throw typedFailure(error, `locking ${path} failed`);
  }
  const held = heldPathsOf(fileSystem);
  if (held.has(realPath)) throw locked(realPath);
  held.add(realPath);
  try {
    const databases = fileSystem.isNative ? await holdDatabases(environment, realPath) : []; // K4
    const release = async (): Promise<void> => {
      for (const database of databases) await database.close(); // The gate last: K1.
      held.delete(realPath);
    };
    let releasing: Promise<void> | undefined;
    return { realPath, release: () => (releasing ??= release()) };
  } catch (error) {
    held.delete(realPath);
    if (levelCodeOf(error) === "LEVEL_LOCKED") throw locked(realPath, error);
    throw typedFailure(error, `locking ${path} failed`);
  }
}

function heldPathsOf(fileSystem: FileSystem): Set<string> {
  if (fileSystem.isNative) return nativePaths;
  let paths = pathsElsewhere.get(fileSystem);
  if (paths === undefined) {
    paths = new Set();
    pathsElsewhere.set(fileSystem, paths);
  }
  return paths;
}

async function holdDatabases(
  environment: Environment,
  realPath: string,
): Promise<readonly LevelDatabase[]> {
  const directory = join(realPath, LOCK_DIRECTORY);
  await makeOwnDirectory(environment, directory); // K6
  const gate = await openOrRepair(environment, join(directory, GATE_NAME)); // K2
  try {
    const hold = await openOrRepair(environment, join(directory, HOLD_NAME));
    return [hold, gate];
  } catch (error) {
    await gate.close();
    throw error;
  }
}

async function openOrRepair(environment: Environment, path: string): Promise<LevelDatabase> {
  const mode = { shared: false, createIfMissing: true };
  try {
    return await openLevelDatabase(path, smallest, mode);
  } catch (error) {
    if (levelCodeOf(error) === "LEVEL_LOCKED") throw error;
  }
  const { fileSystem } = environment;
  await fileSystem.makeDirectory(path);
  for (const name of await fileSystem.readDirectory(path)) {
    if (name !== LEVEL_LOCK_NAME) await unlinkIfPresent(fileSystem, join(path, name)); // K5
  }
  return openLevelDatabase(path, smallest, mode);
}

async function unlinkIfPresent(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.unlink(path);
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw error; // Another process repairs, too.
  }
}

function locked(realPath: string, cause?: unknown): LockedError {
  return new LockedError(
    `the working directory ${realPath} is in use: close the other backend or process, or give this one a directory of its own`,
    cause === undefined ? undefined : { cause },
  );
}
