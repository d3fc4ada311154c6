// The pool of worker threads: compress, hash, verify, pack. Bounded: places for the running tasks
// and `queueLengthMax` more; further callers wait for a place, in order.
//   W1. Once `submit` has rejected, no thread works on that task any more: its files may be removed. Of one
//       that was ended (W5) only a call of the system that had begun may still come to its end.
//   W2. A task whose thread died is repeated once, on another one; then it fails.
//   W3. Idle threads do not keep the process alive; a task that is under way does.
//   W4. What nobody waits for takes at most half of the threads, and its turn after everything else.
//   W5. A thread that does not stop within STOP_MS_MAX, because a read never returns for one, is ended.
import type { Environment, Timers } from "../api/environment.ts";
import { integerOption } from "../common/options.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { NodeFileSystem } from "../environment/node-file-system.ts";
import { shortCallsOf } from "../environment/short-calls.ts";
import { ClosedError, StorageError } from "../errors.ts";
import { fromErrorData } from "./error-data.ts";
import { runTask, taskNames } from "./task-runner.ts";
import { TaskState } from "./tasks.ts";
import type { TaskMessage, TaskReply, WorkerTaskName, WorkerTasks } from "./tasks.ts";
import { startThreads } from "./threads.ts";

export interface WorkerPoolOptions {
  /**
   * Where paths of tasks are. Threads are used only with Node's file system; with any other one
   * tasks run on this thread, since no other thread can see its files.
   */
  readonly environment: Environment;
  /** Most threads. @defaultValue cores, at least 1 and at most 4 */
  readonly threads?: number | undefined;
  /** Threads start at once, ready for these tasks without tools. @defaultValue none: with the first tasks */
  readonly startsFor?: readonly WorkerTaskName[] | undefined;
  /** Tasks accepted beyond the running ones. @defaultValue 4 per thread */
  readonly queueLengthMax?: number | undefined;
}

export interface SubmitOptions {
  /** Rejects with its reason; a task under way is stopped first, within about a MiB of work. */
  readonly signal?: AbortSignal | undefined;
  /** On this thread: for what takes less time than a thread takes to start. @defaultValue false */
  readonly isSmall?: boolean | undefined;
  /** Nobody waits for it: bases made ahead (W4). @defaultValue false */
  readonly isBackground?: boolean | undefined;
}

export interface WorkerPool extends AsyncDisposable {
  readonly threads: number;
  /** Runs a task; waits for a place first. Rejects with typed errors. */
  submit<N extends WorkerTaskName>(
    name: N,
    request: WorkerTasks[N]["request"],
    options?: SubmitOptions,
  ): Promise<WorkerTasks[N]["response"]>;
  /**
   * Starts the threads in a while, before a first checkpoint has to wait for them. Once; a pool that nobody
   * warms up starts them with its first tasks.
   */
  warmUp(timers: Timers): void;
  /** Starts the threads now: such tasks come in a moment. Once, and not where they are warm. */
  startFor(tasks: readonly WorkerTaskName[]): void;
  /** LZ4 library in use; `none` until a task needed one, and where none loads. */
  readonly codecName: string;
  /** Tasks accepted and not finished. */
  readonly pendingTasks: number;
  /** Stops what runs, refuses what waits, ends the threads or keeps them for the next pool. Idempotent. */
  close(): Promise<void>;
}

/** Where tasks run. `run` rejects only if the thread itself failed, or was ended by the signal. */
export interface TaskThreads {
  run(message: TaskMessage, end?: AbortSignal): Promise<TaskReply>;
  close(): Promise<void>;
}

const threadsMax = 64;
/** Tasks look whether they are to stop after about a MiB of work. */
const STOP_MS_MAX = 30_000;
/** After a backend was opened: its first records go first. */
const warmUpDelayMs = 100;

