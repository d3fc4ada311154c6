// Options of a backend: defaults and ranges are applied once, here.
import type { RestoreHandles } from "../api/checkpoint-coordinator.ts";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type { CheckpointPolicy, KeyGroupRange } from "../api/keyed-state-backend.ts";
import { resolveKeyGroups } from "../common/key-group.ts";
import { integerOption, refuseUnknownOptions } from "../common/options.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { LsmOptions } from "../lsm/level-database.ts";
import { type ChangelogOptions, resolveChangelogOptions } from "./changelog-options.ts";
import { type LsmTuning, MEMORY_BUDGET_BYTES_MIN, defaultLsmOptions } from "./memory-plan.ts";
import { OpenStateHost, type StateHost, resolveEnvironment } from "./state-host.ts";

/**
 * Where to start from. `"latest"` fails without a checkpoint; `"latest-or-new"` starts empty, but
 * only if the storage holds no trace of an earlier checkpoint; a number is a checkpoint id; another
 * string is a path of a checkpoint's metadata, or of a checkpoint directory. Several paths are
 * restored together: checkpoints of the tasks of one job, whose key groups cover the backend's.
 */
export type RestoreTarget = string | number | readonly string[] | RestoreHandles;

/** Who owns what is restored. */
export type RestoreMode = "no-claim" | "claim";

export interface KeyedStateBackendOptions {
  /**
   * `lsm`: hot rows in memory, the rest on disk. `memory`: all rows in memory; state must fit the
   * budget.
   * @defaultValue "lsm"
   */
  readonly backend?: "lsm" | "memory" | undefined;
  /** Local directory for this backend alone. Its content is disposable. Created if absent. */
  readonly workingDirectory: string;
  /** Where completed checkpoints are. */
  readonly checkpointStorage: CheckpointStorage;
  /** Where to start from. There is no default: an empty start must be a decision. */
  readonly restore: RestoreTarget;
  /**
   * Who owns what is restored, as in Flink. `no-claim`: the user does; it is never written to or
   * deleted, and the first checkpoint stands without it. `claim`: the job does, which builds on it
   * and deletes it once it is not retained any more; it has to be in `checkpointStorage`, so that a
   * savepoint is claimed by making its directory the `checkpointStorage`. The job's own checkpoints
   * are always its own.
   * @defaultValue "no-claim"
   */
  readonly restoreMode?: RestoreMode | undefined;
  /**
   * States of the restored checkpoint, by name, that the job may leave undeclared; `true`: all. They are
   * carried on unread from checkpoint to checkpoint, and can be declared again later. Without it the
   * first checkpoint, snapshot or savepoint is refused while such a state is undeclared: a misspelt
   * name would otherwise look like empty state.
   * @defaultValue none
   */
  readonly allowNonRestoredState?: readonly string[] | true | undefined;
  /**
   * `full`: each checkpoint uploads everything. `incremental`: only files that are new. `changelog`: the
   * net changes, appended to a log, while a new base is made in the background now and then. The
   * last two need the lsm backend. docs/checkpoints.md compares them.
   * @defaultValue "incremental" for lsm, "full" for memory
   */
  readonly policy?: CheckpointPolicy | undefined;
  /** Tuning of policy "changelog". */
  readonly changelog?: ChangelogOptions | undefined;
  /** Key groups of the whole job and of this backend. @defaultValue all of 128 */
  readonly keyGroups?: Partial<KeyGroupRange> | undefined;
  /**
   * Memory for this backend, if it has no `host`: more keeps more rows hot. At least 16 MiB.
   * @defaultValue a quarter of the container's memory limit, else of the free memory
   */
  readonly memoryBudgetBytes?: number | undefined;
  /** Shares budget and worker threads with other backends of the process. */
  readonly host?: StateHost | undefined;
  /** Completed checkpoints that are kept, 1 to 1,000. @defaultValue 2 */
  readonly retainedCheckpoints?: number | undefined;
  /**
   * When restored files are verified. `before`: every byte, before the first read. `behind`, for the
   * lsm backend: length, index and filter of each file first, the rest while the backend serves; no
   * checkpoint completes before all is verified, and a mismatch poisons. Until then a damaged file
   * can give wrong values or end the process.
   * @defaultValue "before"
   */
  readonly restoreVerification?: RestoreVerification | undefined;
  /**
   * Keeps a second name of every file of the newest confirmed checkpoint in the working directory,
   * where it takes the space of files that compaction has replaced since, and restores from it what
   * has the recorded length and SHA-256. For storage that is far away: on one file system links are
   * as quick without.
   * @defaultValue false
   */
  readonly localRecovery?: boolean | undefined;
  /** Tuning of LevelDB. */
  readonly lsm?: LsmTuning | undefined;
  /**
   * Disk, clocks, randomness and timers, for tests and simulations: `varve/testing` has one in
   * memory. Give the same to `fileSystemStorage`. LevelDB's own threads go around it, so the lsm
   * backend needs one whose file system is native. A `host` has one of its own.
   * @defaultValue Node's
   */
  readonly environment?: Environment | undefined;
}

