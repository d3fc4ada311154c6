// Writes a savepoint from any checkpoint, without the job: another format, backend or number of key
// groups; states under other serializers or names, or without some.
//   K1. The source is not written into. Every byte of it is verified before its first row is used.
//   K2. The target is whole, under its name, or not there: it is made beside it and renamed once its
//       metadata is durable. If converting fails, what was made is removed, and nothing else.
//   K3. Memory does not grow with the state: rows are sorted through files beside the target.
import { dirname, join, resolve } from "node:path";
import type { Environment } from "../api/environment.ts";
import type { KeyGroupRange, SavepointFormat } from "../api/keyed-state-backend.ts";
import type { BaseWriterTools, WrittenBase } from "../checkpoint/base-writer.ts";
import { SavepointTarget } from "../checkpoint/savepoint-target.ts";
import { refuseUnknownOptions } from "../common/options.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { systemCodeOf, typedFileError } from "../environment/typed-error.ts";
import { CorruptionError, InvalidArgumentError, StorageError } from "../errors.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import type { FrameTools } from "../format/frame.ts";
import { toHex } from "../format/hex.ts";
import type { BackendKind } from "../format/metadata.ts";
import { loadCodec } from "../workers/codec.ts";
import type { TaskContext } from "../workers/tasks.ts";
import { type WorkerPool, openWorkerPool } from "../workers/worker-pool.ts";
import { type CheckpointSource, findCheckpoint } from "./checkpoint-location.ts";
import type { OpenCheckpointOptions } from "./checkpoint-view.ts";
import { type ConversionPlan, planConversion } from "./conversion-plan.ts";
import { beginFiles } from "./converted-files.ts";
import { convertRows } from "./converted-rows.ts";
import { FingerprintReader } from "./fingerprint.ts";
import { OpenCheckpoint } from "./open-checkpoint.ts";
import { RowSorter } from "./row-sorter.ts";
import { AscendingRows } from "./row-target.ts";
import { Scratch } from "./scratch.ts";
import type { StateChanges } from "./state-change.ts";
import { moveIntoPlace, requireOutside, targetExists } from "./target-place.ts";
import { verifyCheckpoint } from "./verify.ts";

/** `verify` in bytes, `read` in key groups, `write` in rows. */
export interface ConvertProgress {
  readonly phase: "verify" | "read" | "write";
  readonly done: number;
  readonly total: number;
}

export interface ConvertOptions extends OpenCheckpointOptions {
  /** A checkpoint or savepoint: path of a directory or of its metadata; or a storage. */
  readonly source: CheckpointSource;
  /** Directory of the savepoint, which does not exist or is empty. */
  readonly target: string;
  /**
   * `canonical`: rows, for every backend. `native`: the files of one kind of backend, restored by
   * linking them.
   * @defaultValue "canonical"
   */
  readonly format?: SavepointFormat | undefined;
  /** For whom a native savepoint is. @defaultValue the backend that wrote the source */
  readonly backend?: BackendKind | undefined;
  /**
   * How many key groups there are from now on, 1 to 32,768. Every row is sorted anew then, through
   * files beside the target.
   * @defaultValue as before
   */
  readonly keyGroups?: number | undefined;
  /** What changes, by the states' names. @defaultValue nothing */
  readonly states?: StateChanges | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ConvertProgress) => void) | undefined;
}

export interface ConvertedCheckpoint {
  readonly checkpointId: number;
  readonly format: SavepointFormat;
  readonly backend: BackendKind;
  readonly keyGroups: KeyGroupRange;
  readonly states: readonly string[];
  readonly rowCount: number;
  readonly fileCount: number;
  /** Of all its files, their list included. */
  readonly totalBytes: number;
  /** The directory, for `restore`. */
  readonly location: string;
}

const optionNames: readonly (keyof ConvertOptions)[] = [
  "source",
  "target",
  "format",
  "backend",
  "keyGroups",
  "states",
  "signal",
  "onProgress",
  "checkpointId",
  "environment",
  "serializers",
  "trustV8",
];

