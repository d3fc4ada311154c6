// Tasks that read whole files. Piece by piece: a file may be larger than memory.
import { createHash } from "node:crypto";
import { typedFileError } from "../environment/typed-error.ts";
import type { ReadableFile } from "../api/environment.ts";
import { CorruptionError } from "../errors.ts";
import { type TableVerifier, openTableVerifier } from "./table-verifier.ts";
import { TaskStopped } from "./tasks.ts";
import type { TaskContext, WorkerTasks } from "./tasks.ts";

const PIECE_BYTES = 1_048_576;

/** Arrays to read into, kept between tasks: a fresh one a piece would be garbage by the gigabyte. */
const spare: Uint8Array[] = [];

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export async function hashFile(
  { path }: WorkerTasks["hashFile"]["request"],
  context: TaskContext,
): Promise<WorkerTasks["hashFile"]["response"]> {
  return reading(path, context, (file) => hashPieces(file, context));
}

export async function verifyFile(
  request: WorkerTasks["verifyFile"]["request"],
  context: TaskContext,
): Promise<WorkerTasks["verifyFile"]["response"]> {
  return reading(request.path, context, (opened) => verifyOpened(opened, request, context));
}

/** `action` is for errors: what is done with the path. */
export async function reading<T>(
  path: string,
  context: TaskContext,
  work: (file: ReadableFile) => Promise<T>,
  action: string = "hash",
): Promise<T> {
  try {
    const file = await context.shortCalls.open(path);
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw cause instanceof TaskStopped ? cause : typedFileError(`${action} ${path}`, cause);
  }
}

/** As the task, of a file that is open. */
export async function verifyOpened(
  opened: ReadableFile,
  request: Omit<WorkerTasks["verifyFile"]["request"], "path">,
  context: Pick<TaskContext, "checkStop">,
): Promise<WorkerTasks["verifyFile"]["response"]> {
  const { file, table } = request;
  requireLength(opened.sizeBytes, request.lengthBytes, file);
  const content = new ContentCheck();
  if (table !== undefined) {
    await content.begin(() => openTableVerifier(opened, table, file));
  }
  const { sha256, lengthBytes } = await hashPieces(opened, context, content); //# fail point: worker.hashed
  requireLength(lengthBytes, request.lengthBytes, file);
  if (sha256 !== request.sha256) {
    throw new CorruptionError("the SHA-256 of the file does not match", file, 0);
  }
  content.finish();
  return { lengthBytes };
}

export function requireLength(found: number, expected: number, file: string): void {
  if (found === expected) return;
  throw new CorruptionError(
    `the file has ${found} bytes instead of ${expected}`,
    file,
    Math.min(found, expected),
  );
}

/** Looks into a table as it is hashed, and keeps what is wrong with it until the hash is known. */
class ContentCheck {
  #verifier: TableVerifier | undefined = undefined;
  #fault: { readonly cause: unknown } | undefined = undefined;

  async begin(make: () => Promise<TableVerifier>): Promise<void> {
    try {
      this.#verifier = await make();
    } catch (cause) {
      this.#fault = { cause };
    }
  }

  add(bytes: Uint8Array, at: number): void {
    if (this.#fault !== undefined) return;
    try {
      this.#verifier?.add(bytes, at);
    } catch (cause) {
      this.#fault = { cause };
    }
  }

  finish(): void {
    if (this.#fault !== undefined) throw this.#fault.cause;
    this.#verifier?.finish();
  }
}

/** The kernel reads ahead: a trip to another thread for each piece would take longer than the copy. */
async function hashPieces(
  file: ReadableFile,
  context: Pick<TaskContext, "checkStop">,
  content?: ContentCheck,
): Promise<WorkerTasks["hashFile"]["response"]> {
  const hash = createHash("sha256");
  let lengthBytes = 0;
  const piece = spare.pop() ?? new Uint8Array(PIECE_BYTES);
  try {
    while (lengthBytes < file.sizeBytes) {
      const bytes = await file.read(lengthBytes, PIECE_BYTES, piece);
      context.checkStop();
      if (bytes.length === 0) break; // Truncated since it was opened: the length tells.
      hash.update(bytes);
      content?.add(bytes, lengthBytes);
      lengthBytes += bytes.length;
    }
    return { sha256: hash.digest("hex"), lengthBytes };
  } finally {
    spare.push(piece);
  }
}
