// Moves sealed generations from the write buffer to the LSM.
//   D1. A drain takes everything sealed and not yet requested, in the order of generations.
//   D2. A generation is marked drained only once LevelDB has acknowledged its batches.
//   D3. A failed drain poisons.
//   D4. With a changelog, a generation is marked drained only once it is appended, too (G3).
import type { Clock } from "../api/environment.ts";
import { drainTracing } from "../diagnostics.ts";
import { BackPressureError } from "../errors.ts";
import type { DrainResult } from "../lsm/drain-request.ts";
import type { LsmStore } from "../lsm/lsm-store.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import type { BackendStatus } from "./backend-status.ts";

/** Longest block of the main thread at a full buffer before a record is refused. */
const HARD_STOP_MS = 10_000;

/** A changelog that everything has to be in before it counts as drained. */
export interface AppendGate {
  /** Newest generation boundary that is appended; Infinity while there is nothing to append to. */
  readonly appended: number;
  /** Sees to it that everything up to the boundary, which is sealed, is appended. */
  cover(boundary: number): void;
  /** Resolves when no append is under way. Never rejects. */
  settled(): Promise<void>;
  /** Blocks until the boundary is appended; false if that cannot be, or takes longer. */
  wait(boundary: number, timeoutMs: number): boolean;
}

export class DrainController {
  /** Set once, before the first record. */
  gate: AppendGate | undefined;
  readonly #store: LsmStore;
  readonly #buffer: WriteBuffer;
  readonly #status: BackendStatus;
  readonly #clock: Clock;
  readonly #changeNumberBase: number;
  /** Newest boundary asked for by the buffer; requested once the drain before it has ended. */
  #wanted = 0;
  #inFlight: Promise<void> = Promise.resolve();
  #inFlightBoundary = 0;
  drains = 0;
  drainedRows = 0;
  drainedBytes = 0;
  backPressureWaits = 0;
  backPressureWaitMs = 0;

  constructor(
    store: LsmStore,
    buffer: WriteBuffer,
    status: BackendStatus,
    clock: Clock,
    changeNumberBase: number,
  ) {
    this.#store = store;
    this.#buffer = buffer;
    this.#status = status;
    this.#clock = clock;
    this.#changeNumberBase = changeNumberBase;
  }

  /** The buffer sealed a generation by itself. Called in the middle of a record: posts a message only. */
  sealed(boundary: number): void {
    this.#wanted = boundary;
    if (this.#inFlightBoundary <= this.#store.drainedBoundary) void this.request(boundary);
  }

  /** Requests everything up to `boundary`, which is sealed. Resolves when it is drained. */
  request(boundary: number): Promise<void> {
    const { ledger } = this.#buffer;
    if (boundary <= ledger.requested) return this.#inFlight;
    this.gate?.cover(boundary);
    const chunks = ledger.extents(ledger.requested, boundary);
    ledger.requested = boundary;
    this.#inFlightBoundary = boundary;
    const trace = { boundary };
    const drained = drainTracing.tracePromise(
      () => this.#store.drain({ boundary, changeNumberBase: this.#changeNumberBase, chunks }),
      trace,
    );
    const done = drained.then(
      (result) => this.#succeeded(boundary, result),
      (error: unknown) => {
        if (!this.#status.isOpen) return;
        this.#status.poison(error);
      },
    );
    this.#inFlight = done;
    return done;
  }

  #succeeded(boundary: number, result: DrainResult): void {
    this.drains++;
    this.drainedRows += result.rows;
    this.drainedBytes += result.bytes;
    this.#mark(boundary);
    if (this.#wanted > this.#buffer.ledger.requested && this.#status.isOpen) {
      void this.request(this.#wanted); // Its failure poisons.
    }
  }

  #mark(boundary: number): void {
    const upTo = Math.min(boundary, this.gate?.appended ?? Infinity); // D4
    if (upTo > this.#buffer.ledger.drained) this.#buffer.markDrained(upTo);
  }

  /** Takes note of drains and appends that ended while the event loop did not turn. */
  poll(): void {
    const { ledger } = this.#buffer;
    const { drainedBoundary } = this.#store;
    this.#mark(Math.min(drainedBoundary, ledger.requested));
    if (this.#wanted > ledger.requested && drainedBoundary >= ledger.requested) {
      void this.request(this.#wanted);
    }
  }

  get needsDrain(): boolean {
    const { ledger, pool } = this.#buffer;
    if (ledger.undrainedCount * 2 <= pool.quota) return false;
    this.poll();
    return ledger.undrainedCount * 2 > pool.quota;
  }

  async drained(signal: AbortSignal): Promise<void> {
    while (this.needsDrain) {
      signal.throwIfAborted();
      this.#status.throwIfRefused();
      const { ledger } = this.#buffer;
      // Only the active generation is left: then it must go, however young.
      if (ledger.requested >= ledger.active - 1) this.#wanted = this.#buffer.seal();
      else this.#wanted = ledger.active - 1;
      if (this.#store.drainedBoundary >= ledger.requested) void this.request(this.#wanted);
      await raceAbort(this.#inFlight, signal);
      if (this.gate !== undefined) await raceAbort(this.gate.settled(), signal);
    }
    this.#status.throwIfRefused();
  }

  /** Blocks until there is room for a record, or throws and has changed nothing. */
  relieve(): void {
    const startMs = this.#clock.monotonicMs();
    this.poll();
    if (!this.#buffer.isPressed) return;
    this.backPressureWaits++;
    try {
      while (this.#buffer.isPressed) {
        const leftMs = HARD_STOP_MS - (this.#clock.monotonicMs() - startMs);
        this.#waitForRoom(leftMs);
      }
    } finally {
      this.backPressureWaitMs += this.#clock.monotonicMs() - startMs;
    }
  }

  #waitForRoom(leftMs: number): void {
    const { ledger } = this.#buffer;
    const isIdle = this.#store.drainedBoundary >= ledger.requested;
    if (ledger.requested >= ledger.active - 1 && ledger.drained >= ledger.requested) {
      this.#wanted = this.#buffer.seal();
    }
    if (isIdle) void this.request(Math.max(this.#wanted, ledger.active - 1));
    const isDrained =
      leftMs > 0 &&
      this.#store.waitDrained(ledger.requested, leftMs) &&
      (this.gate?.wait(ledger.requested, leftMs) ?? true);
    const { failure } = this.#store;
    if (failure !== undefined) throw this.#status.poison(failure);
    if (!isDrained) {
      throw new BackPressureError(
        `the write buffer is full, and waiting for the disk (at most ${HARD_STOP_MS / 1000} s) made no room: await backend.drained(), then repeat the record`,
      );
    }
    this.poll();
  }

  /** Resolves when no drain is under way. Never rejects. */
  settled(): Promise<void> {
    return this.#inFlight;
  }
}

/** The promise, or the signal's reason if that comes first. */
export async function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener("abort", stop);
  }
}
