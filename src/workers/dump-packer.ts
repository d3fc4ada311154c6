// Writes what the arena held at a generation boundary into dump files. Reads the arena while the
// main thread goes on writing to it.
//   P1. Only chunks of generations up to the boundary are read: they are sealed, so nothing in their
//       records changes but word 3, and each value word 3 can have during the pack (0, or a
//       generation above the boundary) means the same: the record was newest at the boundary.
//   P2. So there is one record per key, and keys ascend strictly.
import { assert } from "../common/assert.ts";
import { typedFileError } from "../environment/typed-error.ts";
import {
  CHUNK_UNITS,
  CHUNK_UNITS_SHIFT,
  KEY_LENGTH_MASK,
  RECORD_HEADER_BYTES,
  ROW_HEADER_SHIFT,
  RecordFlag,
} from "../format/row-record.ts";
import { DumpWriter } from "./dump-writer.ts";
import { TaskStopped } from "./tasks.ts";
import type { DumpChunk, TaskContext, WorkerTasks } from "./tasks.ts";

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
      const key = arena.key(record);
      const payload = arena.payload(record);
      if (!writer.fits(key.length, payload.length + 1)) await writer.makeRoom();
      writer.add(key, arena.header(record), payload);
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
