// Rows in the order of their keys that are written once and then read by ranges: compressed in memory, or
// in a file. Memory holds a few frames of it decoded, and the first key of each frame.
import { join } from "node:path";
import type { FileSystem, WritableFile } from "../api/environment.ts";
import {
  FRAME_RAW_BYTES_MAX,
  type FrameTools,
  decodeFrame,
  readFrameHeader,
} from "../format/frame.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { FrameRows } from "./frame-rows.ts";
import { RunWriter } from "./row-run.ts";
import type { Row, RowRange } from "./row-source.ts";
import type { Scratch } from "./scratch.ts";

const BATCH_ROWS = 512;
/** Decoded frames that are kept: those of a root and a node cursor, for two readers. */
const FRAMES_KEPT = 4;

interface RunFrame {
  readonly firstKey: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

/** Takes rows, ascending; `finish` gives the run. */
export class SortedRunWriter {
  readonly #tools: FrameTools;
  readonly #writer: RunWriter;
  readonly #frames: RunFrame[] = [];
  readonly #pieces: Uint8Array[] = [];
  readonly #file: WritableFile | undefined;
  readonly #fileSystem: FileSystem;
  #writtenBytes = 0;
  #firstKey: Uint8Array | undefined = undefined;

  private constructor(tools: FrameTools, fileSystem: FileSystem, file: WritableFile | undefined) {
    this.#tools = tools;
    this.#fileSystem = fileSystem;
    this.#file = file;
    this.#writer = new RunWriter({ write: (bytes) => this.#add(bytes) }, tools);
  }

  /** In memory, unless the rows are too many. */
  static async open(
    tools: FrameTools,
    scratch: Scratch,
    isLarge: boolean,
  ): Promise<SortedRunWriter> {
    const { fileSystem, path } = scratch;
    if (!isLarge) return new SortedRunWriter(tools, fileSystem, undefined);
    await scratch.make();
    const file = await fileSystem.create(join(path, scratch.newName()));
    return new SortedRunWriter(tools, fileSystem, file);
  }

  fits(keyBytes: number, rowBytes: number): boolean {
    return this.#writer.fits(keyBytes, rowBytes);
  }

  makeRoom(): Promise<void> {
    return this.#writer.makeRoom();
  }

  /** It fits. */
  copy(key: Uint8Array, keyBytes: number, row: Uint8Array): void {
    this.#firstKey ??= new Uint8Array(key.subarray(0, keyBytes)); // A Buffer's `slice` is a view.
    this.#writer.copy(key, keyBytes, row, 0, row.length);
  }

  async put(key: Uint8Array, row: Uint8Array): Promise<void> {
    if (!this.fits(key.length, row.length)) await this.makeRoom();
    this.copy(key, key.length, row);
  }

  /** A whole frame. */
  async #add(bytes: Uint8Array): Promise<void> {
    this.#frames.push({
      firstKey: this.#firstKey!,
      offset: this.#writtenBytes,
      length: bytes.length,
    });
    this.#firstKey = undefined;
    this.#writtenBytes += bytes.length;
    if (this.#file === undefined) this.#pieces.push(bytes);
    else await this.#file.write(bytes);
  }

  async finish(): Promise<SortedRun> {
    await this.#writer.makeRoom();
    await this.#file?.close();
    const path = this.#file?.path;
    const read = async (index: number): Promise<Uint8Array> => {
      if (path === undefined) return this.#pieces[index]!;
      const { offset, length } = this.#frames[index]!;
      const opened = await this.#fileSystem.open(path); // Nothing stays open between two calls.
      try {
        return await opened.read(offset, length);
      } finally {
        await opened.close();
      }
    };
    return new SortedRun(this.#tools, this.#frames, read, path ?? "memory");
  }

  /** After a failure. */
  async discard(): Promise<void> {
    await this.#file?.close();
  }
}

export class SortedRun {
  readonly #tools: FrameTools;
  readonly #frames: readonly RunFrame[];
  readonly #read: (index: number) => Promise<Uint8Array>;
  readonly #name: string;
  readonly #decoded = new BoundedCache<FrameRows>(FRAMES_KEPT * FRAME_RAW_BYTES_MAX);

  constructor(
    tools: FrameTools,
    frames: readonly RunFrame[],
    read: (index: number) => Promise<Uint8Array>,
    name: string,
  ) {
    this.#tools = tools;
    this.#frames = frames;
    this.#read = read;
    this.#name = name;
  }

  /** Rows of the range, ascending, in batches of which none is empty. */
  async *rows({ gte, lt }: RowRange): AsyncGenerator<readonly Row[], void, void> {
    for (let index = this.#firstFrame(gte); index < this.#frames.length; index++) {
      const { firstKey } = this.#frames[index]!;
      if (lt !== undefined && Buffer.compare(firstKey, lt) >= 0) return;
      const rows = await this.#frame(index);
      const end = lt === undefined ? rows.count : rows.lowerBound(lt);
      for (let at = rows.lowerBound(gte); at < end; at += BATCH_ROWS) {
        yield rows.slice(at, Math.min(end, at + BATCH_ROWS));
      }
      if (end < rows.count) return;
    }
  }

  /** Neighbouring ranges are asked for one after the other: a few decoded frames are kept. */
  #frame(index: number): Promise<FrameRows> {
    const load = async (): Promise<FrameRows> => {
      const frame = await this.#read(index);
      const source = { file: this.#name, fileOffset: 0, rawBytesMax: FRAME_RAW_BYTES_MAX };
      const header = readFrameHeader(frame, 0, frame.length, source);
      const raw = decodeFrame(frame, 0, header, this.#tools, source);
      return new FrameRows(raw, this.#name, this.#frames[index]!.offset);
    };
    return this.#decoded.get(String(index), load, () => FRAME_RAW_BYTES_MAX);
  }

  /** The last frame that does not begin above the key; the first one if all do. */
  #firstFrame(key: Uint8Array): number {
    let [low, high] = [0, this.#frames.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (Buffer.compare(this.#frames[middle]!.firstKey, key) > 0) high = middle - 1;
      else low = middle;
    }
    return low;
  }
}