/**
 * InvalidArgumentError for options that do not fit the checkpoint or a value that cannot be changed,
 * IncompatibleSerializerError for serializers that did not write it, CorruptionError,
 * UnsupportedFormatError, CheckpointNotFoundError, StorageError, NoSpaceError; then there is no target,
 * unless it was the last sync that failed: then it is whole, but may not survive a power loss.
 */
export async function convertCheckpoint(options: ConvertOptions): Promise<ConvertedCheckpoint> {
  refuseUnknownOptions("convert", options, optionNames);
  const { source, target, format = "canonical", signal } = options;
  if (typeof target !== "string" || target === "" || target.includes("\0")) {
    throw new InvalidArgumentError("convert: target is the path of a directory");
  }
  signal?.throwIfAborted();
  const { storage, metadata } = await findCheckpoint(source, options);
  const path = resolve(target);
  const scratch = new Scratch(options.environment ?? nodeEnvironment(), `${path}.partial-`);
  const view = new OpenCheckpoint(storage, metadata, new FingerprintReader(options), scratch);
  try {
    const plan = planConversion(view, { ...options, format });
    return await new Conversion(view, plan, path, options).run();
  } catch (cause) {
    if (signal?.aborted === true && cause === signal.reason) throw cause;
    if (systemCodeOf(cause) === undefined) throw cause;
    throw typedFileError(`convert a checkpoint to ${target}`, cause);
  } finally {
    await view.close();
  }
}

class Conversion {
  readonly #view: OpenCheckpoint;
  readonly #plan: ConversionPlan;
  readonly #path: string;
  readonly #options: ConvertOptions;
  readonly #environment: Environment;

  constructor(view: OpenCheckpoint, plan: ConversionPlan, path: string, options: ConvertOptions) {
    this.#view = view;
    this.#plan = plan;
    this.#path = path;
    this.#options = options;
    this.#environment = options.environment ?? nodeEnvironment();
  }

