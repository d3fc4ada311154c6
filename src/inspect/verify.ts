// Reads every byte that a checkpoint references and compares it with what is recorded.
//   W1. Everything is looked at, whatever is damaged: the report names all of it.
//   W2. Files are hashed on all cores, by the worker pool; where a storage has no local files, on this
//       thread, through its ranges.
//   W3. What a damaged file means is said in key groups: those whose rows may be in it. All others
//       are intact.
import type { Environment } from "../api/environment.ts";
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { runBounded } from "../checkpoint/bounded-work.ts";
import { isUnreadable } from "../checkpoint/checkpoint-reader.ts";
import { fileName } from "../checkpoint/layout.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { systemCodeOf } from "../environment/typed-error.ts";
import { CheckpointNotFoundError, StateBackendError, StorageError } from "../errors.ts";
import { verifyOpened } from "../workers/file-tasks.ts";
import { type WorkerPool, openWorkerPool } from "../workers/worker-pool.ts";
import type { BasePart } from "./base-part.ts";
import {
  type CheckpointFile,
  fileListOf,
  listedFilesOf,
  segmentPrefixesOf,
  segmentsOf,
} from "./checkpoint-files.ts";
import { isRetained } from "./checkpoint-location.ts";
import type { CheckpointView } from "./checkpoint-view.ts";
import { DumpRows } from "./dump-rows.ts";
import { type OpenCheckpoint, opened } from "./open-checkpoint.ts";
import type { Groups } from "./row-source.ts";
import { StoredFile, readableOf } from "./stored-file.ts";
import { type LogFault, LogVerification } from "./verify-log.ts";
import { checkDumpRows, claimsOf } from "./verify-rows.ts";

const THREADS_MAX = 64;

export interface VerifyProgress {
  readonly verifiedBytes: number;
  readonly totalBytes: number;
}

export interface VerifyOptions {
  /** @defaultValue one for each core, at most 64 */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  /** Also reads and decodes every row, which finds what was stored wrong. @defaultValue false */
  readonly rows?: boolean | undefined;
  /** Where local files are. @defaultValue Node's */
  readonly environment?: Environment | undefined;
  /**
   * Files whose bytes are known from an earlier call, by id: give the same map for several
   * checkpoints that share files. Filled by the call. Changelog segments, which grow, are not among them.
   */
  readonly known?: Map<string, Damage | undefined> | undefined;
}

/** What is wrong with a file. */
export interface Damage {
  readonly code: string;
  readonly message: string;
}

export interface DamagedFile extends Damage {
  /** Name in the storage. */
  readonly file: string;
  readonly path: string | undefined;
  readonly kind: CheckpointFile["kind"] | "rows";
  /** Where rows may be lost or wrong. */
  readonly keyGroups: Groups;
}

export interface VerifyReport {
  readonly checkpointId: number;
  readonly isIntact: boolean;
  /** Files looked at, file lists included, and their bytes. */
  readonly fileCount: number;
  readonly totalBytes: number;
  /** Of those, how much was read by this call and not by an earlier one. */
  readonly readBytes: number;
  readonly damaged: readonly DamagedFile[];
}

interface Target {
  readonly part: BasePart;
  readonly file: CheckpointFile;
  /** Place among the files of its list. */
  readonly index: number;
}

/** CheckpointNotFoundError if the checkpoint is deleted meanwhile. Damage is reported, not thrown. */
export async function verifyCheckpoint(
  view: CheckpointView,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const open = opened(view);
  open.throwIfClosed();
  const environment = options.environment ?? nodeEnvironment();
  const cores = Math.min(THREADS_MAX, environment.availableCores());
  const threads = options.threads ?? cores;
  const pool = await openWorkerPool({ environment, threads, startsFor: ["verifyFile"] });
  try {
    return await new Verification(open, pool, options).run();
  } finally {
    await pool.close();
  }
}

class Verification {
  readonly #view: OpenCheckpoint;
  readonly #pool: WorkerPool;
  readonly #options: VerifyOptions;
  readonly #known: Map<string, Damage | undefined>;
  readonly #damaged: DamagedFile[] = [];
  readonly #logs: LogVerification;
  #verifiedBytes = 0;

