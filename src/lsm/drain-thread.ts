// Starts the drain thread and ties its answers to requests. It shares the store's LevelDB handle, so no
// pool may own it.
import type { FileSystem } from "../api/environment.ts";
import { ClosedError, StorageError } from "../errors.ts";
import type { StateBackendError } from "../errors.ts";
import { RequestThread, requireWorkerFile } from "../workers/request-thread.ts";
import type {
  DrainAnswerMessage,
  DrainCallKind,
  DrainCalls,
  DrainThreadData,
} from "./drain-protocol.ts";
import { rebuildFailure } from "./failure.ts";

const defaultEntry: URL = new URL("./drain.worker.js", import.meta.url);

export class DrainThread {
  readonly #thread: RequestThread<DrainAnswerMessage>;
  #onPoisoned: (failure: StateBackendError) => void = () => undefined;

  private constructor(entry: URL) {
    this.#thread = new RequestThread({
      name: "varve-drain",
      entry,
      failureOf: ({ failure: data, poisoned }: DrainAnswerMessage) => {
        if (data === undefined) return undefined;
        const failure = rebuildFailure(data);
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
