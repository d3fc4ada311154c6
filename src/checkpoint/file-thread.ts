// The file thread: one a process that has a changelog, for the small files of all its storages. Creating
// metadata is a dozen calls, each a turn of the event loop, and a job that is busy makes turns rare; by a
// thread it is one.
//   T1. A thread that ends by itself fails what it was doing, whose outcome is then unknown; the next
//       request begins another one.
//   T2. Requests are served one at a time: a slow disk makes those of others wait.
import { isNodeFileSystem } from "../environment/node-file-system.ts";
import type { FileSystem } from "../api/environment.ts";
import { StorageError } from "../errors.ts";
import { type ErrorData, fromErrorData } from "../workers/error-data.ts";
import { type AnswerMessage, RequestThread, requireWorkerFile } from "../workers/request-thread.ts";
import type { Named, WholeFile, WholeFiles } from "./whole-files.ts";

/** One request in, one result out, per kind. */
export interface FileCalls {
  readonly create: { readonly request: WholeFile; readonly result: NamedData };
  readonly replace: { readonly request: WholeFile; readonly result: NamedData };
  readonly read: {
    readonly request: { readonly path: string; readonly maxBytes: number };
    readonly result: Uint8Array;
  };
}

/** As `Named`; errors cross as data. */
export interface NamedData {
  readonly outcome: Named["outcome"];
  readonly read: Uint8Array | undefined;
  readonly unsynced: ErrorData | undefined;
}

/** `id` ties an answer to its request. */
export type FileCallMessage = {
  [K in keyof FileCalls]: {
    readonly id: number;
    readonly kind: K;
    readonly request: FileCalls[K]["request"];
  };
}[keyof FileCalls];

export interface FileAnswerMessage extends AnswerMessage {
  readonly result?: FileCalls[keyof FileCalls]["result"];
  readonly error?: ErrorData | undefined;
}

const entry: URL = new URL("./file.worker.js", import.meta.url);
let running: RequestThread<FileAnswerMessage> | undefined;

function thread(): RequestThread<FileAnswerMessage> {
  if (running !== undefined && running.ended === undefined) return running;
  running = new RequestThread({
    name: "varve-files",
    entry,
    youngGenerationMb: 2,
    failureOf: ({ error }: FileAnswerMessage) =>
      error === undefined ? undefined : fromErrorData(error),
    endedBy: (cause) => new StorageError("the file thread ended", { cause, retriable: true }),
  });
  return running;
}

function call<K extends keyof FileCalls>(
  kind: K,
  request: FileCalls[K]["request"],
  transfer: readonly ArrayBuffer[] = [],
): Promise<FileCalls[K]["result"]> {
  return thread().call(kind, request, transfer) as Promise<FileCalls[K]["result"]>;
}

async function name(kind: "create" | "replace", file: WholeFile): Promise<Named> {
  const bytes = new Uint8Array(file.bytes); // Of their own: a view would take all of its buffer along.
  const { path, temporary, thenRead } = file;
  const request = { path, temporary, bytes, thenRead };
  const { outcome, read, unsynced } = await call(kind, request, [bytes.buffer]);
  return { outcome, read, unsynced: unsynced === undefined ? undefined : fromErrorData(unsynced) };
}

const threadWholeFiles: WholeFiles = {
  create: (file) => name("create", file),
  replace: (file) => name("replace", file),
  read: (path, maxBytes) => call("read", { path, maxBytes }),
};

/**
 * From now on the process has a file thread. It takes about 11 MiB: for jobs whose checkpoints take
 * milliseconds. Does nothing where the file system is not Node's. InvalidArgumentError if a bundler has
 * left the thread's file out.
 */
export async function startFileThread(fileSystem: FileSystem): Promise<void> {
  if (!isNodeFileSystem(fileSystem)) return;
  await requireWorkerFile(fileSystem, entry);
  thread();
}

/** By the file thread; undefined if the process has none, or the file system is not Node's. */
export function wholeFilesByThread(fileSystem: FileSystem): WholeFiles | undefined {
  return running !== undefined && isNodeFileSystem(fileSystem) ? threadWholeFiles : undefined;
}

/** For tests: as if the thread had crashed. */
export async function terminateFileThread(): Promise<void> {
  await running?.terminate();
}
