// Opens the coordinator of a job: options, what is in the storage, what the job starts from.
import type { CheckpointCoordinator, RestoreHandles } from "../api/checkpoint-coordinator.ts";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type { CheckpointPolicy } from "../api/keyed-state-backend.ts";
import { readFileList } from "../checkpoint/base-reader.ts";
import { CheckpointReader } from "../checkpoint/checkpoint-reader.ts";
import { LATEST_NAME, numberOfMetadataName } from "../checkpoint/layout.ts";
import { scanRetained } from "../checkpoint/retained-scan.ts";
import { integerOption } from "../common/options.ts";
import { newCoordinator } from "../coordinator/coordinator-state.ts";
import { type CoordinatorOptions, resolveCoordinatorOptions } from "../coordinator/options.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { CheckpointNotFoundError, InvalidArgumentError } from "../errors.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { toHex } from "../format/hex.ts";
import type { BackendKind, CheckpointMetadata } from "../format/metadata.ts";
import { openWorkerPool } from "../workers/worker-pool.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { Deletions } from "./deletions.ts";
import { JobCoordinator } from "./job-coordinator.ts";
import { MetadataWriter } from "./metadata-writer.ts";

export interface CheckpointCoordinatorOptions extends CoordinatorOptions {
  /** Where the checkpoints of all tasks are; one a job. */
  readonly checkpointStorage: CheckpointStorage;
  /** Tasks of the job, each with a range of its key groups: 1 to 32,768. */
  readonly taskCount: number;
  /**
   * Where to start from, as for a backend: `"latest"`, `"latest-or-new"`, the id of a checkpoint in
   * the storage, or the path of a checkpoint or savepoint elsewhere, which stays the user's. There
   * is no default.
   */
  readonly restore: string | number;
  /** The tasks' kind of backend. @defaultValue "lsm" */
  readonly backend?: "lsm" | "memory" | undefined;
  /** The tasks' policy. @defaultValue "incremental" for lsm, "full" for memory */
  readonly policy?: CheckpointPolicy | undefined;
  /**
   * Told of what nobody awaits: too many failed checkpoints in a row (stop all tasks, then call
   * `recover`), another owner (FencedError: stop), a task that threw in a notification.
   */
  readonly onFailure?: ((error: Error) => void) | undefined;
  /** As for a backend. @defaultValue Node's */
  readonly environment?: Environment | undefined;
}

const ownNames = [
  "checkpointStorage",
  "taskCount",
  "restore",
  "backend",
  "policy",
  "onFailure",
  "environment",
];
const taskCountMax = 32_768;

/**
 * Opens the coordinator of a job whose tasks take part in common checkpoints: a checkpoint completes
 * when all tasks have acknowledged it and its metadata is durable. Dispose or close it. Throws
 * InvalidArgumentError, CheckpointNotFoundError, CorruptionError, UnsupportedFormatError,
 * StorageError; nothing has been changed then. Page: docs/coordinator.md.
 */
