// One changelog segment that takes batches: a file, or bytes in memory for a storage that takes whole
// objects only.
//   W1. After a write or a sync that failed nothing more is written: Linux may have dropped the pages
//       and let the next sync succeed without them.
//   W2. The hash is of all bytes from the first on, so that each synced length has its own.
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import type { FileSystem, WritableFile } from "../api/environment.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { StorageError } from "../errors.ts";
import { SEGMENT_HEADER_BYTES, encodeSegmentHeader } from "../format/changelog-segment.ts";
import { concatenate } from "../format/frame-sequence.ts";

export class SegmentWriter {
  readonly #file: WritableFile | undefined;
  /** Of a segment in memory. */
  #parts: Uint8Array[] = [];
  readonly #hash = createHash("sha256");
  #lengthBytes = SEGMENT_HEADER_BYTES;
  #unsyncedBytes = 0;
  #isPoisoned = false;

  private constructor(file: WritableFile | undefined) {
    this.#file = file;
  }

  /** The name is durable when the promise resolves; without a path the segment is in memory. */
  static async create(fileSystem: FileSystem, path: string | undefined): Promise<SegmentWriter> {
    const header = encodeSegmentHeader();
    try {
      const file = path === undefined ? undefined : await fileSystem.create(path);
      const writer = new SegmentWriter(file);
      writer.#hash.update(header);
      if (file === undefined) writer.#parts.push(header);
      else await writer.#begin(file, header, fileSystem);
      return writer;
    } catch (cause) {
      throw typedFileError(`create the changelog segment ${path}`, cause);
    }
  }

  async #begin(file: WritableFile, header: Uint8Array, fileSystem: FileSystem): Promise<void> {
    try {
      await file.write(header); //# fail point: segment.header-written
      await fileSystem.syncDirectory(dirname(file.path)); //# fail point: segment.directory-synced
    } catch (cause) {
      await file.close();
      throw cause;
    }
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** The bytes may change once the promise has resolved. */
  async write(pieces: readonly Uint8Array[]): Promise<void> {
    await this.#orPoisoned("write", async () => {
      for (const piece of pieces) {
        this.#hash.update(piece); // W2
        this.#lengthBytes += piece.length;
        this.#unsyncedBytes += piece.length;
        if (this.#file === undefined) this.#parts.push(piece.slice());
        else await this.#file.write(piece); //# fail point: segment.piece-written
      }
    });
  }

  /** SHA-256 of everything written, which is durable; or, in memory, all of it. */
  async sync(): Promise<{ readonly sha256: string; readonly bytes: Uint8Array | undefined }> {
    await this.#syncWritten(); //# fail point: segment.synced
    const sha256 = this.#hash.copy().digest("hex");
    return { sha256, bytes: this.#file === undefined ? concatenate(this.#parts) : undefined };
  }

  /** Syncs what was written if that is so many bytes: nobody counts on it yet. */
  async syncAhead(bytesMin: number): Promise<void> {
    if (this.#unsyncedBytes < bytesMin) return;
    await this.#syncWritten(); //# fail point: segment.synced-ahead
  }

  async #syncWritten(): Promise<void> {
    await this.#orPoisoned("sync", async () => this.#file?.syncData());
    this.#unsyncedBytes = 0;
  }

  async #orPoisoned(action: string, work: () => Promise<void>): Promise<void> {
    const path = this.#file?.path ?? "in memory";
    if (this.#isPoisoned) throw new StorageError(`the changelog segment ${path} failed before`);
    try {
      await work();
    } catch (cause) {
      this.#isPoisoned = true; // W1
      throw typedFileError(`${action} the changelog segment ${path}`, cause);
    }
  }

  async close(): Promise<void> {
    this.#parts = [];
    await this.#file?.close();
  }
}
