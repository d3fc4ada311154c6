// What the backends of one process share: the memory budget, the arena, the worker pool.
import type { Environment } from "../api/environment.ts";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { type Appender, openAppender } from "../changelog/append-thread.ts";
import { LogWriter } from "../changelog/log-writer.ts";
import { fileName } from "../checkpoint/layout.ts";
import { integerOption, refuseUnknownOptions } from "../common/options.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { ClosedError, InvalidArgumentError } from "../errors.ts";
import { ChunkPool } from "../memory/chunk-pool.ts";
import { type WorkerPool, openWorkerPool } from "../workers/worker-pool.ts";
import { MEMORY_BUDGET_BYTES_MAX, MEMORY_BUDGET_BYTES_MIN } from "./memory-plan.ts";

export interface StateHostOptions {
  /**
   * Memory for all backends of the host together: more keeps more rows hot. At least 16 MiB.
   * @defaultValue a quarter of the container's memory limit, else of the free memory
   */
  readonly memoryBudgetBytes?: number | undefined;
  /** Threads that hash, compress and upload, 1 to 64. @defaultValue one a core, at most 4 */
  readonly workers?: number | undefined;
  /**
   * Disk, clocks, randomness and timers of all backends of the host, for tests and simulations.
   * @defaultValue Node's
   */
  readonly environment?: Environment | undefined;
}

/** Opened with `openStateHost`, given to backends as `host`, closed after them. */
export interface StateHost extends AsyncDisposable {
  readonly memoryBudgetBytes: number;
  /**
   * Closes the worker pool. Close the backends first. Idle threads may stay for ten seconds, for the next host or
   * backend of the process; they do not keep it alive. Idempotent.
   */
  close(): Promise<void>;
}

/** A shared budget and worker pool for several backends of one process. */
export async function openStateHost(options: StateHostOptions = {}): Promise<StateHost> {
  return openHost(options);
}

export async function openHost(options: StateHostOptions): Promise<OpenStateHost> {
  refuseUnknownOptions("openStateHost", options, ["memoryBudgetBytes", "workers", "environment"]);
  const environment = resolveEnvironment(options.environment);
  const memoryBudgetBytes = resolveMemoryBudget(options.memoryBudgetBytes, environment);
  integerOption("workers", options.workers, 1, 1, 64);
  const workers = await openWorkerPool({ environment, threads: options.workers });
  return new OpenStateHost(memoryBudgetBytes, workers, environment);
}

export function resolveMemoryBudget(bytes: number | undefined, environment: Environment): number {
  const quarter = Math.floor(environment.availableMemoryBytes() / 4);
  const byDefault = Math.max(MEMORY_BUDGET_BYTES_MIN, Math.min(quarter, MEMORY_BUDGET_BYTES_MAX));
  return integerOption(
    "memoryBudgetBytes",
    bytes,
    byDefault,
    MEMORY_BUDGET_BYTES_MIN,
    MEMORY_BUDGET_BYTES_MAX,
  );
}

/** The environment, or Node's. */
export function resolveEnvironment(environment: Environment | undefined): Environment {
  if (environment === undefined) return nodeEnvironment();
  const parts = ["fileSystem", "clock", "random", "timers"] as const;
  const isWhole =
    typeof environment === "object" &&
    environment !== null &&
    parts.every((part) => typeof environment[part] === "object" && environment[part] !== null) &&
    typeof environment.availableMemoryBytes === "function" &&
    typeof environment.availableCores === "function" &&
    ["function", "undefined"].includes(typeof environment.openDatabase);
  if (isWhole) return environment;
  throw new InvalidArgumentError(
    "environment must be an Environment, such as nodeEnvironment() or memoryEnvironment() of varve/testing",
  );
}

export class OpenStateHost implements StateHost {
  #appender: Promise<Appender> | undefined;
  readonly #logWriters = new Map<string, Promise<LogWriter>>();
  #exclusive: Promise<unknown> = Promise.resolve();
  readonly memoryBudgetBytes: number;
  readonly workers: WorkerPool;
  readonly environment: Environment;
  readonly chunks: ChunkPool;
  #members = 0;
  #isClosed = false;

  constructor(memoryBudgetBytes: number, workers: WorkerPool, environment: Environment) {
    this.memoryBudgetBytes = memoryBudgetBytes;
    this.workers = workers;
    this.environment = environment;
    this.chunks = new ChunkPool(memoryBudgetBytes);
  }

  /** Counts a backend in. Returns the share of the budget it may plan with. */
  join(): number {
    if (this.#isClosed) throw new ClosedError("the state host is closed");
    this.#members++;
    return Math.floor(this.memoryBudgetBytes / this.#members);
  }

  leave(): void {
    this.#members--;
  }

  /** Who appends to the changelog segments in a storage, which is open: one a process and storage. */
  logWriter(storage: CheckpointStorage): Promise<LogWriter> {
    let writer = this.#logWriters.get(storage.description);
    if (writer === undefined) {
      writer = this.#openLogWriter(storage);
      this.#logWriters.set(storage.description, writer);
      writer.catch(() => this.#logWriters.delete(storage.description)); // Told to who asked.
    }
    return writer;
  }

  async #openLogWriter(storage: CheckpointStorage): Promise<LogWriter> {
    const { environment } = this;
    this.#appender ??= openAppender(environment, this.chunks.arena);
    return new LogWriter({
      environment,
      storage,
      appender: await this.#appender,
      nameOf: fileName,
    });
  }

  /** Runs after what was asked for before has ended. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#exclusive.then(work);
    this.#exclusive = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await (await this.#appender)?.close();
    await this.workers.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
