// Checks what LevelDB reads of a table before any row: length, footer, index and filter. Page:
// docs/formats/leveldb-table.md. Data blocks are left to whoever verifies the whole file.
import type { ReadableFile } from "../api/environment.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { CorruptionError } from "../errors.ts";
import {
  BLOCK_TRAILER_BYTES,
  type BlockHandle,
  TABLE_FOOTER_BYTES,
  checkBlock,
  decodeBlock,
  readFooter,
  readMetaindex,
} from "../format/leveldb-table.ts";
import { TaskStopped } from "./tasks.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

/** Most often everything after the data blocks; longer ends take a second read. */
const END_BYTES = 98_304;

export async function checkTables(
  { files }: WorkerTasks["checkTables"]["request"],
  context: TaskContext,
): Promise<WorkerTasks["checkTables"]["response"]> {
  for (const { path, lengthBytes, file } of files) {
    context.checkStop();
    try {
      const table = await context.fileSystem.open(path);
      try {
        await checkTable(table, lengthBytes, file);
      } finally {
        await table.close();
      }
    } catch (cause) {
      throw cause instanceof TaskStopped ? cause : typedFileError(`read ${path}`, cause);
    }
  }
  return { files: files.length };
}

async function checkTable(table: ReadableFile, lengthBytes: number, file: string): Promise<void> {
  const { sizeBytes } = table;
  if (sizeBytes !== lengthBytes) {
    const at = Math.min(sizeBytes, lengthBytes);
    throw new CorruptionError(
      `the file has ${sizeBytes} bytes instead of ${lengthBytes}`,
      file,
      at,
    );
  }
  const endAt = Math.max(0, sizeBytes - END_BYTES);
  const end = await table.read(endAt, sizeBytes - endAt);
  const stored = async (handle: BlockHandle): Promise<Uint8Array> => {
    const length = handle.length + BLOCK_TRAILER_BYTES;
    const at = handle.offset - endAt;
    if (at >= 0) return end.subarray(at, at + length);
    return table.read(handle.offset, length);
  };
  const footer = end.subarray(Math.max(0, end.length - TABLE_FOOTER_BYTES));
  const { index, metaindex } = readFooter(footer, sizeBytes, file);
  checkBlock(await stored(index), index, file);
  const content = decodeBlock(await stored(metaindex), metaindex, file);
  for (const filter of readMetaindex(content, metaindex, file)) {
    checkBlock(await stored(filter), filter, file);
  }
}
