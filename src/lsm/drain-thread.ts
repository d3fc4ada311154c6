// Starts the drain thread and ties its answers to requests. It shares the store's LevelDB handle, so no
// pool may own it. In an environment with a database of its own the same requests are served on the
// calling thread instead.
import type { Environment, FileSystem } from "../api/environment.ts";
import { ClosedError, StorageError } from "../errors.ts";
import type { StateBackendError } from "../errors.ts";
import { fromErrorData } from "../workers/error-data.ts";
import { RequestThread, requireWorkerFile } from "../workers/request-thread.ts";
import type {
  DrainAnswerMessage,
  DrainCallKind,
  DrainCalls,
  DrainThreadData,
} from "./drain-protocol.ts";
import { type DrainCall, DrainRequests } from "./drain-requests.ts";
import { typedFailure } from "./failure.ts";

const defaultEntry: URL = new URL("./drain.worker.js", import.meta.url);

/** Whoever drains: a thread, or the calling one. */
export interface Drainer {
  /** Whether it goes on while the calling thread blocks. */
  readonly isThread: boolean;
  /** `onPoisoned` hears of a failure after which everything is refused. */
  open(data: DrainThreadData, onPoisoned: (failure: StateBackendError) => void): Promise<void>;
  /** Rejects with a typed error. */
  call<K extends DrainCallKind>(
    kind: K,
    request: DrainCalls[K]["request"],
    transfer?: readonly ArrayBuffer[],
  ): Promise<DrainCalls[K]["result"]>;
  /** Closes the database. What is queued before is refused. */
  close(): Promise<void>;
}

export function spawnDrainer(environment: Environment, entry?: URL): Promise<Drainer> {
  if (environment.openDatabase === undefined) {
    return DrainThread.spawn(environment.fileSystem, entry);
  }
  return Promise.resolve(new DrainHere(environment));
}

class DrainHere implements Drainer {
  readonly isThread = false;
  readonly #requests: DrainRequests;
  #onPoisoned: (failure: StateBackendError) => void = () => undefined;

  constructor(environment: Environment) {
    this.#requests = new DrainRequests(environment);
  }

  async open(
    data: DrainThreadData,
    onPoisoned: (failure: StateBackendError) => void,
  ): Promise<void> {
    this.#onPoisoned = onPoisoned;
    await this.call("open", data);
  }

  async call<K extends DrainCallKind>(
    kind: K,
    request: DrainCalls[K]["request"],
  ): Promise<DrainCalls[K]["result"]> {
    try {
      const call = { kind, request } as DrainCall;
      return (await this.#requests.serve(call)) as DrainCalls[K]["result"];
    } catch (error) {
      const failure = typedFailure(error, `draining on this thread: ${kind}`);
      if (this.#requests.isPoisoned) this.#onPoisoned(failure);
      throw failure;
    }
  }

  async close(): Promise<void> {
    await this.call("close", undefined);
  }
}

export class DrainThread implements Drainer {
  readonly isThread = true;
  readonly #thread: RequestThread<DrainAnswerMessage>;
  #onPoisoned: (failure: StateBackendError) => void = () => undefined;

  private constructor(entry: URL) {
    this.#thread = new RequestThread({
      name: "varve-drain",
      entry,
      failureOf: ({ failure: data, poisoned }: DrainAnswerMessage) => {
        if (data === undefined) return undefined;
        const failure = typedFailure(fromErrorData(data), "the drain thread");
        if (poisoned === true) this.#onPoisoned(failure);
        return failure;
      },
      endedBy: (cause) => {
        if (cause === undefined) return new ClosedError("the drain thread has ended");
        const failure = new StorageError("the drain thread ended with an error", { cause });
        this.#onPoisoned(failure);
        return failure;
      },
    });
  }

  /** Begins to load the thread's code; `open` comes before anything else. */
  static async spawn(fileSystem: FileSystem, entry: URL = defaultEntry): Promise<DrainThread> {
    await requireWorkerFile(fileSystem, entry);
    return new DrainThread(entry);
  }

  /** `onPoisoned` hears of a failure after which the thread refuses everything. */
  async open(
    data: DrainThreadData,
    onPoisoned: (failure: StateBackendError) => void,
  ): Promise<void> {
    this.#onPoisoned = onPoisoned;
    const { ended } = this.#thread;
    if (ended !== undefined) onPoisoned(ended as StateBackendError);
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
    return this.#thread.call(kind, request, transfer) as Promise<DrainCalls[K]["result"]>;
  }

  /** Lets the thread close its database and end. What is queued before is refused. */
  async close(): Promise<void> {
    if (this.#thread.ended === undefined) await this.call("close", undefined);
    await this.#thread.exited();
  }

  terminate(): Promise<void> {
    return this.#thread.terminate();
  }
}