export async function openWorkerPool(options: WorkerPoolOptions): Promise<WorkerPool> {
  const { environment } = options;
  const defaultThreads = Math.min(4, Math.max(1, environment.availableCores()));
  const threads = integerOption("threads", options.threads, defaultThreads, 1, threadsMax);
  const queueLengthMax = integerOption(
    "queueLengthMax",
    options.queueLengthMax,
    threads * 4,
    0,
    65_536,
  );
  const { fileSystem } = environment;
  const hasThreads = fileSystem instanceof NodeFileSystem;
  const own: TaskThreads = {
    run: (message) => runTask(message, fileSystem, shortCallsOf(fileSystem)),
    close: () => Promise.resolve(),
  };
  const { timers } = environment;
  const taskThreads = hasThreads ? startThreads(threads, timers) : own;
  const pool = new Pool(taskThreads, threads, threads + queueLengthMax, own, timers);
  if (hasThreads && options.startsFor !== undefined) pool.startThreads(options.startsFor, false);
  return pool;
}

/** For tests of what happens when threads fail. */
export function openWorkerPoolOn(
  taskThreads: TaskThreads,
  places: number,
  timers: Timers = nodeEnvironment().timers,
): WorkerPool {
  return new Pool(taskThreads, places, places, taskThreads, timers);
}

/** The caller's signal and the closing of the pool, as one. */
interface Stop {
  /** Why to stop; undefined while there is no reason to. */
  reason(): Error | undefined;
  listen(listener: () => void): void;
  unlisten(listener: () => void): void;
}

function throwIfStopped(stop: Stop): void {
  const reason = stop.reason();
  if (reason !== undefined) throw reason;
}

class Pool implements WorkerPool {
  readonly threads: number;
  readonly #taskThreads: TaskThreads;
  readonly #ownThread: TaskThreads;
  readonly #places: number;
  readonly #timers: Timers;
  readonly #waiting: (() => void)[] = [];
  readonly #waitingBehind: (() => void)[] = [];
  #background = 0;
  /** What to call when the pool closes: one for each task that waits or runs. */
  readonly #onClose = new Set<() => void>();
  readonly #running = new Set<Promise<unknown>>();
  #taken = 0;
  #codecName = "none";
  #isClosing = false;
  #closed: Promise<void> | undefined;
  #isWarm = false;
  #starting: Promise<unknown> | undefined = undefined;

  constructor(
    taskThreads: TaskThreads,
    threads: number,
    places: number,
    ownThread: TaskThreads,
    timers: Timers,
  ) {
    this.#taskThreads = taskThreads;
    this.#ownThread = ownThread;
    this.threads = threads;
    this.#places = places;
    this.#timers = timers;
  }

  get codecName(): string {
    return this.#codecName;
  }

  get pendingTasks(): number {
    return this.#taken;
  }

  async submit<N extends WorkerTaskName>(
    name: N,
    request: WorkerTasks[N]["request"],
    options: SubmitOptions = {},
  ): Promise<WorkerTasks[N]["response"]> {
    if (this.#closed !== undefined) throw new ClosedError("the worker pool is closed");
    const stop = this.#stopOf(options.signal);
    const { isBackground = false } = options;
    await this.#takePlace(stop, isBackground);
    const run = this.#run(
      name,
      request,
      stop,
      options.isSmall ? this.#ownThread : this.#taskThreads,
    );
    this.#running.add(run);
    try {
      return (await run) as WorkerTasks[N]["response"];
    } finally {
      this.#running.delete(run);
      this.#givePlace(isBackground);
    }
  }

