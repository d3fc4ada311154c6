// What opening a backend does about changelogs: replays those that were restored, whatever the policy
// is now, and begins or goes on with one if the policy says so.
import { join } from "node:path";
import type { KeyedStateHandle, SharedFile } from "../api/keyed-state-backend.ts";
import { startFileThread } from "../checkpoint/file-thread.ts";
import { fileName } from "../checkpoint/layout.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { LogReader, type OpenedLog } from "../checkpoint/log-reader.ts";
import { TaskProgress } from "../checkpoint/task-progress.ts";
import { makeDirectory } from "../environment/typed-error.ts";
import type { BackendStatus } from "./backend-status.ts";
import { resolveChangelogOptions } from "./changelog-options.ts";
import { ChangelogTier, type RestoredLog } from "./changelog-tier.ts";
import type { EarlyTarget } from "./early-replay.ts";
import { type LogRows, LogReplay } from "./log-replay.ts";
import type { RestoredDatabase } from "./lsm-restore.ts";
import type { LsmTier, LsmTierOptions } from "./lsm-tier.ts";
import type { ResolvedOptions } from "./options.ts";
import type { RestorePart, RestoreSource } from "./restore.ts";
import type { OpenStateHost } from "./state-host.ts";

/** Shortest log whose replay is taken for a rate. */
const MEASURED_BYTES_MIN = 8_388_608;

export interface ChangelogOpening {
  readonly options: ResolvedOptions;
  readonly host: OpenStateHost;
  readonly status: BackendStatus;
  readonly lsm: LsmTier;
  readonly tier: LsmTierOptions;
  readonly local: LocalFiles | undefined;
  readonly shareBytes: number;
}

/** The tier of policy "changelog" over that of the LSM. */
export async function openChangelogTier(opening: ChangelogOpening): Promise<ChangelogTier> {
  const { options, host, lsm, tier, local, shareBytes } = opening;
  const { environment, buffer, status, keyGroups, changeNumberBase, schemas, pin, discard } = tier;
  const writer = await host.logWriter(options.checkpointStorage);
  writer.attach();
  return new ChangelogTier({
    environment,
    buffer,
    status,
    keyGroups,
    changeNumberBase,
    schemas,
    pin,
    discard,
    lsm,
    changelog: resolveChangelogOptions(options.changelog, shareBytes),
    writer,
    storage: options.checkpointStorage,
    pool: host.workers,
    local,
    exclusive: (work) => host.exclusive(work),
  });
}

/** Starts the threads that only checkpoints need, once the restore does not need all cores any more. */
export async function prepareAppends(
  { checkpointStorage: storage }: ResolvedOptions,
  host: OpenStateHost,
): Promise<void> {
  const { fileSystem } = host.environment;
  if (storage.pathForAppending !== undefined) await startFileThread(fileSystem);
  const writer = await host.logWriter(storage);
  await writer.prepare(); //# fail point: changelog.prepared
}

/** A verified log, and the handle that it is of. */
export interface RestoredPartLog {
  readonly handle: KeyedStateHandle;
  readonly log: OpenedLog;
}

/**
 * Fetches and verifies the logs of the parts: what several of them share once. `directory` is for
 * fetched segments; it exists, and the caller removes it.
 */
export async function openLogs(
  parts: readonly RestorePart[],
  { keyGroups, environment }: ResolvedOptions,
  { workers: pool }: OpenStateHost,
  local: LocalFiles | undefined,
  directory: string,
): Promise<readonly RestoredPartLog[]> {
  const readers = new Map<string, LogReader>();
  const opened: RestoredPartLog[] = [];
  for (const { storage, handle, isOwnStorage } of parts) {
    if (handle.log === undefined) continue;
    let reader = readers.get(storage.description);
    if (reader === undefined) {
      const own = join(directory, `log-${readers.size}`);
      await makeDirectory(environment.fileSystem, own);
      const atHand = isOwnStorage ? local : undefined;
      reader = new LogReader({ storage, pool, environment, directory: own, local: atHand });
      readers.set(storage.description, reader);
    }
    opened.push({ handle, log: await reader.open(handle, keyGroups) });
  }
  return opened;
}

/** Replays all logs. Returns bytes a ms, or undefined if there was too little to tell. */
export async function replayLogs(
  logs: readonly RestoredPartLog[],
  target: EarlyTarget,
  { keyGroups, environment }: ResolvedOptions,
  changeNumberBase: number,
): Promise<number | undefined> {
  const startMs = environment.clock.monotonicMs();
  let bytes = 0;
  const segments = logs.flatMap(({ handle }) => handle.log?.segments ?? []);
  const progress = new TaskProgress("replay", segments);
  for (const { handle, log } of logs) {
    const rows = noting(log, handle, progress);
    await new LogReplay(target, keyGroups, changeNumberBase, handle).run(rows); //# fail point: changelog.handle-replayed
    bytes += log.logBytes;
  }
  const ms = environment.clock.monotonicMs() - startMs - target.waitedMs;
  // Of less it tells how long threads take to start.
  return bytes < MEASURED_BYTES_MIN ? undefined : bytes / Math.max(1, ms);
}

/** The rows of a log; tells of each segment that they were read to its end. */
async function* noting(
  log: OpenedLog,
  handle: KeyedStateHandle,
  progress: TaskProgress,
): AsyncIterable<LogRows> {
  const left = new Map(handle.log?.segments.map((one) => [fileName(one.id), one.lengthBytes]));
  const done = (file: string): void => {
    progress.fileDone(left.get(file) ?? 0);
    left.delete(file);
  };
  let current: string | undefined;
  for await (const rows of log) {
    if (current !== undefined && rows.file !== current) done(current);
    current = rows.file;
    yield rows;
  }
  for (const file of left.keys()) done(file); // Also of those that had nothing for this backend.
}

/** What checkpoints go on from; undefined if the first one has to make a base. */
export function resumableLog(
  { keyGroups }: ResolvedOptions,
  source: RestoreSource | undefined,
  restored: RestoredDatabase | undefined,
): RestoredLog | undefined {
  const [part, ...others] = source?.parts ?? [];
  if (part === undefined || others.length > 0 || restored === undefined) return undefined;
  const { handle, isOwnStorage } = part;
  const { base, log, changeNumber } = handle;
  const { first, last, max } = handle.keyGroups;
  const isSame = first === keyGroups.first && last === keyGroups.last && max === keyGroups.max;
  const isWhole = base.kind === "sst-set" && restored.stored.size === base.fileCount;
  if (!isOwnStorage || !isSame || !isWhole) return undefined;
  const files: SharedFile[] = [base.fileList];
  for (const { id, lengthBytes, sha256 } of restored.stored.values()) {
    files.push({ id, lengthBytes, sha256 });
  }
  return {
    base: { changeNumber: log?.baseChangeNumber ?? changeNumber, handle: base, files },
    segments: log?.segments ?? [],
  };
}
