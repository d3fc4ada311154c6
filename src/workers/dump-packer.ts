// Writes what the arena held at a generation boundary into dump files. Reads the arena while the
// main thread goes on writing to it.
//   P1. Only chunks of generations up to the boundary are read: they are sealed, so nothing in their
//       records changes but word 3, and each value word 3 can have during the pack (0, or a
//       generation above the boundary) means the same: the record was newest at the boundary.
//   P2. So there is one record per key, and keys ascend strictly.
import { createHash } from "node:crypto";
import type { WritableFile } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { dumpRowBytes, encodeDumpFooter, encodeDumpHeader, writeDumpRow } from "../format/dump.ts";
import { FRAME_RAW_BYTES_MAX, encodeFrame } from "../format/frame.ts";
import type { FrameTools } from "../format/frame.ts";
import {
  CHUNK_UNITS,
  CHUNK_UNITS_SHIFT,
  KEY_LENGTH_MASK,
  RECORD_HEADER_BYTES,
  ROW_HEADER_SHIFT,
  RecordFlag,
} from "../format/row-record.ts";
import { TaskStopped } from "./tasks.ts";
import type { DumpChunk, PackedDumpFile, TaskContext, WorkerTasks } from "./tasks.ts";

type Request = WorkerTasks["packDump"]["request"];

/** Rows between two looks at whether to stop. */
const STOP_CHECK_ROWS = 4096;

export async function packDump(
  request: Request,
  context: TaskContext,
): Promise<WorkerTasks["packDump"]["response"]> {
  const arena = new Arena(request.arena);
  const records = arena.recordsAt(request.chunks, request.boundary);
  records.sort((a, b) => arena.compareKeys(a, b));
  const writer = new DumpWriter(request, context, await context.tools());
  try {
    for (let index = 0; index < records.length; index++) {
      if (index % STOP_CHECK_ROWS === 0) context.checkStop();
      const record = records[index]!;
      assert(
        index === 0 || arena.compareKeys(records[index - 1]!, record) < 0,
        "P2: two records of one key at a boundary",
      );
      await writer.add(arena.key(record), arena.header(record), arena.payload(record));
    }
    return { files: await writer.finish(), rowCount: records.length };
  } catch (cause) {
    await writer.discard();
    if (cause instanceof TaskStopped) throw cause;
    throw typedFileError(`write the dump ${request.pathPrefix}`, cause);
  }
}

