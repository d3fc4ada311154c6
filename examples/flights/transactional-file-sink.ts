// Exactly-once output into files. Rows go to a pending file; a checkpoint closes it and carries its
// name; when that checkpoint is complete, the file gets its final name. Readers look at final names.
//   T1. What a checkpoint's metadata lists was synced, bytes and name, before the checkpoint began.
//   T2. A pending file gets its final name only after a checkpoint that lists it is complete.
//   T3. Recovery gives final names to what the restored checkpoint lists, and removes every other
//       pending file: its rows will be written again.
//   T4. Before the first file the directory's own name is durable, and that of every parent it made.
// A crash between completion and renaming is what T3's first half repairs; a crash before completion,
// its second half.
import { mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { OUTPUT_ROW_BYTES_MAX, encodeOutputRow } from "./output-row.ts";

const BUFFER_BYTES = 262_144;
/** Buffers waiting for the disk, above which `needsRoom` is true. */
const WAITING_BUFFERS_MAX = 8;

const PENDING_SUFFIX = ".pending";
const finalPattern = /^part-(\d{6,})\.csv$/;

/** A closed file that no completed checkpoint has committed yet. */
export type PendingFile = {
  readonly sequence: number;
  readonly bytes: number;
  readonly rows: number;
};

/** What a checkpoint carries for the sink. Plain data. */
export type SinkMetadata = {
  /** Number of the next file. */
  readonly nextSequence: number;
  readonly pending: readonly PendingFile[];
};

interface OpenFile {
  readonly handle: FileHandle;
  /** The name is durable. */
  readonly named: Promise<void>;
}

export class TransactionalFileSink {
  readonly #directory: string;
  #sequence: number;
  #pending: PendingFile[];
  /** The file of the rows since the last cut; opened with the first buffer. */
  #file: Promise<OpenFile> | undefined = undefined;
  #buffer: Buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #fileBytes = 0;
  #fileRows = 0;
  /** Everything handed to the disk so far; rejects once and for ever. */
  #written: Promise<void> = Promise.resolve();
  #waitingBuffers = 0;

  private constructor(directory: string, metadata: SinkMetadata) {
    this.#directory = directory;
    this.#sequence = metadata.nextSequence;
    this.#pending = [...metadata.pending];
  }

  /** `restored` is the metadata of the restored checkpoint; undefined for a new start. */
  static async open(
    directory: string,
    restored: SinkMetadata | undefined,
  ): Promise<TransactionalFileSink> {
    await makeDirectory(directory);
    const sink = new TransactionalFileSink(directory, restored ?? { nextSequence: 1, pending: [] });
    await sink.#recover();
    return sink;
  }

  /** Buffers one row. */
  write(position: number, route: string, flights: number): void {
    this.#used = encodeOutputRow(this.#buffer, this.#used, position, route, flights);
    this.#fileRows++;
    if (this.#used > BUFFER_BYTES - OUTPUT_ROW_BYTES_MAX) this.#flushBuffer();
  }

  /** The disk does not keep up: await `roomy` before the next row. */
  get needsRoom(): boolean {
    return this.#waitingBuffers >= WAITING_BUFFERS_MAX;
  }

  async roomy(): Promise<void> {
    await this.#written;
  }

  /** Begins to write and sync what is buffered, so that a cut soon after finds little to do. */
  flush(): void {
    this.#flushBuffer();
    const file = this.#file;
    if (file === undefined) return;
    // A part of `#written`, because a sync that failed must not be followed by one that succeeds.
    this.#enqueue(async () => (await file).handle.datasync());
  }

  /**
   * Cuts: rows written before are part of the checkpoint about to begin. Write no row until it
   * resolves, then take the checkpoint with what it returns before writing the next one. (T1)
   */
  async cut(): Promise<SinkMetadata> {
    this.#flushBuffer();
    await this.#written;
    if (this.#file !== undefined) {
      const { handle, named } = await this.#file;
      await Promise.all([handle.datasync(), named]);
      await handle.close();
      const { bytes, rows } = { bytes: this.#fileBytes, rows: this.#fileRows };
      this.#pending.push({ sequence: this.#sequence, bytes, rows });
      this.#sequence++;
      this.#file = undefined;
      this.#fileBytes = 0;
      this.#fileRows = 0;
    }
    return { nextSequence: this.#sequence, pending: [...this.#pending] };
  }

  /** The checkpoint that carries `metadata` is complete: its rows become visible. (T2) */
  async commit(metadata: SinkMetadata): Promise<void> {
    for (const { sequence } of metadata.pending) {
      const path = this.#finalPath(sequence);
      await rename(path + PENDING_SUFFIX, path);
    }
    if (metadata.pending.length > 0) await syncDirectory(this.#directory);
    const committed = new Set(metadata.pending.map((file) => file.sequence));
    this.#pending = this.#pending.filter((file) => !committed.has(file.sequence));
  }

  async close(): Promise<void> {
    await this.#written;
    await (await this.#file)?.handle.close();
    this.#file = undefined;
  }

  /** T3. Runs to the same end however often it is interrupted and repeated. */
  async #recover(): Promise<void> {
    const names = new Set(await readdir(this.#directory));
    for (const name of names) {
      const sequence = Number(finalPattern.exec(name)?.[1] ?? 0);
      if (sequence >= this.#sequence) {
        throw new Error(`${name} was committed, and the restored checkpoint does not know it`);
      }
    }
    for (const { sequence, bytes } of this.#pending) {
      const path = this.#finalPath(sequence);
      const pendingName = fileName(sequence) + PENDING_SUFFIX;
      const isPending = names.delete(pendingName);
      const { size } = await stat(isPending ? path + PENDING_SUFFIX : path);
      if (size !== bytes) throw new Error(`${path} has ${size} bytes instead of ${bytes}`);
      if (isPending) await rename(path + PENDING_SUFFIX, path);
    }
    for (const name of names) {
      if (name.endsWith(PENDING_SUFFIX)) await unlink(join(this.#directory, name));
    }
    await syncDirectory(this.#directory);
    this.#pending = [];
  }

  #flushBuffer(): void {
    if (this.#used === 0) return;
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    this.#used = 0;
    this.#fileBytes += bytes.length;
    this.#waitingBuffers++;
    const file = (this.#file ??= this.#create());
    this.#enqueue(async () => {
      await writeAll((await file).handle, bytes);
      this.#waitingBuffers--;
    });
  }

  /** Runs after everything before it, and not at all once something failed. */
  #enqueue(step: () => Promise<void>): void {
    const before = this.#written;
    this.#written = (async () => {
      await before;
      await step();
    })();
    this.#written.catch(() => undefined); // Whoever awaits `#written` next gets the failure.
  }

  async #create(): Promise<OpenFile> {
    const handle = await open(this.#finalPath(this.#sequence) + PENDING_SUFFIX, "wx");
    const named = syncDirectory(this.#directory);
    named.catch(() => undefined); // `cut` awaits it.
    return { handle, named };
  }

  #finalPath(sequence: number): string {
    return join(this.#directory, fileName(sequence));
  }
}

/** Makes it, if need be, with durable names, the nearest even if it is there: its maker may have been killed. (T4) */
export async function makeDirectory(directory: string): Promise<void> {
  let path = resolve(directory);
  const first = (await mkdir(path, { recursive: true })) ?? path;
  for (; path.length >= first.length; path = dirname(path)) await syncDirectory(dirname(path));
}

function fileName(sequence: number): string {
  return `part-${String(sequence).padStart(6, "0")}.csv`;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at);
    at += bytesWritten;
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
