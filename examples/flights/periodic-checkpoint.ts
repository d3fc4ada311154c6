// Takes a checkpoint every interval, one at a time, while records go on; and measures what each one
// costs the main thread.
//   P1. Records stop only while the sink's file is synced (T1), never until a checkpoint is durable.
//   P2. The sink commits a checkpoint's rows before the next checkpoint begins.
import { performance } from "node:perf_hooks";
import { CheckpointAbortedError } from "../../src/index.ts";
import type { CompletedCheckpoint, KeyedStateBackend } from "../../src/index.ts";
import type { CheckpointReport, JobMessage } from "./job-messages.ts";
import type { SinkMetadata, TransactionalFileSink } from "./transactional-file-sink.ts";

/** How long before a checkpoint the sink begins to write out what it has. */
const FLUSH_AHEAD_MS = 50;

/** The metadata of the job's checkpoints. */
export type JobMetadata = {
  /** First position that the checkpoint does not contain. */
  readonly position: number;
  readonly sink: SinkMetadata;
};

export class PeriodicCheckpoint {
  readonly #backend: KeyedStateBackend;
  readonly #sink: TransactionalFileSink;
  readonly #intervalMs: number;
  readonly #send: (message: JobMessage) => void;
  #lastPosition: number;
  #lastBeginMs: number = performance.now();
  #isFlushed = false;
  #running: Promise<void> | undefined = undefined;
  #longestBlockMs = 0;
  #failure: Error | undefined = undefined;

  constructor(
    backend: KeyedStateBackend,
    sink: TransactionalFileSink,
    intervalMs: number,
    position: number,
    send: (message: JobMessage) => void,
  ) {
    this.#backend = backend;
    this.#sink = sink;
    this.#intervalMs = intervalMs;
    this.#lastPosition = position;
    this.#send = send;
  }

  /** Tells how long the main thread was taken from the records, at a stretch. */
  blocked(durationMs: number): void {
    if (durationMs > this.#longestBlockMs) this.#longestBlockMs = durationMs;
  }

  /**
   * Between two records, the next one at `position`: begins a checkpoint if it is time, which is
   * after the interval or `maxIntervalMs`.
   */
  async tick(position: number, maxIntervalMs: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#running !== undefined || position === this.#lastPosition) return;
    const leftMs =
      this.#lastBeginMs + Math.min(this.#intervalMs, maxIntervalMs) - performance.now();
    if (leftMs <= 0) {
      await this.#begin(position);
    } else if (leftMs <= FLUSH_AHEAD_MS && !this.#isFlushed) {
      this.#isFlushed = true;
      this.#sink.flush();
    }
  }

  /** The last checkpoint, at the end of the input: resolves when its rows are committed. */
  async finish(position: number): Promise<void> {
    // An aborted checkpoint may be repeated; more often than this it will not help.
    for (let attempt = 0; attempt < 3; attempt++) {
      await this.#running;
      if (this.#failure !== undefined) throw this.#failure;
      if (position === this.#lastPosition) return;
      await this.#begin(position);
      await this.#running;
    }
    throw new Error("the last checkpoint was aborted three times");
  }

  async #begin(position: number): Promise<void> {
    const cutMs = performance.now();
    const sink = await this.#sink.cut();
    const metadata: JobMetadata = { position, sink };
    this.#send({ kind: "checkpoint-begin", position });
    const startMs = performance.now();
    this.#lastBeginMs = startMs;
    this.#isFlushed = false;
    this.#longestBlockMs = 0;
    const completed = this.#backend.checkpoint(metadata);
    this.blocked(performance.now() - startMs);
    this.#running = this.#complete(completed, metadata, startMs - cutMs)
      .catch((error: Error) => (this.#failure = error))
      .then(() => (this.#running = undefined));
  }

  async #complete(
    completed: Promise<CompletedCheckpoint>,
    { position, sink }: JobMetadata,
    sinkMs: number,
  ): Promise<void> {
    let checkpoint: CompletedCheckpoint;
    try {
      checkpoint = await completed;
    } catch (error) {
      if (!(error instanceof CheckpointAbortedError)) throw error;
      this.#send({ kind: "checkpoint-aborted", position, message: error.message });
      return; // The next one lists the same pending files again.
    }
    const { checkpointId, durationMs, uploadedBytes, totalBytes, logBytes } = checkpoint;
    const pauseMs = this.#longestBlockMs;
    const measured = { durationMs, pauseMs, sinkMs, uploadedBytes, totalBytes, logBytes };
    const report: CheckpointReport = { checkpointId, position, ...measured };
    this.#send({ kind: "checkpoint-end", report });
    await this.#sink.commit(sink);
    this.#lastPosition = position;
  }
}
