// Reads and verifies a dump file. Whole, since writers keep a file small enough for that.
import { typedFileError } from "../environment/typed-error.ts";
import { CorruptionError } from "../errors.ts";
import { DUMP_FILE_RAW_BYTES_MAX, readDump } from "../format/dump.ts";
import { sha256Of } from "./file-tasks.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

/** Frames are never longer than their rows, but for headers; refuses absurd lengths early. */
const FILE_BYTES_MAX = DUMP_FILE_RAW_BYTES_MAX + 1_048_576;

export async function unpackDump(
  request: WorkerTasks["unpackDump"]["request"],
  context: TaskContext,
): Promise<WorkerTasks["unpackDump"]["response"]> {
  const bytes = await readVerified(request, context);
  const buffers: Uint8Array[] = [];
  const totals = readDump(bytes, await context.tools(), request.file, (rows) => {
    context.checkStop();
    // A raw frame is a view of the file's bytes: a copy of it can be moved by itself.
    buffers.push(rows.buffer === bytes.buffer ? rows.slice() : rows);
  });
  return { buffers, rowCount: totals.rowCount };
}

/** All bytes of a dump file, whose length and SHA-256 are as they should be. */
export async function readVerified(
  request: WorkerTasks["unpackDump"]["request"],
  context: TaskContext,
): Promise<Uint8Array> {
  if (request.lengthBytes > FILE_BYTES_MAX) {
    throw new CorruptionError("a dump file is longer than one can be", request.file, 0);
  }
  const bytes = await readAll(request.path, request.lengthBytes, context);
  if (bytes.length !== request.lengthBytes) {
    throw new CorruptionError(
      `the file does not have ${request.lengthBytes} bytes`,
      request.file,
      Math.min(bytes.length, request.lengthBytes),
    );
  }
  if (sha256Of(bytes) !== request.sha256) {
    throw new CorruptionError("the SHA-256 of the file does not match", request.file, 0);
  }
  return bytes;
}

async function readAll(
  path: string,
  lengthBytes: number,
  context: TaskContext,
): Promise<Uint8Array> {
  context.checkStop();
  try {
    const file = await context.fileSystem.open(path);
    try {
      // One byte more, so that a longer file is noticed.
      return await file.read(0, lengthBytes + 1);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw typedFileError(`read ${path}`, cause);
  }
}
