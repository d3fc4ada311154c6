// A thread of its own that answers requests, and the ties between the two. For work that has an order, or
// holds what no pool may hold.
//   T1. The thread keeps the process alive only while a request is unanswered.
//   T2. A thread that ends by itself fails every request, then and later.
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { FileSystem } from "../api/environment.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { InvalidArgumentError } from "../errors.ts";

/** One request in, one result out, per kind; `id` ties an answer to its request. */
export interface RequestMessage {
  readonly id: number;
  readonly kind: string;
  readonly request: unknown;
}

export interface AnswerMessage {
  readonly id: number;
  readonly result?: unknown;
}

export interface RequestThreadOptions<A extends AnswerMessage> {
  /** For people who look at threads. */
  readonly name: string;
  readonly entry: URL;
  readonly workerData?: unknown;
  /** What its short-lived garbage may take. @defaultValue 8: V8's own 48 would be outside the budget */
  readonly youngGenerationMb?: number | undefined;
  /** What an answer rejects with; undefined if it has a result. */
  readonly failureOf: (answer: A) => Error | undefined;
  /** What requests reject with once the thread has ended: by itself if there is a cause. Called once. */
  readonly endedBy: (cause: unknown) => Error;
}

interface PendingCall {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class RequestThread<A extends AnswerMessage = AnswerMessage> {
  readonly #options: RequestThreadOptions<A>;
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingCall>();
  readonly #exit: Promise<void>;
  #ended: Error | undefined;
  #nextId = 0;

  /** Begins to load the thread's code. */
  constructor(options: RequestThreadOptions<A>) {
    this.#options = options;
    this.#worker = new Worker(options.entry, {
      name: options.name,
      workerData: options.workerData,
      resourceLimits: { maxYoungGenerationSizeMb: options.youngGenerationMb ?? 8 },
      ...flags(),
    });
    this.#worker.on("message", (answer: A) => this.#take(answer));
    this.#worker.unref(); // T1. Only now: a listener for messages makes it a reason to stay.
    this.#worker.on("error", (cause: unknown) => this.#end(cause));
    this.#exit = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#end(undefined);
        resolve();
      });
    });
  }

  /** Why it has ended; undefined while it runs. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  call(kind: string, request: unknown, transfer: readonly ArrayBuffer[] = []): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#worker.ref(); // T1
      const message: RequestMessage = { id, kind, request };
      this.#worker.postMessage(message, transfer);
    });
  }

  /** Resolves when the thread has ended; it was asked to. */
  async exited(): Promise<void> {
    this.#worker.ref();
    await this.#exit;
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #take(answer: A): void {
    const call = this.#pending.get(answer.id);
    if (call === undefined) return;
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#worker.unref();
    const failure = this.#options.failureOf(answer);
    if (failure === undefined) call.resolve(answer.result);
    else call.reject(failure);
  }

  /** T2 */
  #end(cause: unknown): void {
    if (this.#ended !== undefined) return;
    const error = this.#options.endedBy(cause);
    this.#ended = error;
    const calls = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of calls) call.reject(error);
  }
}

/**
 * A thread inherits Node's flags, but `--input-type` is about a program that is given by -e or through a
 * pipe: Node refuses to load files under it.
 */
function flags(): { readonly execArgv?: string[] } {
  const isOfProgram = process.execArgv.some((flag) => flag.startsWith("--input-type"));
  return isOfProgram ? { execArgv: [] } : {};
}

/** Throws InvalidArgumentError if a bundler has left out the file that a thread begins with. */
export async function requireWorkerFile(fileSystem: FileSystem, entry: URL): Promise<void> {
  const path = fileURLToPath(entry);
  const stat = await fileSystem.stat(path).catch((cause: unknown) => {
    throw typedFileError(`find the worker file ${path}`, cause);
  });
  if (stat !== undefined) return;
  throw new InvalidArgumentError(
    `the worker file ${path} does not exist: a bundler left it behind; mark "varve" as external`,
  );
}
