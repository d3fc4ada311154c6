// Tasks that read whole files. Piece by piece: a file may be larger than memory.
import { createHash } from "node:crypto";
import { typedFileError } from "../environment/typed-error.ts";
import type { ReadableFile } from "../api/environment.ts";
import { CorruptionError } from "../errors.ts";
import { TaskStopped } from "./tasks.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

const PIECE_BYTES = 524_288;

/** Arrays to read into, kept between tasks: a fresh one a piece would be garbage by the gigabyte. */
const spare: Uint8Array[] = [];

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
      return await hashPieces(file, context);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw cause instanceof TaskStopped ? cause : typedFileError(`hash ${path}`, cause);
  }
}

/** Reads the next piece while one is hashed. */
async function hashPieces(
  file: ReadableFile,
  context: TaskContext,
): Promise<WorkerTasks["hashFile"]["response"]> {
  const hash = createHash("sha256");
  let lengthBytes = 0;
  let piece = spare.pop() ?? new Uint8Array(PIECE_BYTES);
  let other = spare.pop() ?? new Uint8Array(PIECE_BYTES);
  let reading = file.read(0, PIECE_BYTES, piece);
  try {
    while (lengthBytes < file.sizeBytes) {
      const bytes = await reading;
      context.checkStop();
      if (bytes.length === 0) break; // Truncated since it was opened: the length tells.
      lengthBytes += bytes.length;
      [piece, other] = [other, piece];
      if (lengthBytes < file.sizeBytes) reading = file.read(lengthBytes, PIECE_BYTES, piece);
      hash.update(bytes);
    }
    return { sha256: hash.digest("hex"), lengthBytes };
  } finally {
    await reading.catch(() => undefined); // Thrown above; until it ends it writes to an array.
    spare.push(piece, other);
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
