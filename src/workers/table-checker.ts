// Checks what LevelDB reads of a table before any row: length, footer, index and filter. Page:
// docs/formats/leveldb-table.md#walking. Data blocks are left to whoever verifies the whole file.
import type { ReadableFile } from "../api/environment.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { requireLength } from "./file-tasks.ts";
import { checkTableEnd } from "./table-verifier.ts";
import { TaskStopped } from "./tasks.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

type Request = WorkerTasks["checkTables"]["request"];

export async function checkTables(
  { files }: Request,
  context: TaskContext,
): Promise<WorkerTasks["checkTables"]["response"]> {
  for (const file of files) {
    context.checkStop();
    try {
      const table = await context.fileSystem.open(file.path);
      try {
        await checkTable(table, file);
      } finally {
        await table.close();
      }
    } catch (cause) {
      throw cause instanceof TaskStopped ? cause : typedFileError(`read ${file.path}`, cause);
    }
  }
  return { files: files.length };
}

async function checkTable(
  table: ReadableFile,
  { lengthBytes, largest, file }: Request["files"][number],
): Promise<void> {
  requireLength(table.sizeBytes, lengthBytes, file);
  await checkTableEnd(table, largest, file);
}