  constructor(view: OpenCheckpoint, pool: WorkerPool, options: VerifyOptions) {
    this.#view = view;
    this.#pool = pool;
    this.#options = options;
    this.#known = options.known ?? new Map<string, Damage | undefined>();
    this.#logs = new LogVerification(pool);
  }

  async run(): Promise<VerifyReport> {
    let [fileCount, totalBytes] = [0, 0];
    const found: (readonly Target[])[] = [];
    for (const part of this.#view.parts) {
      const own = await this.#targetsOf(part);
      fileCount += own.length + 1;
      totalBytes += part.handle.base.fileList.lengthBytes;
      for (const { file } of own) totalBytes += file.lengthBytes;
      found.push(own);
    }
    const targets = found.flat();
    const unread = targets.filter(({ file }) => !this.#known.has(file.id));
    const { parts } = this.#view;
    for (const { lengthBytes } of segmentsOf(parts)) {
      fileCount++;
      totalBytes += lengthBytes;
    }
    const read = [...unread.map(({ file }) => file), ...segmentPrefixesOf(parts)];
    const readBytes = read.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    this.#options.onProgress?.({ verifiedBytes: 0, totalBytes: readBytes });
    await this.#readAll(unread, readBytes);
    await this.#readLogs(readBytes);
    for (const target of targets) {
      const damage = this.#known.get(target.file.id);
      if (damage !== undefined) await this.#report(target, damage);
    }
    for (const part of parts) for (const fault of this.#logs.faultsOf(part)) this.#noteLog(fault);
    if (this.#options.rows === true && this.#damaged.length === 0) await this.#readRows();
    if (this.#damaged.length > 0) await this.#requireRetained();
    const { checkpointId } = this.#view;
    const damaged = this.#damaged;
    return {
      checkpointId,
      isIntact: damaged.length === 0,
      fileCount,
      totalBytes,
      readBytes,
      damaged,
    };
  }

  /** Files that the part's list names; none if that is damaged, which is noted. */
  async #targetsOf(part: BasePart): Promise<Target[]> {
    try {
      // Opening the rows checks the list against the rules of a set of SSTs.
      await part.baseRows();
      return (await listedFilesOf(part)).map((file, index) => ({ part, file, index }));
    } catch (error) {
      const file = fileListOf(part);
      this.#note(file, damageOf(error), file.keyGroups);
      return [];
    }
  }

  async #readAll(targets: readonly Target[], totalBytes: number): Promise<void> {
    // The largest first: none of them is left alone at the end.
    const sorted = [...targets].sort((a, b) => b.file.lengthBytes - a.file.lengthBytes);
    const { signal } = this.#options;
    await runBounded(sorted, this.#pool.threads * 2, signal, async (target, stop) => {
      const { file } = target;
      this.#view.throwIfClosed();
      try {
        await this.#read(target, stop);
        this.#known.set(file.id, undefined);
      } catch (error) {
        this.#known.set(file.id, damageOf(error));
      }
      this.#progress(file.lengthBytes, totalBytes);
    });
  }

  #progress(bytes: number, totalBytes: number): void {
    this.#verifiedBytes += bytes;
    this.#options.onProgress?.({ verifiedBytes: this.#verifiedBytes, totalBytes });
  }