  warmUp(timers: Timers): void {
    if (this.#isWarm || this.#taskThreads === this.#ownThread) return;
    this.#isWarm = true;
    void timers.delay(warmUpDelayMs).then(() => {
      if (this.#closed === undefined) this.startThreads(taskNames, true);
    });
  }

  startFor(tasks: readonly WorkerTaskName[]): void {
    if (this.#isWarm || this.#starting !== undefined) return;
    if (this.#taskThreads === this.#ownThread || this.#closed !== undefined) return;
    this.startThreads(tasks, false);
  }

  startThreads(tasks: readonly WorkerTaskName[], usesTools: boolean): void {
    const request: WorkerTasks["warmUp"]["request"] = { tasks, usesTools };
    const starting = Array.from({ length: this.threads }, () => {
      const state = new Int32Array(new SharedArrayBuffer(4));
      const message: TaskMessage = { name: "warmUp", request, state, isRepeated: false };
      return this.#taskThreads.run(message);
    });
    // What keeps a thread from starting is told by the first task.
    this.#starting = Promise.allSettled([this.#starting, ...starting]);
  }

  async close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #shutDown(): Promise<void> {
    this.#isClosing = true;
    for (const listener of this.#onClose) listener();
    await Promise.allSettled(this.#running);
    await this.#starting;
    await this.#taskThreads.close();
  }

  /** Not AbortSignal.any: each one would leave an entry in the closing signal for ever. */
  #stopOf(signal: AbortSignal | undefined): Stop {
    return {
      reason: () => {
        if (signal?.aborted === true) return signal.reason as Error;
        return this.#isClosing ? new ClosedError("the worker pool was closed") : undefined;
      },
      listen: (listener) => {
        signal?.addEventListener("abort", listener);
        this.#onClose.add(listener);
      },
      unlisten: (listener) => {
        signal?.removeEventListener("abort", listener);
        this.#onClose.delete(listener);
      },
    };
  }

  async #takePlace(stop: Stop, isBackground: boolean): Promise<void> {
    throwIfStopped(stop);
    if (this.#taken < this.#places && (!isBackground || this.#hasBackgroundPlace)) {
      this.#taken++;
      if (isBackground) this.#background++;
      return;
    }
    const queue = isBackground ? this.#waitingBehind : this.#waiting;
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        stop.unlisten(leave);
        this.#taken++;
        if (isBackground) this.#background++;
        resolve();
      };
      const leave = (): void => {
        stop.unlisten(leave);
        queue.splice(queue.indexOf(enter), 1);
        reject(stop.reason() as Error);
      };
      queue.push(enter);
      stop.listen(leave);
    });
  }

  /** W4 */
  get #hasBackgroundPlace(): boolean {
    return this.#background < Math.max(1, this.threads >> 1);
  }

  #givePlace(isBackground: boolean): void {
    this.#taken--;
    if (isBackground) this.#background--;
    if (this.#waiting.length > 0) this.#waiting.shift()!();
    else if (this.#hasBackgroundPlace) this.#waitingBehind.shift()?.();
  }

  async #run(
    name: WorkerTaskName,
    request: unknown,
    stop: Stop,
    threads: TaskThreads,
  ): Promise<unknown> {
    const state = new Int32Array(new SharedArrayBuffer(4));
    let reject: (reason: Error) => void = () => undefined;
    const cancelled = new Promise<never>((_resolve, rejectCancelled) => {
      reject = rejectCancelled;
    });
    cancelled.catch(() => undefined); // Nobody may be waiting for it any more.
    const end = new AbortController();
    const over = new AbortController();
    const onAbort = (): void => {
      const { queued, running, cancelled: never, stopping } = TaskState;
      const found = Atomics.compareExchange(state, 0, queued, never);
      if (found === queued) reject(stop.reason() as Error);
      // W1: the reply rejects.
      else if (Atomics.compareExchange(state, 0, running, stopping) === running) {
        this.#endLater(end, over.signal);
      }
    };
    stop.listen(onAbort);
    if (stop.reason() !== undefined) onAbort();
    try {
      const reply = await Promise.race([
        this.#attempt(name, request, state, stop, threads, end.signal),
        cancelled,
      ]);
      throwIfStopped(stop);
      if (reply.outcome === "done") {
        if (reply.codec !== undefined) this.#codecName = reply.codec;
        return reply.response;
      }
      throw reply.outcome === "failed"
        ? fromErrorData(reply.error)
        : new StorageError("a task stopped by itself");
    } finally {
      stop.unlisten(onAbort);
      over.abort();
    }
  }

  /** W5 */
  #endLater(end: AbortController, over: AbortSignal): void {
    this.#timers.delay(STOP_MS_MAX, over).then(
      () => end.abort(),
      () => undefined, // It has stopped.
    );
  }

  async #attempt(
    name: WorkerTaskName,
    request: unknown,
    state: Int32Array<SharedArrayBuffer>,
    stop: Stop,
    threads: TaskThreads,
    end: AbortSignal,
  ): Promise<TaskReply> {
    const message: TaskMessage = { name, request, state, isRepeated: false };
    try {
      return await threads.run(message, end);
    } catch {
      // W2: its death is reported if the second thread dies too.
    }
    if (stop.reason() !== undefined) return { outcome: "stopped" };
    try {
      return await threads.run({ ...message, isRepeated: true }, end);
    } catch (cause) {
      throw new StorageError(`two worker threads died of one task, ${name}`, {
        cause,
        retriable: true,
      });
    }
  }
}
