// Sorted rows on their way through a local file: a sequence of frames of rows, as in a dump. Lives as
// long as the sort that made it, so it has no version; each frame has its checksum.
import type { ReadableFile, WritableFile } from "../api/environment.ts";
import { copyDumpRow, dumpRowBytes, readDumpRows } from "../format/dump.ts";
import {
  FRAME_HEADER_BYTES,
  FRAME_RAW_BYTES_MAX,
  type FrameTools,
  decodeFrame,
  encodeFrame,
  readFrameHeader,
} from "../format/frame.ts";
import type { Row } from "./row-source.ts";
import type { RowTarget } from "./row-target.ts";

export class RunWriter implements RowTarget {
  readonly #file: Pick<WritableFile, "write">;
  readonly #tools: FrameTools;
  readonly #frame = new Uint8Array(FRAME_RAW_BYTES_MAX);
  #used = 0;

  constructor(file: Pick<WritableFile, "write">, tools: FrameTools) {
    this.#file = file;
    this.#tools = tools;
  }

  fits(keyBytes: number, rowBytes: number): boolean {
    return this.#used + dumpRowBytes(keyBytes, rowBytes) <= this.#frame.length;
  }

  async makeRoom(): Promise<void> {
    if (this.#used === 0) return;
    const frame = encodeFrame(this.#frame.subarray(0, this.#used), this.#tools);
    this.#used = 0;
    await this.#file.write(frame);
  }

  copy(key: Uint8Array, keyBytes: number, source: Uint8Array, start: number, end: number): void {
    this.#used = copyDumpRow(this.#frame, this.#used, key, keyBytes, source, start, end);
  }
}

/** Goes through a run from its start. Holds one frame. */
export class RunReader {
  /** Undefined where a frame has ended: `fill` then. */
  current: Row | undefined = undefined;
  readonly #file: ReadableFile;
  readonly #tools: FrameTools;
  #rows: Row[] = [];
  #at = 0;
  #offset = 0;

  constructor(file: ReadableFile, tools: FrameTools) {
    this.#file = file;
    this.#tools = tools;
  }

  advance(): void {
    this.current = this.#rows[++this.#at];
  }

  /** Reads the next frame; false at the end. */
  async fill(): Promise<boolean> {
    const { path, sizeBytes } = this.#file;
    if (this.#offset === sizeBytes) return false;
    const source = { file: path, fileOffset: this.#offset, rawBytesMax: FRAME_RAW_BYTES_MAX };
    const head = await this.#file.read(this.#offset, FRAME_HEADER_BYTES);
    const header = readFrameHeader(head, 0, sizeBytes - this.#offset, source);
    const frame = await this.#file.read(this.#offset, FRAME_HEADER_BYTES + header.storedLength);
    const raw = decodeFrame(frame, 0, header, this.#tools, source);
    this.#rows = [];
    readDumpRows(raw, path, this.#offset, (key, row) => this.#rows.push({ key, row }));
    this.#offset += frame.length;
    this.#at = 0;
    this.current = this.#rows[0];
    return true;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