  async #readLogs(totalBytes: number): Promise<void> {
    const { signal } = this.#options;
    const { parts } = this.#view;
    const lanes = this.#pool.threads * 2;
    await runBounded(segmentPrefixesOf(parts), lanes, signal, async (segment, stop) => {
      this.#view.throwIfClosed();
      await this.#logs.read(parts[0]!, segment, stop);
      this.#progress(segment.lengthBytes, totalBytes);
    });
  }

  #noteLog({ id, keyGroups, error }: LogFault): void {
    this.#note({ id, kind: "segment" }, damageOf(error), keyGroups);
  }

  async #read({ part, file, index }: Target, signal: AbortSignal): Promise<void> {
    const { storage } = this.#view;
    const { lengthBytes, sha256 } = file;
    const name = fileName(file.id);
    const table = this.#options.rows === true ? await claimsOf(part, index) : undefined;
    const request = { lengthBytes, sha256, file: name, table };
    const path = storage.locate?.(name);
    if (path !== undefined) {
      try {
        await this.#pool.submit("verifyFile", { ...request, path }, { signal });
        return;
      } catch (error) {
        // Gone, or in another environment than ours: the storage knows.
        const { cause } = error as { readonly cause?: unknown };
        if (systemCodeOf(cause) !== "ENOENT") throw error;
      }
    }
    const opened = readableOf(new StoredFile(storage, file)); // W2
    await verifyOpened(opened, request, { checkStop: () => signal.throwIfAborted() });
  }

  async #report({ part, file, index }: Target, damage: Damage): Promise<void> {
    const groups =
      file.kind === "dump" ? await this.#groupsOfDumpFile(part, index) : file.keyGroups;
    this.#note(file, damage, groups);
  }

  /** From the last group of the intact file before it, to the first of the intact file after it. */
  async #groupsOfDumpFile(part: BasePart, index: number): Promise<Groups> {
    let { first, last } = part.handle.keyGroups;
    const rows = await part.baseRows();
    const files: readonly SharedFile[] = (await part.list()).files;
    if (!(rows instanceof DumpRows)) return { first, last };
    const isIntact = ({ id }: SharedFile): boolean => this.#known.get(id) === undefined;
    const before = files.findLastIndex((file, at) => at < index && isIntact(file));
    const after = files.findIndex((file, at) => at > index && isIntact(file));
    try {
      if (before >= 0) first = (await rows.groupsOf(before)).last;
      if (after >= 0) last = (await rows.groupsOf(after)).first;
    } catch (error) {
      damageOf(error); // Stored wrong, or gone by now: then nothing narrows the groups down.
    }
    return { first, last };
  }

  async #readRows(): Promise<void> {
    for (const part of this.#view.parts) {
      const { first, last } = part.handle.keyGroups;
      const checkStop = (): void => this.#options.signal?.throwIfAborted();
      const faults = await this.#logs.rowFaultsOf(part, checkStop);
      faults.forEach((fault) => this.#noteLog(fault));
      if (faults.length > 0) continue; // Nothing of its rows can be told without the log.
      try {
        await checkDumpRows(part);
      } catch (error) {
        this.#note({ ...fileListOf(part), kind: "rows" }, damageOf(error), { first, last });
      }
      for (let group = first; group <= last; group++) {
        this.#options.signal?.throwIfAborted();
        for (const { schema, decode } of decodersOf(part)) {
          try {
            for await (const records of this.#view.records(part, schema, group)) {
              records.forEach(decode);
            }
          } catch (error) {
            const groups = { first: group, last: group };
            this.#note({ ...fileListOf(part), kind: "rows" }, damageOf(error), groups);
          }
        }
      }
    }
  }

  #note(
    file: Pick<SharedFile, "id"> & { readonly kind: DamagedFile["kind"] },
    damage: Damage,
    { first, last }: Groups,
  ): void {
    const name = fileName(file.id);
    const path = this.#view.storage.locate?.(name);
    this.#damaged.push({
      file: name,
      path,
      kind: file.kind,
      keyGroups: { first, last },
      ...damage,
    });
  }

  /** Damage of a checkpoint that is not retained any more is none. */
  async #requireRetained(): Promise<void> {
    if (await isRetained(this.#view)) return;
    const { checkpointId, storage } = this.#view;
    throw new CheckpointNotFoundError(
      `checkpoint ${checkpointId} was deleted from ${storage.description} while it was verified: verify a newer one`,
    );
  }
}

function decodersOf(part: BasePart) {
  return [...part.decoders.values()].map((decoder) => ({
    schema: decoder.schema,
    decode: (record: Parameters<typeof decoder.decode>[0]): void => void decoder.decode(record),
  }));
}

/**
 * Bytes that are wrong, gone, or refused by the disk: EIO is how many of them end. What else fails
 * says nothing about the bytes, and is thrown.
 */
function damageOf(error: unknown): Damage {
  if (!(error instanceof StateBackendError)) throw error;
  const { code, message } = error;
  const isOfFile =
    isUnreadable(error) || (error instanceof StorageError && error.retriable === false);
  if (!isOfFile) throw error;
  return { code, message };
}
