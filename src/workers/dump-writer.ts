// Rows to frames to dump files, in the order in which they come: ascending.
//   W1. A frame is written once the next row does not fit it; a file ends between two frames.
//   W2. Row by row nothing is awaited: the caller asks `fits`, and awaits `makeRoom` if not.
import { createHash } from "node:crypto";
import type { WritableFile } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import {
  copyDumpRow,
  dumpRowBytes,
  encodeDumpFooter,
  encodeDumpHeader,
  writeDumpRow,
} from "../format/dump.ts";
import { FRAME_RAW_BYTES_MAX, encodeFrame } from "../format/frame.ts";
import type { FrameTools } from "../format/frame.ts";
import type { PackedDumpFile, TaskContext } from "./tasks.ts";

/** Where the files go. */
export interface DumpFiles {
  readonly pathPrefix: string;
  /** Raw bytes after which a new file is begun. */
  readonly fileRawBytes: number;
}

interface OpenFile {
  readonly path: string;
  readonly file: WritableFile;
  readonly hash: ReturnType<typeof createHash>;
  readonly firstKeyGroup: number;
  lengthBytes: number;
  frameCount: number;
  rowCount: number;
  rawBytes: number;
}

export class DumpWriter {
  readonly #target: DumpFiles;
  readonly #context: TaskContext;
  readonly #tools: FrameTools;
  readonly #frame = new Uint8Array(FRAME_RAW_BYTES_MAX);
  readonly #files: PackedDumpFile[] = [];
  #frameBytes = 0;
  #frameRows = 0;
  #frameFirstGroup = 0;
  #lastGroup = 0;
  #open: OpenFile | undefined;

  constructor(target: DumpFiles, context: TaskContext, tools: FrameTools) {
    this.#target = target;
    this.#context = context;
    this.#tools = tools;
  }

  fits(keyBytes: number, rowBytes: number): boolean {
    return this.#frameBytes + dumpRowBytes(keyBytes, rowBytes) <= this.#frame.length;
  }

  /** Writes what was gathered, so that any row fits. */
  async makeRoom(): Promise<void> {
    await this.#endFrame();
    if ((this.#open?.rawBytes ?? 0) >= this.#target.fileRawBytes) await this.#endFile();
  }

  /** A row of `header` byte and payload. It fits. */
  add(key: Uint8Array, header: number, payload: Uint8Array): void {
    this.#count(key);
    this.#frameBytes = writeDumpRow(this.#frame, this.#frameBytes, key, header, payload);
  }

  /** A row as it is stored, as pieces of larger arrays. It fits. */
  copy(key: Uint8Array, keyBytes: number, source: Uint8Array, start: number, end: number): void {
    this.#count(key);
    const at = this.#frameBytes;
    this.#frameBytes = copyDumpRow(this.#frame, at, key, keyBytes, source, start, end);
  }

  #count(key: Uint8Array): void {
    const group = key[0]! * 256 + key[1]!;
    if (this.#frameRows++ === 0) this.#frameFirstGroup = group;
    this.#lastGroup = group;
  }

  async finish(): Promise<readonly PackedDumpFile[]> {
    await this.#endFrame();
    await this.#endFile();
    return this.#files;
  }

  /** Removes every file. */
  async discard(): Promise<void> {
    const paths = this.#files.map((file) => file.path);
    if (this.#open !== undefined) {
      paths.push(this.#open.path);
      await this.#open.file.close();
    }
    for (const path of paths) await this.#context.fileSystem.removeTree(path);
  }

  async #beginFile(): Promise<OpenFile> {
    const path = `${this.#target.pathPrefix}${this.#files.length}`;
    if (this.#context.isRepeated) await this.#context.fileSystem.removeTree(path);
    const open: OpenFile = {
      path,
      file: await this.#context.fileSystem.create(path),
      hash: createHash("sha256"),
      firstKeyGroup: this.#frameFirstGroup,
      lengthBytes: 0,
      frameCount: 0,
      rowCount: 0,
      rawBytes: 0,
    };
    this.#open = open; // From here on `discard` removes it.
    await append(open, encodeDumpHeader());
    return open;
  }

  async #endFrame(): Promise<void> {
    if (this.#frameBytes === 0) return;
    const open = this.#open ?? (await this.#beginFile());
    const frame = encodeFrame(this.#frame.subarray(0, this.#frameBytes), this.#tools);
    open.frameCount++;
    open.rowCount += this.#frameRows;
    open.rawBytes += this.#frameBytes;
    this.#frameBytes = 0;
    this.#frameRows = 0;
    this.#context.checkStop();
    await append(open, frame);
  }

  async #endFile(): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    assert(this.#frameBytes === 0, "W1: a file ends between two frames");
    await append(open, encodeDumpFooter(open, this.#tools.checksum));
    await open.file.close();
    this.#files.push({
      path: open.path,
      lengthBytes: open.lengthBytes,
      sha256: open.hash.digest("hex"),
      rowCount: open.rowCount,
      firstKeyGroup: open.firstKeyGroup,
      lastKeyGroup: this.#lastGroup,
    });
    this.#open = undefined;
  }
}

async function append(open: OpenFile, bytes: Uint8Array): Promise<void> {
  open.hash.update(bytes);
  open.lengthBytes += bytes.length;
  await open.file.write(bytes);
}
