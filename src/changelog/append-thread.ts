// Starts the append thread and ties its answers to requests. In an environment of the user's own the
// same service runs on the calling thread instead, through that environment.
//   T1. A thread that ends by itself fails every request, and the segments that it had open are lost to
//       whoever appends; the next request begins another thread.
import type { Environment } from "../api/environment.ts";
import { isNodeFileSystem } from "../environment/node-file-system.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { ClosedError, StorageError } from "../errors.ts";
import { fromErrorData } from "../workers/error-data.ts";
import { RequestThread, requireWorkerFile } from "../workers/request-thread.ts";
import type {
  AppendAnswerMessage,
  AppendCallKind,
  AppendCalls,
  AppendThreadData,
} from "./append-protocol.ts";
import { AppendService } from "./append-service.ts";

const defaultEntry: URL = new URL("./append.worker.js", import.meta.url);

/** Whoever appends: a thread, or the calling one. */
export interface Appender {
  /** Whether it goes on while the calling thread blocks. */
  readonly isThread: boolean;
  /** Segments of an earlier epoch are not open any more (T1). */
  readonly epoch: number;
  /** A number that no other segment of this appender has. */
  nextSegment(): number;
  /** Served one at a time, in order. Rejects with a typed error. */
  call<K extends AppendCallKind>(
    kind: K,
    request: AppendCalls[K]["request"],
  ): Promise<AppendCalls[K]["result"]>;
  close(): Promise<void>;
}

export class AppendThread implements Appender {
  readonly isThread = true;
  readonly #entry: URL;
  readonly #data: AppendThreadData;
  #running: RequestThread<AppendAnswerMessage> | undefined;
  #isClosed = false;
  #epoch = 1;
  #segments = 0;

  private constructor(entry: URL, data: AppendThreadData) {
    this.#entry = entry;
    this.#data = data;
  }

  /** It starts with the first request: it takes a tenth of a second of a core, which a restore needs. */
  static async open(
    { fileSystem }: Environment,
    arena: SharedArrayBuffer,
    entry: URL = defaultEntry,
  ): Promise<AppendThread> {
    await requireWorkerFile(fileSystem, entry);
    return new AppendThread(entry, { arena });
  }

  get epoch(): number {
    return this.#running?.ended === undefined ? this.#epoch : this.#epoch + 1;
  }

  nextSegment(): number {
    return ++this.#segments;
  }

  call<K extends AppendCallKind>(
    kind: K,
    request: AppendCalls[K]["request"],
  ): Promise<AppendCalls[K]["result"]> {
    if (this.#isClosed) return Promise.reject(new ClosedError("the append thread has ended"));
    return this.#thread().call(kind, request) as Promise<AppendCalls[K]["result"]>;
  }

  /** T1 */
  #thread(): RequestThread<AppendAnswerMessage> {
    if (this.#running !== undefined) {
      if (this.#running.ended === undefined) return this.#running;
      this.#epoch++;
    }
    this.#running = startThread(this.#entry, this.#data);
    return this.#running;
  }

  /** For tests: as if it had crashed. */
  async terminate(): Promise<void> {
    await this.#thread().terminate();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#running === undefined) return;
    if (this.#running.ended === undefined) await this.#running.call("end", undefined);
    await this.#running.exited();
  }
}

function startThread(entry: URL, workerData: AppendThreadData): RequestThread<AppendAnswerMessage> {
  return new RequestThread({
    name: "varve-append",
    entry,
    workerData,
    failureOf: ({ error }: AppendAnswerMessage) =>
      error === undefined ? undefined : fromErrorData(error),
    endedBy: (cause) => new StorageError("the append thread ended", { cause, retriable: true }),
  });
}

/** The service on the calling thread. */
export class InlineAppender implements Appender {
  readonly isThread = false;
  readonly epoch = 1;
  readonly #service: AppendService;
  #segments = 0;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(service: AppendService) {
    this.#service = service;
  }

  static async open(environment: Environment, arena: SharedArrayBuffer): Promise<InlineAppender> {
    return new InlineAppender(await AppendService.open(environment, arena));
  }

  nextSegment(): number {
    return ++this.#segments;
  }

  call<K extends AppendCallKind>(
    kind: K,
    request: AppendCalls[K]["request"],
  ): Promise<AppendCalls[K]["result"]> {
    const method = this.#service[kind] as (
      request: AppendCalls[K]["request"],
    ) => Promise<AppendCalls[K]["result"]>;
    const result = this.#queue.then(() => method.call(this.#service, request));
    this.#queue = result.catch(() => undefined);
    return result.catch((cause: unknown) => {
      throw typedFileError(`${kind} a changelog segment`, cause);
    });
  }

  async close(): Promise<void> {
    await this.call("end", undefined);
  }
}

/** A thread; or the calling one, through an environment that is not Node's. */
export function openAppender(
  environment: Environment,
  arena: SharedArrayBuffer,
): Promise<Appender> {
  return isNodeFileSystem(environment.fileSystem)
    ? AppendThread.open(environment, arena)
    : InlineAppender.open(environment, arena);
}
