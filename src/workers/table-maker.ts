// Makes a table file of the rows of a canonical file, so that a restore writes nothing row by row.
//   K1. The file is verified before anything is made of it, and every row is checked: its kind, its
//       state, and that its key group is that of its key.
//   K2. Rows of other key groups than those asked for are left out.
import { typedFileError } from "../environment/typed-error.ts";
import { CorruptionError } from "../errors.ts";
import { keyGroupOf } from "../common/key-group.ts";
import { readDump } from "../format/dump.ts";
import {
  KEY_TAG_OFFSET,
  PART_OFFSET,
  ROW_KEY_PREFIX_BYTES,
  RowPart,
  STATE_ID_OFFSET,
  hashKeyPayload,
  skipKey,
} from "../format/key-codec.ts";
import { TableBuilder } from "../format/leveldb-table-builder.ts";
import { checkRowHeaderByte } from "../format/row-value.ts";
import { readVerified } from "./dump-unpacker.ts";
import { TaskStopped } from "./tasks.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

type Request = WorkerTasks["makeTable"]["request"];
type Response = WorkerTasks["makeTable"]["response"];

const PIECE_BYTES = 1_048_576;

export async function makeTable(request: Request, context: TaskContext): Promise<Response> {
  const bytes = await readVerified(request, context); // K1
  const tools = await context.tools();
  const { target, file } = request;
  const { fileSystem } = context;
  const pieces = new Pieces();
  const builder = new TableBuilder(request.blockSizeBytes, (bytes) => pieces.add(bytes));
  const checker = new RowChecker(request);
  try {
    if (context.isRepeated) await fileSystem.removeTree(target);
    const output = await fileSystem.create(target);
    let isWhole = false;
    try {
      const visit = (): void => context.checkStop();
      const { rowCount } = readDump(bytes, tools, file, visit, (rows, ...places) => {
        const [keyStart, keyEnd, rowStart] = places;
        if (checker.isWanted(rows, keyStart, keyEnd, rowStart)) builder.add(rows, ...places);
      });
      const bounds = builder.finish();
      for (const piece of pieces.take()) await output.write(piece);
      isWhole = bounds !== undefined;
      return { lengthBytes: builder.lengthBytes, bounds, rowCount };
    } finally {
      await output.close();
      if (!isWhole) await fileSystem.removeTree(target);
    }
  } catch (cause) {
    if (cause instanceof TaskStopped) throw cause;
    throw typedFileError(`make a table of ${file} in ${target}`, cause);
  }
}

class RowChecker {
  readonly #request: Request;
  readonly #stateIds: ReadonlySet<number>;

  constructor(request: Request) {
    this.#request = request;
    this.#stateIds = new Set(request.stateIds);
  }

  /** K1, K2 */
  isWanted(rows: Uint8Array, keyStart: number, keyEnd: number, rowStart: number): boolean {
    const { file, keyGroupCount, storedGroups, keyGroups } = this.#request;
    const key = rows.subarray(keyStart, keyEnd);
    if (key.length <= ROW_KEY_PREFIX_BYTES || key[PART_OFFSET]! > RowPart.node) {
      throw new CorruptionError("a row key has an impossible form", file, 0);
    }
    checkRowHeaderByte(rows[rowStart]!);
    const id =
      ((key[STATE_ID_OFFSET]! << 24) |
        (key[STATE_ID_OFFSET + 1]! << 16) |
        (key[STATE_ID_OFFSET + 2]! << 8) |
        key[STATE_ID_OFFSET + 3]!) >>>
      0;
    if (!this.#stateIds.has(id)) {
      throw new CorruptionError("a row is of a state that the metadata does not name", file, 0);
    }
    const group = key[0]! * 256 + key[1]!;
    const payload = key.subarray(ROW_KEY_PREFIX_BYTES, skipKey(key, KEY_TAG_OFFSET));
    const own = keyGroupOf(hashKeyPayload(key[KEY_TAG_OFFSET]!, payload), keyGroupCount);
    if (own !== group || group < storedGroups.first || group > storedGroups.last) {
      throw new CorruptionError("a row is of another key group than its key", file, 0);
    }
    return group >= keyGroups.first && group <= keyGroups.last;
  }
}

/** Gathers blocks, so that a file is written in large pieces. */
class Pieces {
  #full: Uint8Array[] = [];
  #piece = new Uint8Array(PIECE_BYTES);
  #bytes = 0;

  add(bytes: Uint8Array): void {
    if (this.#bytes + bytes.length > PIECE_BYTES) this.#end();
    if (bytes.length > PIECE_BYTES) {
      this.#full.push(bytes.slice());
      return;
    }
    this.#piece.set(bytes, this.#bytes);
    this.#bytes += bytes.length;
  }

  /** What was gathered, in order. */
  take(): readonly Uint8Array[] {
    this.#end();
    const full = this.#full;
    this.#full = [];
    return full;
  }

  #end(): void {
    if (this.#bytes === 0) return;
    this.#full.push(this.#piece.slice(0, this.#bytes));
    this.#bytes = 0;
  }
}
