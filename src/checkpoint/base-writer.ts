// Uploads what a backend captured as a base: its files, then their list.
//   U1. The list is written once all files it names are durable.
//   U2. Every upload gets a new random id. After a failure all of them are handed to `discard`, also
//       those whose upload failed: part of a file may be there.
//   U3. Hashes are of the local file, taken while it is uploaded; the length must be the one captured.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type { BaseHandle, SharedFile } from "../api/keyed-state-backend.ts";
import type { ProgressTask } from "../diagnostics.ts";
import { CorruptionError } from "../errors.ts";
import { FILE_ID_BYTES } from "../format/file-list.ts";
import type { DumpListEntry, FileList, SstListEntry } from "../format/file-list.ts";
import { toHex } from "../format/hex.ts";
import type { PackedDumpFile } from "../workers/tasks.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { runBounded } from "./bounded-work.ts";
import { fileName } from "./layout.ts";
import { TaskProgress } from "./task-progress.ts";

/** Files uploaded at a time: each waits for a sync, which others can share meanwhile. */
const concurrencyMax = 16;

/** An SST as captured: a local file that does not change any more. */
export interface CapturedSst {
  readonly path: string;
  readonly lengthBytes: number;
  readonly level: number;
  readonly number: number;
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
}

/** What writers need of a storage. */
export type FileSink = Pick<CheckpointStorage, "putFile" | "putBytes">;

export interface BaseWriterTools {
  readonly storage: FileSink;
  readonly pool: WorkerPool;
  readonly environment: Environment;
  /** Takes ids of files that no checkpoint will use. Must not throw. */
  readonly discard: (ids: readonly string[]) => void;
  readonly signal?: AbortSignal | undefined;
  /** Of a materialization no checkpoint waits. @defaultValue "checkpoint" */
  readonly task?: Extract<ProgressTask, "checkpoint" | "materialization" | "savepoint"> | undefined;
}

export interface SstSetCapture {
  readonly lastSequence: number;
  readonly nextFile: number;
  readonly files: readonly CapturedSst[];
  /**
   * Stored files of confirmed checkpoints by LevelDB number, which need not be uploaded again. The
   * caller has pinned them.
   */
  readonly reuse: ReadonlyMap<number, SharedFile>;
}

export interface WrittenBase {
  readonly base: BaseHandle;
  /** The file list and every file that it names. */
  readonly files: readonly SharedFile[];
  readonly newFileIds: readonly string[];
  /** Bytes of the new files, the list included. */
  readonly uploadedBytes: number;
}

export interface WrittenSstSet extends WrittenBase {
  /** Stored files by LevelDB number: what a later capture may reuse once this one is confirmed. */
  readonly filesByNumber: ReadonlyMap<number, SharedFile>;
}

/** Uploads the SSTs that are not reused, and their list. */
export async function writeSstSet(
  capture: SstSetCapture,
  tools: BaseWriterTools,
): Promise<WrittenSstSet> {
  const upload = new Upload(tools);
  return upload.run(async () => {
    const stored = new Map<number, SharedFile>();
    const fresh: CapturedSst[] = [];
    for (const file of capture.files) {
      const reused = capture.reuse.get(file.number);
      if (reused === undefined) fresh.push(file);
      else stored.set(file.number, reused);
    }
    upload.begins(fresh);
    await runBounded(fresh, concurrencyMax, tools.signal, async (file, stop) => {
      stored.set(file.number, await upload.hashAndPut(file.path, file.lengthBytes, stop));
    });
    const entries: SstListEntry[] = capture.files.map((file) => {
      const { level, number, smallest, largest } = file;
      return { ...stored.get(number)!, level, number, smallest, largest };
    });
    const { lastSequence, nextFile } = capture;
    const written = await upload.putList({
      kind: "sst-set",
      lastSequence,
      nextFile,
      files: entries,
    });
    return { ...written, filesByNumber: stored };
  });
}

