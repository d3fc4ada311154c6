// Starts the drain thread and ties its answers to requests.
//   T1. The thread keeps the process alive only while a request is unanswered.
//   T2. A thread that ends by itself fails every request, then and later.
import { fileURLToPath } from "node:url";
// oxlint-disable-next-line no-restricted-imports -- the drain thread shares the store's LevelDB handle, so no pool may own it
import { Worker } from "node:worker_threads";
import type { FileSystem } from "../api/environment.ts";
import { ClosedError, InvalidArgumentError, StorageError } from "../errors.ts";
import type { StateBackendError } from "../errors.ts";
import type {
  DrainAnswerMessage,
  DrainCallKind,
  DrainCalls,
  DrainThreadData,
} from "./drain-protocol.ts";
import { rebuildFailure } from "./failure.ts";

const defaultEntry: URL = new URL("./drain.worker.js", import.meta.url);

interface PendingCall {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: StateBackendError) => void;
}

type State =
  { readonly kind: "running" } | { readonly kind: "ended"; readonly error: StateBackendError };

export class DrainThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingCall>();
  readonly #exit: Promise<void>;
  #onPoisoned: (failure: StateBackendError) => void = () => undefined;
  #state: State = { kind: "running" };
  #nextId = 0;

  private constructor(entry: URL) {
    this.#worker = new Worker(entry, {
      name: "varve-drain",
      // Its garbage is small and short-lived; V8's default of 48 MB would be outside the budget.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    this.#worker.unref();
    this.#worker.on("message", (message: DrainAnswerMessage) => this.#take(message));
    this.#worker.on("error", (error: unknown) => {
      this.#end(new StorageError("the drain thread ended with an error", { cause: error }));
    });
    this.#exit = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#end(new ClosedError("the drain thread has ended"));
        resolve();
      });
    });
  }

  /** Begins to load the thread's code; `open` comes before anything else. */
  static async spawn(fileSystem: FileSystem, entry: URL = defaultEntry): Promise<DrainThread> {
    const path = fileURLToPath(entry);
    if ((await fileSystem.stat(path)) === undefined) {
      throw new InvalidArgumentError(
        `the worker file ${path} does not exist: a bundler left it behind; mark "varve" as external`,
      );
    }
    return new DrainThread(entry);
  }

  /** `onPoisoned` hears of a failure after which the thread refuses everything. */
  async open(
    data: DrainThreadData,
    onPoisoned: (failure: StateBackendError) => void,
  ): Promise<void> {
    this.#onPoisoned = onPoisoned;
    if (this.#state.kind === "ended") onPoisoned(this.#state.error);
    try {
      await this.call("open", data);
    } catch (error) {
      await this.terminate();
      throw error;
    }
  }

  /** Rejects with a typed error. */
  call<K extends DrainCallKind>(
    kind: K,
    request: DrainCalls[K]["request"],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<DrainCalls[K]["result"]> {
    if (this.#state.kind === "ended") return Promise.reject(this.#state.error);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, kind, request }, transfer);
    });
  }

  /** Lets the thread close its database and end. What is queued before is refused. */
  async close(): Promise<void> {
    if (this.#state.kind === "running") await this.call("close", undefined);
    this.#worker.ref();
    await this.#exit;
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #take(message: DrainAnswerMessage): void {
    const call = this.#pending.get(message.id);
    if (call === undefined) return;
    this.#pending.delete(message.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (message.failure === undefined) {
      call.resolve(message.result);
      return;
    }
    const failure = rebuildFailure(message.failure);
    if (message.poisoned === true) this.#onPoisoned(failure);
    call.reject(failure);
  }

  #end(error: StateBackendError): void {
    if (this.#state.kind === "ended") return;
    this.#state = { kind: "ended", error };
    if (!(error instanceof ClosedError)) this.#onPoisoned(error);
    const calls = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of calls) call.reject(error);
  }
}
