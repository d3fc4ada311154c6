// Tasks that read whole files. Piece by piece: a file may be larger than memory.
import { createHash } from "node:crypto";
import { typedFileError } from "../environment/typed-error.ts";
import { CorruptionError } from "../errors.ts";
import { TaskStopped } from "./tasks.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

const PIECE_BYTES = 1_048_576;

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export async function hashFile(
  { path }: WorkerTasks["hashFile"]["request"],
  context: TaskContext,
): Promise<WorkerTasks["hashFile"]["response"]> {
  try {
    const file = await context.fileSystem.open(path);
    try {
      const hash = createHash("sha256");
      let lengthBytes = 0;
      while (lengthBytes < file.sizeBytes) {
        context.checkStop();
        const piece = await file.read(lengthBytes, PIECE_BYTES);
        if (piece.length === 0) break; // Truncated since it was opened: the length tells.
        hash.update(piece);
        lengthBytes += piece.length;
      }
      return { sha256: hash.digest("hex"), lengthBytes };
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw cause instanceof TaskStopped ? cause : typedFileError(`hash ${path}`, cause);
  }
}

export async function verifyFile(
  request: WorkerTasks["verifyFile"]["request"],
  context: TaskContext,
): Promise<WorkerTasks["verifyFile"]["response"]> {
  const { sha256, lengthBytes } = await hashFile(request, context);
  if (lengthBytes !== request.lengthBytes) {
    throw new CorruptionError(
      `the file has ${lengthBytes} bytes instead of ${request.lengthBytes}`,
      request.file,
      Math.min(lengthBytes, request.lengthBytes),
    );
  }
  if (sha256 !== request.sha256) {
    throw new CorruptionError("the SHA-256 of the file does not match", request.file, 0);
  }
  return { lengthBytes };
}