export type RestoreVerification = "before" | "behind";

export interface ResolvedOptions {
  readonly backend: "lsm" | "memory";
  readonly workingDirectory: string;
  readonly checkpointStorage: CheckpointStorage;
  readonly restore: RestoreTarget;
  readonly restoreMode: RestoreMode;
  readonly allowNonRestoredState: readonly string[] | true;
  readonly policy: CheckpointPolicy;
  readonly changelog: ChangelogOptions;
  readonly keyGroups: KeyGroupRange;
  readonly retainedCheckpoints: number;
  readonly restoreVerification: RestoreVerification;
  readonly localRecovery: boolean;
  readonly lsm: LsmTuning;
  readonly environment: Environment;
}

const optionNames: readonly (keyof KeyedStateBackendOptions)[] = [
  "backend",
  "workingDirectory",
  "checkpointStorage",
  "restore",
  "restoreMode",
  "allowNonRestoredState",
  "policy",
  "changelog",
  "keyGroups",
  "memoryBudgetBytes",
  "host",
  "retainedCheckpoints",
  "restoreVerification",
  "localRecovery",
  "lsm",
  "environment",
];

export function resolveOptions(options: KeyedStateBackendOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgumentError("openKeyedStateBackend takes an options object");
  }
  refuseUnknownOptions("openKeyedStateBackend", options, optionNames);
  const backend = oneOf("backend", options.backend ?? "lsm", ["lsm", "memory"]);
  const byDefault = backend === "lsm" ? "incremental" : "full";
  const policies = ["full", "incremental", "changelog"] as const;
  const policy = oneOf("policy", options.policy ?? byDefault, policies);
  if (backend === "memory" && policy !== "full") {
    throw new InvalidArgumentError(
      `policy "${policy}" needs backend "lsm": the memory backend takes full checkpoints`,
    );
  }
  if (options.changelog !== undefined && policy !== "changelog") {
    throw new InvalidArgumentError(`changelog is for policy "changelog", not "${policy}"`);
  }
  const verification = options.restoreVerification ?? "before";
  const restoreVerification = oneOf("restoreVerification", verification, ["before", "behind"]);
  if (backend === "memory" && restoreVerification === "behind") {
    throw new InvalidArgumentError(
      'restoreVerification "behind" needs backend "lsm": the memory backend reads all to restore it',
    );
  }
  const { workingDirectory, localRecovery = false } = options;
  if (typeof localRecovery !== "boolean") {
    throw new InvalidArgumentError("localRecovery must be true or false");
  }
  if (
    typeof workingDirectory !== "string" ||
    workingDirectory === "" ||
    workingDirectory.includes("\0")
  ) {
    throw new InvalidArgumentError("workingDirectory must be a path");
  }
  if (options.host !== undefined && options.memoryBudgetBytes !== undefined) {
    throw new InvalidArgumentError("memoryBudgetBytes is the host's: give either it or a host");
  }
  const environment = environmentOf(options, backend);
  if (options.keyGroups !== undefined) {
    refuseUnknownOptions("keyGroups", options.keyGroups, ["max", "first", "last"]);
  }
  checkStorage(options.checkpointStorage);
  checkRestore(options.restore);
  // The ranges, before anything is made.
  resolveLsmOptions(options.lsm ?? {}, MEMORY_BUDGET_BYTES_MIN);
  resolveChangelogOptions(options.changelog ?? {}, MEMORY_BUDGET_BYTES_MIN);
  return {
    backend,
    workingDirectory,
    checkpointStorage: options.checkpointStorage,
    restore: options.restore,
    restoreMode: oneOf("restoreMode", options.restoreMode ?? "no-claim", ["no-claim", "claim"]),
    allowNonRestoredState: resolveAllowed(options.allowNonRestoredState),
    policy,
    changelog: options.changelog ?? {},
    keyGroups: resolveKeyGroups(options.keyGroups),
    retainedCheckpoints: integerOption(
      "retainedCheckpoints",
      options.retainedCheckpoints,
      2,
      1,
      1000,
    ),
    restoreVerification,
    localRecovery,
    lsm: options.lsm ?? {},
    environment,
  };
}

