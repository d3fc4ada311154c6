// The floor of a checkpoint: its changes, uncompressed, appended to one file and synced; then 4 KiB
// of metadata in a new file, synced, and its name. By synchronous calls: nothing is between them.
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fillBytes } from "../support/sequences.ts";

const metadataBytes = 4096;
/** As long as a segment of the changelog. */
const fileBytesMax = 64 * 1_048_576;

export class DurableFloor {
  readonly #directory: string;
  readonly #names: number;
  readonly #metadata = new Uint8Array(metadataBytes);
  #bytes = new Uint8Array(0);
  #file: number;
  #fileBytes = 0;
  #files = 0;
  #writes = 0;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory);
    this.#names = openSync(directory, "r");
    this.#file = this.#create();
    fillBytes(this.#metadata, 1, 1);
  }

  /** Milliseconds until so many bytes, and metadata that names them, are durable. */
  write(byteCount: number): number {
    this.#prepare(byteCount);
    const start = performance.now();
    writeAll(this.#file, this.#bytes);
    fdatasyncSync(this.#file);
    const metadata = openSync(this.#metadataPath(this.#writes), "wx");
    writeAll(metadata, this.#metadata);
    fsyncSync(metadata);
    closeSync(metadata);
    fsyncSync(this.#names);
    const milliseconds = performance.now() - start;
    this.#fileBytes += byteCount;
    // As with checkpoints, the newest two are kept.
    if (this.#writes >= 2) rmSync(this.#metadataPath(this.#writes - 2));
    this.#writes++;
    return milliseconds;
  }

  /** New bytes, and room in the file: not part of the time. */
  #prepare(byteCount: number): void {
    if (this.#bytes.length !== byteCount) this.#bytes = new Uint8Array(byteCount);
    fillBytes(this.#bytes.subarray(0, byteCount & ~3), this.#writes, 1);
    if (this.#fileBytes + byteCount <= fileBytesMax) return;
    closeSync(this.#file);
    rmSync(this.#filePath(this.#files - 1));
    this.#file = this.#create();
  }

  #create(): number {
    const file = openSync(this.#filePath(this.#files++), "wx");
    fsyncSync(this.#names);
    this.#fileBytes = 0;
    return file;
  }

  #filePath(number: number): string {
    return join(this.#directory, `data-${number}`);
  }

  #metadataPath(number: number): string {
    return join(this.#directory, `metadata-${number}`);
  }

  close(): void {
    closeSync(this.#file);
    closeSync(this.#names);
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