  async run(): Promise<ConvertedCheckpoint> {
    const { fileSystem, random } = this.#environment;
    await this.#requireFree();
    await requireOutside(this.#view.storage, this.#path, fileSystem); // K1
    await this.#verify();
    const partial = `${this.#path}.partial-${toHex(random.bytes(8))}`;
    const pool = await openWorkerPool({ environment: this.#environment });
    try {
      const directory = join(partial, "savepoint");
      const converted = await this.#write(partial, directory, pool);
      await fileSystem.makeDirectory(dirname(this.#path));
      await moveIntoPlace(directory, this.#path, fileSystem); // K2
      return converted;
    } finally {
      await pool.close();
      await fileSystem.removeTree(partial);
    }
  }

  async #requireFree(): Promise<void> {
    const { fileSystem } = this.#environment;
    const stat = await fileSystem.stat(this.#path);
    if (stat === undefined) return;
    const isEmpty =
      stat.kind === "directory" && (await fileSystem.readDirectory(this.#path)).length === 0;
    if (!isEmpty) throw targetExists(this.#path);
  }

  async #verify(): Promise<void> {
    const { signal } = this.#options;
    for (const part of this.#view.parts) await this.#view.guard(() => part.rows());
    const { damaged } = await verifyCheckpoint(this.#view, {
      environment: this.#environment,
      signal,
      onProgress: ({ verifiedBytes, totalBytes }) => {
        this.#report("verify", verifiedBytes, totalBytes);
      },
    });
    const [first] = damaged;
    if (first === undefined) return;
    const { code, message, file } = first;
    const what = `${damaged.length} files of checkpoint ${this.#view.checkpointId} are damaged: ${file}: ${message}`;
    if (code === "VARVE_STORAGE") throw new StorageError(what); // The disk refuses its bytes.
    throw new CorruptionError(what, file, 0);
  }

  async #write(partial: string, directory: string, pool: WorkerPool): Promise<ConvertedCheckpoint> {
    const environment = this.#environment;
    const { fileSystem } = environment;
    const ownStorage = this.#view.storage;
    const place = { directory, transfer: "link" as const, environment, ownStorage };
    const target = await SavepointTarget.open(place);
    const scratch = join(partial, "scratch");
    await fileSystem.makeDirectory(scratch);
    const context = this.#context();
    const files = await beginFiles(this.#plan, scratch, context);
    try {
      const ascending = new AscendingRows(files.target);
      await this.#fill(ascending, scratch, context);
      const { signal } = this.#options;
      const discard = (): void => undefined; // With all of the directory.
      const tools: BaseWriterTools = { storage: target.sink, pool, environment, discard, signal };
      const written = await files.store(tools);
      signal?.throwIfAborted();
      await this.#commit(target, written);
      return this.#describe(written, ascending.rowCount);
    } catch (cause) {
      await files.discard(); // Closes what is open.
      throw cause;
    }
  }

  #context(): TaskContext {
    const { fileSystem } = this.#environment;
    const checkStop = (): void => this.#options.signal?.throwIfAborted();
    const tools = async (): Promise<FrameTools> => {
      return { checksum: await loadFrameChecksum(), codec: loadCodec() };
    };
    return { fileSystem, shortCalls: fileSystem, tools, checkStop, isRepeated: false };
  }

  /** All rows, in the order of the result. */
  async #fill(
    ascending: AscendingRows,
    directory: string,
    { fileSystem, tools, checkStop }: TaskContext,
  ): Promise<void> {
    let sorters = 0;
    const frames = await tools();
    const newSorter = (): RowSorter => {
      const name = `sort-${sorters++}`;
      return new RowSorter({ fileSystem, frames, directory, name, throwIfStopped: checkStop });
    };
    const sorter = this.#plan.isReordered ? newSorter() : undefined;
    const { first } = this.#plan.keyGroups;
    const groups = this.#view.parts.reduce((sum, { handle }) => {
      return sum + handle.keyGroups.last - handle.keyGroups.first + 1;
    }, 0);
    await convertRows(this.#view, this.#plan, {
      target: sorter ?? ascending,
      newSorter,
      onKeyGroup: (keyGroup) => {
        checkStop();
        this.#report("read", keyGroup - first + 1, groups);
      },
    });
    if (sorter === undefined) return;
    const { rowCount } = sorter;
    for await (const rows of sorter.sorted()) {
      for (const { key, row } of rows) {
        if (!ascending.fits(key.length, row.length)) await ascending.makeRoom();
        ascending.copy(key, key.length, row, 0, row.length);
      }
      this.#report("write", ascending.rowCount, rowCount);
    }
  }

  async #commit(target: SavepointTarget, written: WrittenBase): Promise<void> {
    const { format, backendKind, keyGroups, schemas, changeNumber } = this.#plan;
    const { base, files, newFileIds, uploadedBytes } = written;
    const handle = { keyGroups, changeNumber, base, states: schemas };
    const { checkpointId, metadata } = this.#view;
    await target.commit({
      checkpointId,
      format,
      backendKind,
      snapshot: { handle, files, newFileIds, uploadedBytes },
      userMetadata: metadata.userMetadata,
    });
  }

  #describe({ base, files }: WrittenBase, rowCount: number): ConvertedCheckpoint {
    const { format, backendKind, keyGroups, schemas } = this.#plan;
    return {
      checkpointId: this.#view.checkpointId,
      format,
      backend: backendKind,
      keyGroups,
      states: schemas.map(({ name }) => name),
      rowCount,
      fileCount: files.length,
      totalBytes: base.totalBytes + base.fileList.lengthBytes,
      location: this.#path,
    };
  }

  #report(phase: ConvertProgress["phase"], done: number, total: number): void {
    this.#options.onProgress?.({ phase, done, total });
  }
}
