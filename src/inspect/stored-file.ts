// One stored file, read in ranges through the storage: no descriptor stays open, nothing is fetched to
// a local directory, and object stores work as directories do.
//   F1. The length is compared with the recorded one before the first byte is used. A changelog segment may
//       be longer: what is behind belongs to later checkpoints.
//   F2. A file that is not there is CorruptionError here; whoever knows the checkpoint finds out
//       whether it was deleted meanwhile (checkpoint-view.ts).
import { createHash } from "node:crypto";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { ReadableFile } from "../api/environment.ts";
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { fileName } from "../checkpoint/layout.ts";
import { CorruptionError } from "../errors.ts";

/** Read ahead by sequential readers: from the first to the last of these, doubling. */
const AHEAD_BYTES_MIN = 16_384;
const AHEAD_BYTES_MAX = 262_144;
const HASH_PIECE_BYTES = 1_048_576;

export class StoredFile {
  readonly name: string;
  readonly lengthBytes: number;
  readonly #storage: CheckpointStorage;
  readonly #file: SharedFile;
  readonly #isSegment: boolean;
  #checked: Promise<void> | undefined = undefined;
  #verified: Promise<void> | undefined = undefined;

  constructor(storage: CheckpointStorage, file: SharedFile, isSegment: boolean = false) {
    this.#isSegment = isSegment;
    this.#storage = storage;
    this.#file = file;
    this.name = fileName(file.id);
    this.lengthBytes = file.lengthBytes;
  }

  /** Exactly these bytes. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    await this.requireLength();
    const bytes = await this.#storage.readRange(this.name, offset, length);
    if (bytes === undefined) throw this.#missing();
    if (bytes.length !== length) {
      throw new CorruptionError("the stored file is cut", this.name, offset + bytes.length);
    }
    // A storage may give Buffers, whose `slice` is no copy: decoders rely on one.
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** F1; once. */
  async requireLength(): Promise<void> {
    this.#checked ??= this.#checkLength();
    await this.#checked;
  }

  /** Compares the SHA-256 of all bytes with the recorded one; once. */
  async verify(): Promise<void> {
    this.#verified ??= this.#hash();
    await this.#verified;
  }

  async #hash(): Promise<void> {
    const hash = createHash("sha256");
    for (let at = 0; at < this.lengthBytes; at += HASH_PIECE_BYTES) {
      hash.update(await this.read(at, Math.min(HASH_PIECE_BYTES, this.lengthBytes - at)));
    }
    if (this.lengthBytes === 0) await this.#checkLength();
    if (hash.digest("hex") === this.#file.sha256) return;
    throw new CorruptionError("the SHA-256 of the file does not match", this.name, 0);
  }

  async #checkLength(): Promise<void> {
    const size = await this.#storage.size(this.name);
    if (size === undefined) throw this.#missing();
    if (size === this.lengthBytes || (this.#isSegment && size > this.lengthBytes)) return; // F1
    throw new CorruptionError(
      `the stored file has ${size} bytes instead of ${this.lengthBytes}`,
      this.name,
      Math.min(size, this.lengthBytes),
    );
  }

  #missing(): CorruptionError {
    const message = "the checkpoint references a file that does not exist";
    return new CorruptionError(message, this.name, 0); // F2
  }
}

/** A stored file as tasks read local ones. */
export function readableOf(stored: StoredFile): ReadableFile {
  const { name, lengthBytes } = stored;
  return {
    path: name,
    sizeBytes: lengthBytes,
    read: (offset, length) =>
      stored.read(offset, Math.max(0, Math.min(length, lengthBytes - offset))),
    close: () => Promise.resolve(),
  };
}

/** Reads a file piece by piece where the reads follow each other, and exactly where they do not. */
export class PieceReader {
  readonly #file: StoredFile;
  #piece: Uint8Array = new Uint8Array(0);
  #start = 0;
  #aheadBytes = AHEAD_BYTES_MIN / 2;

  constructor(file: StoredFile) {
    this.#file = file;
  }

  /** A view; it stays valid. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const from = offset - this.#start;
    if (from >= 0 && from + length <= this.#piece.length) {
      return this.#piece.subarray(from, from + length);
    }
    const isNext = from > 0 && from <= this.#piece.length;
    this.#aheadBytes = isNext ? Math.min(this.#aheadBytes * 2, AHEAD_BYTES_MAX) : 0;
    const rest = this.#file.lengthBytes - offset;
    // What reaches beyond the end is asked for as it is, so that the file refuses it.
    const wanted = Math.max(length, Math.min(this.#aheadBytes, rest));
    this.#piece = await this.#file.read(offset, wanted);
    this.#start = offset;
    if (this.#aheadBytes === 0) this.#aheadBytes = AHEAD_BYTES_MIN / 2;
    return this.#piece.subarray(0, length);
  }
}
