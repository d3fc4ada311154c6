// The job: one process that reads flights, keeps state and writes rows, until the input ends or it is
// killed. Started by the supervisor, which tells it where everything is in one message.
import { performance } from "node:perf_hooks";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import type { KeyedStateBackend } from "../../src/index.ts";
import type { FlightBatch } from "./flight-batch.ts";
import { FlightSource } from "./flight-source.ts";
import type { JobCounters, JobMessage, JobStart, SlowMotion } from "./job-messages.ts";
import { PeriodicCheckpoint } from "./periodic-checkpoint.ts";
import type { JobMetadata } from "./periodic-checkpoint.ts";
import { FlightPipeline } from "./pipeline.ts";
import { dumpStates } from "./state-dump.ts";
import { TransactionalFileSink } from "./transactional-file-sink.ts";

/** Records are processed for this long between two turns of the event loop. */
const SLICE_MS = 4;
/** Records between two looks at the clock. */
const STRIDE_RECORDS = 32;
const PROGRESS_MS = 20;
const fullSpeed = { turnMs: 0, intervalMs: Number.POSITIVE_INFINITY };

function send(message: JobMessage): void {
  process.send?.(message);
}

class Job {
  readonly #start: JobStart;
  readonly #backend: KeyedStateBackend;
  readonly #sink: TransactionalFileSink;
  readonly #pipeline: FlightPipeline;
  readonly #checkpoints: PeriodicCheckpoint;
  #position: number;
  #reportedMs = 0;

  constructor(
    start: JobStart,
    backend: KeyedStateBackend,
    sink: TransactionalFileSink,
    position: number,
  ) {
    this.#start = start;
    this.#backend = backend;
    this.#sink = sink;
    this.#pipeline = new FlightPipeline(backend, sink);
    this.#checkpoints = new PeriodicCheckpoint(backend, sink, start.intervalMs, position, send);
    this.#position = position;
  }

  async run(source: FlightSource): Promise<void> {
    for await (const batch of source.batches(this.#position)) {
      this.#pipeline.begin(batch);
      for (let index = 0; index < batch.count;) {
        if (this.#backend.needsDrain) await this.#backend.drained();
        if (this.#sink.needsRoom) await this.#sink.roomy();
        index = this.#slice(batch, index);
        this.#position = batch.firstPosition + index;
        await this.#betweenRecords();
      }
    }
    await this.#checkpoints.finish(this.#position);
    send({ kind: "end-of-input", position: this.#position, counters: this.#counters() });
    const { dump } = this.#start.directories;
    for await (const state of dumpStates(this.#backend, this.#pipeline.states, dump)) {
      send({ kind: "dumped", state });
    }
    send({ kind: "finished" });
  }

  /** Processes records from `index` on; returns where it stopped. */
  #slice(batch: FlightBatch, index: number): number {
    const slow = this.#slowMotion();
    const last =
      slow === undefined ? batch.count : Math.min(index + slow.recordsPerTurn, batch.count);
    const endMs = performance.now() + SLICE_MS;
    let at = index;
    do {
      const stop = Math.min(at + STRIDE_RECORDS, last);
      while (at < stop) this.#pipeline.process(batch, at++);
    } while (at < last && !this.#backend.needsDrain && performance.now() < endMs);
    return at;
  }

  #slowMotion(): SlowMotion | undefined {
    const { slowMotion } = this.#start;
    if (slowMotion === undefined || this.#position < slowMotion.fromPosition) return undefined;
    return slowMotion;
  }

  async #betweenRecords(): Promise<void> {
    const { turnMs: waitMs, intervalMs } = this.#slowMotion() ?? fullSpeed;
    if (performance.now() - this.#reportedMs >= PROGRESS_MS) {
      send({ kind: "progress", position: this.#position, counters: this.#counters() });
      this.#reportedMs = performance.now();
    }
    // What runs between here and the next turn is not ours: a checkpoint's share, and the collector's.
    const leaveMs = performance.now();
    if (waitMs > 0) await delay(waitMs);
    else await nextTurn();
    this.#checkpoints.blocked(performance.now() - leaveMs - waitMs);
    await this.#checkpoints.tick(this.#position, intervalMs);
  }

  #counters(): JobCounters {
    const stats = this.#backend.stats();
    const { hotReads, coldReads, coldMisses, drains } = stats;
    const { backPressureWaits, backPressureWaitMs, changelog } = stats;
    return {
      hotReads,
      coldReads,
      coldMisses,
      drains,
      backPressureWaits,
      backPressureWaitMs,
      changeBytes: this.#pipeline.changeBytes,
      logBytes: changelog?.appendedBytes ?? 0,
      materializations: changelog?.materializations ?? 0,
      failedMaterializations: changelog?.failedMaterializations ?? 0,
    };
  }
}

async function main(start: JobStart): Promise<void> {
  const { directories, budgetMib, inputPath, limit, groupRows, expectedPosition } = start;
  const openedMs = performance.now();
  await using source = new FlightSource({ inputPath, limit, groupRows, expectedPosition });
  const restoredMs = performance.now();
  await using backend = await openKeyedStateBackend({
    backend: start.backend,
    workingDirectory: directories.working,
    checkpointStorage: fileSystemStorage(directories.checkpoints),
    policy: start.policy,
    memoryBudgetBytes: budgetMib * MIB,
    restore: "latest-or-new",
  });
  const restoreMs = performance.now() - restoredMs;
  const replayedLogBytes = backend.stats().changelog?.logBytes ?? 0;
  const metadata = backend.restored?.metadata as JobMetadata | undefined;
  const position = metadata?.position ?? 0;
  const sink = await TransactionalFileSink.open(directories.output, metadata?.sink);
  const openMs = performance.now() - openedMs;
  const checkpointId = backend.restored?.checkpointId;
  send({ kind: "ready", position, checkpointId, openMs, restoreMs, replayedLogBytes });
  await new Job(start, backend, sink, position).run(source);
  await sink.close();
}

process.once("message", (start) => {
  main(start as JobStart).then(
    () => process.disconnect(),
    (error: unknown) => {
      const { code, message, stack } = error as { code?: string; message?: string; stack?: string };
      process.stderr.write(`${stack ?? String(error)}\n`);
      send({ kind: "failed", code: code ?? "UNKNOWN", message: message ?? String(error) });
      process.exitCode = 1;
      process.disconnect();
    },
  );
});
// Without its supervisor the job has nobody to report to.
process.once("disconnect", () => process.exit());