function environmentOf(options: KeyedStateBackendOptions, backend: "lsm" | "memory"): Environment {
  const { host } = options;
  if (host !== undefined && !(host instanceof OpenStateHost)) {
    throw new InvalidArgumentError("host must come from openStateHost");
  }
  if (host !== undefined && options.environment !== undefined) {
    throw new InvalidArgumentError("environment is the host's: give either it or a host");
  }
  const environment = host?.environment ?? resolveEnvironment(options.environment);
  const hasDatabase = environment.fileSystem.isNative || environment.openDatabase !== undefined;
  if (backend === "lsm" && !hasDatabase) {
    throw new InvalidArgumentError(
      'backend "lsm" needs a native file system, since LevelDB opens paths by itself: use backend "memory" in this environment',
    );
  }
  return environment;
}

/** LevelDB's options within a share of the budget. */
export function resolveLsmOptions(tuning: LsmTuning, shareBytes: number): LsmOptions {
  const byDefault = defaultLsmOptions(shareBytes);
  refuseUnknownOptions("lsm", tuning, [...Object.keys(byDefault), "mmapReads"]);
  const { compression, mmapReads } = tuning;
  if (mmapReads !== undefined && mmapReads !== "auto" && typeof mmapReads !== "boolean") {
    throw new InvalidArgumentError('lsm.mmapReads must be true, false or "auto"');
  }
  if (compression !== undefined && typeof compression !== "boolean") {
    throw new InvalidArgumentError("lsm.compression must be true or false");
  }
  const integer = (
    name: Exclude<keyof LsmTuning, "compression" | "mmapReads">,
    min: number,
    max: number,
  ) => integerOption(`lsm.${name}`, tuning[name], byDefault[name], min, max);
  return {
    blockCacheBytes: integer("blockCacheBytes", 65_536, 2 ** 40),
    writeBufferBytes: integer("writeBufferBytes", 65_536, 1_073_741_824),
    fileSizeBytes: integer("fileSizeBytes", 1_048_576, 67_108_864),
    blockSizeBytes: integer("blockSizeBytes", 1024, 4_194_304),
    compression: compression ?? byDefault.compression,
    maxOpenFiles: integer("maxOpenFiles", 74, 50_000),
  };
}

function resolveAllowed(names: readonly string[] | true | undefined): readonly string[] | true {
  if (names === undefined) return [];
  if (names === true) return true;
  const isList = Array.isArray(names) && names.every((name: unknown) => typeof name === "string");
  if (isList) return [...names];
  throw new InvalidArgumentError("allowNonRestoredState must be a list of states' names, or true");
}

function oneOf<const T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  const list = allowed.map((one) => `"${one}"`).join(" or ");
  throw new InvalidArgumentError(`${name} must be ${list}, got ${JSON.stringify(value)}`);
}

const storageMethods = [
  "open",
  "putFile",
  "putBytes",
  "createIfAbsent",
  "replace",
  "read",
  "readRange",
  "size",
  "fetchFile",
  "delete",
  "list",
  "stats",
] as const;

function checkStorage(storage: CheckpointStorage): void {
  const isObject = typeof storage === "object" && storage !== null;
  if (isObject && storageMethods.every((name) => typeof storage[name] === "function")) return;
  throw new InvalidArgumentError(
    "checkpointStorage must be a CheckpointStorage, such as fileSystemStorage(path)",
  );
}

function checkRestore(restore: RestoreTarget): void {
  if (typeof restore === "string" && restore !== "") return;
  if (Array.isArray(restore) && restore.length > 0) {
    const paths: readonly unknown[] = restore;
    if (paths.every((path) => typeof path === "string" && path !== "")) return;
  }
  if (typeof restore === "number") {
    if (Number.isSafeInteger(restore) && restore >= 1) return;
    throw new InvalidArgumentError(`restore: a checkpoint id is an integer >= 1, got ${restore}`);
  }
  if (typeof restore === "object" && restore !== null && "handles" in restore) {
    if (Array.isArray(restore.handles)) return;
  }
  throw new InvalidArgumentError(
    'restore must be "latest", "latest-or-new", a checkpoint id, a path or several; there is no default',
  );
}
