// Checks what LevelDB reads of a table before any row: length, footer, index and filter. Page:
// docs/formats/leveldb-table.md#walking. Data blocks are left to whoever verifies the whole file.
import type { ReadableFile } from "../api/environment.ts";
import { reading, requireLength } from "./file-tasks.ts";
import { TABLE_END_BYTES, checkTableEnd } from "./table-verifier.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

type Request = WorkerTasks["checkTables"]["request"];

export async function checkTables(
  { files }: Request,
  context: TaskContext,
): Promise<WorkerTasks["checkTables"]["response"]> {
  const scratch = new Uint8Array(TABLE_END_BYTES);
  let expected = TABLE_END_BYTES; // Ends of tables of one database are of similar lengths.
  for (const { path, lengthBytes, file } of files) {
    context.checkStop();
    const check = async (table: ReadableFile): Promise<void> => {
      requireLength(table.sizeBytes, lengthBytes, file);
      const endBytes = await checkTableEnd(table, scratch.subarray(0, expected), file);
      expected = Math.min(TABLE_END_BYTES, Math.ceil(endBytes * 1.25));
    };
    await reading(path, context, check, "read");
  }
  return { files: files.length };
}