/** Records are named by the index of their first 32-bit word. */
class Arena {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
  }

  recordsAt(chunks: readonly DumpChunk[], boundary: number): Float64Array {
    const records: number[] = [];
    for (const { chunk, generation, usedUnits } of chunks) {
      if (generation > boundary) continue; // P1
      assert(usedUnits <= CHUNK_UNITS, "a chunk uses more than it has");
      const start = chunk * 2 ** CHUNK_UNITS_SHIFT;
      for (let unit = start; unit < start + usedUnits;) {
        const record = unit * 2;
        const units = this.#words[record + 2]! >>> 16;
        assert(units > 0, "a record has no size");
        const superseded = this.#words[record + 3]!;
        const isNewest = superseded === 0 || superseded > boundary;
        const flags = this.#words[record + 1]!;
        if (isNewest && (flags & RecordFlag.tombstone) === 0) {
          assert((flags & RecordFlag.append) === 0, "a blind append in a memory backend");
          records.push(record);
        }
        unit += units;
      }
    }
    return Float64Array.from(records);
  }

  header(record: number): number {
    return (this.#words[record + 1]! >>> ROW_HEADER_SHIFT) & 0xff;
  }

  key(record: number): Uint8Array {
    const start = record * 4 + RECORD_HEADER_BYTES;
    return this.#bytes.subarray(start, start + (this.#words[record + 1]! & KEY_LENGTH_MASK));
  }

  payload(record: number): Uint8Array {
    const size = this.#words[record + 2]!;
    const keyBytes = ((this.#words[record + 1]! & KEY_LENGTH_MASK) + 7) & ~7;
    const start = record * 4 + RECORD_HEADER_BYTES + keyBytes;
    const end = record * 4 + (size >>> 16) * 8 - (size & 0xffff);
    return this.#bytes.subarray(start, end);
  }

  /** Bytewise. By words as long as they are equal: keys are padded, and share long prefixes. */
  compareKeys(a: number, b: number): number {
    const lengthA = this.#words[a + 1]! & KEY_LENGTH_MASK;
    const lengthB = this.#words[b + 1]! & KEY_LENGTH_MASK;
    const length = Math.min(lengthA, lengthB);
    const wordA = a + RECORD_HEADER_BYTES / 4;
    const wordB = b + RECORD_HEADER_BYTES / 4;
    let word = 0;
    while (word * 4 < length && this.#words[wordA + word] === this.#words[wordB + word]) word++;
    for (let at = word * 4; at < length; at++) {
      const difference = this.#bytes[wordA * 4 + at]! - this.#bytes[wordB * 4 + at]!;
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  }
}

interface OpenFile {
  readonly path: string;
  readonly file: WritableFile;
  readonly hash: ReturnType<typeof createHash>;
  lengthBytes: number;
  frameCount: number;
  rowCount: number;
  rawBytes: number;
}

/** Rows to frames to files. */
class DumpWriter {
  readonly #request: Request;
  readonly #context: TaskContext;
  readonly #tools: FrameTools;
  readonly #frame = new Uint8Array(FRAME_RAW_BYTES_MAX);
  readonly #files: PackedDumpFile[] = [];
  #frameBytes = 0;
  #open: OpenFile | undefined;

  constructor(request: Request, context: TaskContext, tools: FrameTools) {
    this.#request = request;
    this.#context = context;
    this.#tools = tools;
  }

  async add(key: Uint8Array, header: number, payload: Uint8Array): Promise<void> {
    const rowBytes = dumpRowBytes(key.length, payload.length + 1);
    if (this.#frameBytes + rowBytes > this.#frame.length) {
      await this.#endFrame();
      if ((this.#open?.rawBytes ?? 0) >= this.#request.fileRawBytes) await this.#endFile();
    }
    this.#open ??= await this.#beginFile();
    this.#frameBytes = writeDumpRow(this.#frame, this.#frameBytes, key, header, payload);
    this.#open.rowCount++;
  }

  async finish(): Promise<readonly PackedDumpFile[]> {
    await this.#endFrame();
    await this.#endFile();
    return this.#files;
  }

  async discard(): Promise<void> {
    const paths = this.#files.map((file) => file.path);
    if (this.#open !== undefined) {
      paths.push(this.#open.path);
      await this.#open.file.close();
    }
    for (const path of paths) await this.#context.fileSystem.removeTree(path);
  }

  async #beginFile(): Promise<OpenFile> {
    const path = `${this.#request.pathPrefix}${this.#files.length}`;
    if (this.#context.isRepeated) await this.#context.fileSystem.removeTree(path);
    const file = await this.#context.fileSystem.create(path);
    const hash = createHash("sha256");
    const open = { path, file, hash, lengthBytes: 0, frameCount: 0, rowCount: 0, rawBytes: 0 };
    await append(open, encodeDumpHeader());
    return open;
  }

  async #endFrame(): Promise<void> {
    if (this.#open === undefined || this.#frameBytes === 0) return;
    const frame = encodeFrame(this.#frame.subarray(0, this.#frameBytes), this.#tools);
    this.#open.frameCount++;
    this.#open.rawBytes += this.#frameBytes;
    this.#frameBytes = 0;
    this.#context.checkStop();
    await append(this.#open, frame);
  }

  async #endFile(): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    await append(open, encodeDumpFooter(open, this.#tools.checksum));
    await open.file.close();
    this.#files.push({
      path: open.path,
      lengthBytes: open.lengthBytes,
      sha256: open.hash.digest("hex"),
      rowCount: open.rowCount,
    });
    this.#open = undefined;
  }
}

async function append(open: OpenFile, bytes: Uint8Array): Promise<void> {
  open.hash.update(bytes);
  open.lengthBytes += bytes.length;
  await open.file.write(bytes);
}
