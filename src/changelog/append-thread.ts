// Starts the append thread and ties its answers to requests. In an environment of the user's own the
// same service runs on the calling thread instead, through that environment.
//   T1. The thread keeps the process alive only while a request is unanswered.
//   T2. A thread that ends by itself fails every request, and the segments that it had open are lost to
//       whoever appends; the next request begins another thread.
import { fileURLToPath } from "node:url";
// oxlint-disable-next-line no-restricted-imports -- appends have an order, which a pool does not keep
import { Worker } from "node:worker_threads";
import type { Environment } from "../api/environment.ts";
import { isNodeFileSystem } from "../environment/node-file-system.ts";
import { ClosedError, InvalidArgumentError, StorageError } from "../errors.ts";
import { fromErrorData } from "../workers/error-data.ts";
import { typedFileError } from "../environment/typed-error.ts";
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
  /** Segments of an earlier epoch are not open any more (T2). */
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

interface PendingCall {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class AppendThread implements Appender {
  readonly isThread = true;
  readonly #entry: URL;
  readonly #data: AppendThreadData;
  #running: RunningThread | undefined;
  #isClosed = false;
  #epoch = 0;
  #segments = 0;

  private constructor(entry: URL, data: AppendThreadData) {
    this.#entry = entry;
    this.#data = data;
    this.#thread();
  }

  static async spawn(
    { fileSystem }: Environment,
    arena: SharedArrayBuffer,
    entry: URL = defaultEntry,
  ): Promise<AppendThread> {
    const path = fileURLToPath(entry);
    if ((await fileSystem.stat(path)) === undefined) {
      throw new InvalidArgumentError(
        `the worker file ${path} does not exist: a bundler left it behind; mark "varve" as external`,
      );
    }
    return new AppendThread(entry, { arena });
  }

  get epoch(): number {
    return this.#running?.isEnded === false ? this.#epoch : this.#epoch + 1;
  }

  nextSegment(): number {
    return ++this.#segments;
  }

  call<K extends AppendCallKind>(
    kind: K,
    request: AppendCalls[K]["request"],
  ): Promise<AppendCalls[K]["result"]> {
    if (this.#isClosed) return Promise.reject(new ClosedError("the append thread has ended"));
    return this.#thread().call(kind, request);
  }

  /** T2 */
  #thread(): RunningThread {
    if (this.#running?.isEnded === false) return this.#running;
    this.#epoch++;
    this.#running = new RunningThread(this.#entry, this.#data);
    return this.#running;
  }

  /** For tests: as if it had crashed. */
  async terminate(): Promise<void> {
    await this.#running?.terminate();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running?.close();
  }
}

class RunningThread {
  isEnded = false;
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingCall>();
  readonly #exit: Promise<void>;
  #nextId = 0;

  constructor(entry: URL, workerData: AppendThreadData) {
    this.#worker = new Worker(entry, {
      name: "varve-append",
      workerData,
      // Frames are external memory; V8's default of 48 MB would be outside the budget.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    this.#worker.unref();
    this.#worker.on("message", (message: AppendAnswerMessage) => this.#take(message));
    this.#worker.on("error", (cause: unknown) => this.#end(cause));
    this.#exit = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#end(undefined);
        resolve();
      });
    });
  }

  call<K extends AppendCallKind>(
    kind: K,
    request: AppendCalls[K]["request"],
  ): Promise<AppendCalls[K]["result"]> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, kind, request });
    });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  async close(): Promise<void> {
    if (!this.isEnded) await this.call("end", undefined);
    this.#worker.ref();
    await this.#exit;
  }

  #take(message: AppendAnswerMessage): void {
    const call = this.#pending.get(message.id);
    if (call === undefined) return;
    this.#pending.delete(message.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (message.error === undefined) call.resolve(message.result);
    else call.reject(fromErrorData(message.error));
  }

  #end(cause: unknown): void {
    this.isEnded = true;
    const calls = [...this.#pending.values()];
    this.#pending.clear();
    const error = new StorageError("the append thread ended", { cause, retriable: true });
    for (const call of calls) call.reject(error);
  }
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
    ? AppendThread.spawn(environment, arena)
    : InlineAppender.open(environment, arena);
}