/** Uploads a packed dump, whose hashes the packing task has computed, and its list. */
export async function writeDump(
  packed: readonly PackedDumpFile[],
  tools: BaseWriterTools,
): Promise<WrittenBase> {
  const upload = new Upload(tools);
  return upload.run(async () => {
    const entries: DumpListEntry[] = packed.map(({ lengthBytes, sha256, rowCount }) => ({
      id: upload.newId(),
      lengthBytes,
      sha256,
      rowCount,
    }));
    upload.begins(entries);
    const indexes = entries.map((_entry, index) => index);
    await runBounded(indexes, concurrencyMax, tools.signal, async (index, stop) => {
      await upload.put(entries[index]!, packed[index]!.path, stop);
    });
    return upload.putList({ kind: "dump", files: entries });
  });
}

export class Upload {
  readonly #tools: BaseWriterTools;
  readonly #ids: string[] = [];
  #progress: TaskProgress | undefined;
  #uploadedBytes = 0;

  constructor(tools: BaseWriterTools) {
    this.#tools = tools;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.#tools.signal?.throwIfAborted();
      return result;
    } catch (cause) {
      this.#tools.discard(this.#ids); // U2
      throw cause;
    }
  }

  /** Files are going to be stored: these, if they are known. */
  begins(files?: readonly { readonly lengthBytes: number }[]): void {
    this.#progress = new TaskProgress(this.#tools.task ?? "checkpoint", files);
  }

  #stored(lengthBytes: number): void {
    this.#uploadedBytes += lengthBytes;
    this.#progress?.fileDone(lengthBytes);
  }

  newId(): string {
    const id = toHex(this.#tools.environment.random.bytes(FILE_ID_BYTES));
    this.#ids.push(id);
    return id;
  }

  async put(file: SharedFile, path: string, signal: AbortSignal): Promise<void> {
    await this.#tools.storage.putFile(fileName(file.id), path, { signal }); //# fail point: base.file-stored
    this.#stored(file.lengthBytes);
  }

  async hashAndPut(path: string, lengthBytes: number, signal: AbortSignal): Promise<SharedFile> {
    const { storage, pool, task } = this.#tools;
    const isBackground = task === "materialization";
    const id = this.newId();
    const [hashed, put] = await Promise.allSettled([
      pool.submit("hashFile", { path }, { signal, isBackground }), // U3
      storage.putFile(fileName(id), path, { signal }),
    ]);
    if (hashed.status === "rejected") throw hashed.reason as Error;
    if (put.status === "rejected") throw put.reason as Error;
    const { sha256, lengthBytes: found } = hashed.value;
    if (found !== lengthBytes) {
      throw new CorruptionError(`the file has ${found} bytes, not ${lengthBytes}`, path, found);
    }
    this.#stored(lengthBytes);
    return { id, lengthBytes, sha256 };
  }

  async putList(list: FileList): Promise<WrittenBase> {
    const { storage, pool, signal } = this.#tools;
    const { bytes, sha256 } = await pool.submit("encodeFileList", { list }, { signal }); //# fail point: base.list-encoded
    const fileList: SharedFile = { id: this.newId(), lengthBytes: bytes.length, sha256 };
    await storage.putBytes(fileName(fileList.id), bytes, { signal }); // U1 //# fail point: base.list-stored
    this.#uploadedBytes += bytes.length;
    const files: readonly SharedFile[] = list.files;
    const totalBytes = files.reduce((sum, file) => sum + file.lengthBytes, 0);
    return {
      base: { kind: list.kind, fileList, totalBytes, fileCount: files.length },
      files: [
        fileList,
        ...files.map(({ id, lengthBytes, sha256: hash }) => ({
          id,
          lengthBytes,
          sha256: hash,
        })),
      ],
      newFileIds: this.#ids,
      uploadedBytes: this.#uploadedBytes,
    };
  }
}