export async function openCheckpointCoordinator(
  options: CheckpointCoordinatorOptions,
): Promise<CheckpointCoordinator> {
  const job = resolve(options);
  const { storage, environment } = job;
  const pool = await openWorkerPool({ environment, threads: 1 });
  try {
    await storage.open();
    await loadFrameChecksum();
    const source = await findSource(job);
    const scan = await scanRetained(storage, pool);
    const writerEpoch = { id: toHex(environment.random.bytes(16)), number: scan.epochNumber + 1 };
    if (source.ownId !== undefined) {
      const isKnown = scan.retained.some((one) => one.checkpointId === source.ownId);
      if (!isKnown) await refuseUnreadable(source, pool);
    }
    const state = newCoordinator({
      options: job.coordinator,
      taskCount: job.taskCount,
      epoch: writerEpoch.id,
      retained: scan.retained,
      restoredFrom: source.ownId,
      isClaimed: true, // What is in the job's own storage is its own.
      lastCheckpointId: Math.max(scan.lastCheckpointId, source.restore.checkpointId),
      lastCompletionNumber: scan.newest,
    });
    const { policy, backendKind } = job;
    return new JobCoordinator({
      state,
      storage,
      environment,
      writer: new MetadataWriter(storage, environment, { policy, backendKind, writerEpoch }),
      restore: source.restore,
      load: async (number) => handlesOf(await new CheckpointReader(storage).load(number), storage),
      onFailure: options.onFailure,
      deletions: new Deletions(storage, scan.leftovers),
      release: () => pool.close(),
    });
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** The scan passes over what it cannot read: what the job starts from must be readable. */
async function refuseUnreadable({ restore }: Source, pool: WorkerPool): Promise<never> {
  const { storage, handles, checkpointId } = restore;
  for (const { base } of handles) await readFileList(storage!, pool, base);
  throw new CheckpointNotFoundError(
    `checkpoint ${checkpointId} was given up while it was being restored: open again`,
  );
}

interface Job {
  readonly storage: CheckpointStorage;
  readonly environment: Environment;
  readonly taskCount: number;
  readonly restore: string | number;
  readonly policy: CheckpointPolicy;
  readonly backendKind: BackendKind;
  readonly coordinator: ReturnType<typeof resolveCoordinatorOptions>;
}

function resolve(options: CheckpointCoordinatorOptions): Job {
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgumentError("openCheckpointCoordinator takes an options object");
  }
  const rest: Record<string, unknown> = { ...options };
  for (const name of ownNames) delete rest[name];
  const coordinator = resolveCoordinatorOptions(rest as CoordinatorOptions); // Refuses unknown ones.
  const { restore, backend = "lsm", checkpointStorage: storage } = options;
  const isStorage = typeof storage === "object" && storage !== null && "createIfAbsent" in storage;
  if (!isStorage) {
    throw new InvalidArgumentError(
      "checkpointStorage must be a CheckpointStorage, such as fileSystemStorage(path)",
    );
  }
  if (backend !== "lsm" && backend !== "memory") {
    throw new InvalidArgumentError(`backend must be "lsm" or "memory", got ${String(backend)}`);
  }
  const policy = options.policy ?? (backend === "lsm" ? "incremental" : "full");
  const policies: readonly string[] =
    backend === "lsm" ? ["full", "incremental", "changelog"] : ["full"];
  if (!policies.includes(policy)) {
    throw new InvalidArgumentError(
      'policy must be "full", or with backend "lsm" also "incremental" or "changelog"',
    );
  }
  const isId = Number.isSafeInteger(restore) && (restore as number) >= 1;
  if (!isId && (typeof restore !== "string" || restore === "")) {
    throw new InvalidArgumentError(
      'restore must be "latest", "latest-or-new", a checkpoint id or a path; there is no default',
    );
  }
  return {
    storage,
    environment: options.environment ?? nodeEnvironment(),
    taskCount: integerOption("taskCount", options.taskCount, 0, 1, taskCountMax),
    restore,
    policy,
    backendKind: backend,
    coordinator,
  };
}

/** `ownId`: of the checkpoint in the job's own storage; undefined for a start from elsewhere, or empty. */
interface Source {
  readonly restore: RestoreHandles;
  readonly ownId: number | undefined;
}

async function findSource({ storage, restore, backendKind }: Job): Promise<Source> {
  const reader = new CheckpointReader(storage);
  const own = (metadata: CheckpointMetadata): Source => {
    checkKind(metadata, backendKind);
    return { restore: handlesOf(metadata, storage), ownId: metadata.checkpointId };
  };
  if (typeof restore === "number") return own(await reader.findById(restore));
  if (restore === "latest") return own(await reader.loadNewest());
  if (restore === "latest-or-new") {
    if (await reader.hasTrace()) return own(await reader.loadNewest());
    return { restore: { checkpointId: 0, handles: [] }, ownId: undefined };
  }
  const found = storage.resolvePath?.(restore);
  if (found === undefined) {
    throw new InvalidArgumentError(
      `restore: ${storage.description} has no paths: name a checkpoint id`,
    );
  }
  const elsewhere = new CheckpointReader(found.storage);
  const number = numberOfMetadataName(found.name);
  if (found.name !== LATEST_NAME && number === undefined) {
    throw new InvalidArgumentError(`restore: ${restore} is not a checkpoint's metadata`);
  }
  const metadata = await (number === undefined ? elsewhere.loadNewest() : elsewhere.load(number));
  if (found.storage.description === storage.description) return own(metadata);
  checkKind(metadata, backendKind);
  return { restore: handlesOf(metadata, found.storage), ownId: undefined };
}

/** Canonical rows go into either kind. */
function checkKind(metadata: CheckpointMetadata, backendKind: BackendKind): void {
  const isCanonical = metadata.handles.every(({ base }) => base.kind === "canonical");
  if (isCanonical || metadata.backendKind === backendKind) return;
  throw new InvalidArgumentError(
    `checkpoint ${metadata.checkpointId} was taken by the ${metadata.backendKind} backend: the ${backendKind} backend starts from a canonical savepoint only`,
  );
}

function handlesOf(metadata: CheckpointMetadata, storage: CheckpointStorage): RestoreHandles {
  const { checkpointId, handles, userMetadata } = metadata;
  return { checkpointId, handles, metadata: userMetadata, storage };
}
