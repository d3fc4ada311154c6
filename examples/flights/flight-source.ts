// The job's input: batches of flights in delivery order from a given position, decoded in a thread
// of its own, a few batches ahead.
import { Worker } from "node:worker_threads";
import { MIB } from "../../src/index.ts";
import type { FlightBatch, SourceMessage, SourceRequest, SourceStart } from "./flight-batch.ts";
import { InputError } from "./flight-file.ts";

/** Heap of the source's thread: a row takes 185 bytes while its group is decoded. */
const HEAP_MIB = 16;
const HEAP_BYTES_PER_ROW = 256;
const YOUNG_HEAP_MIB = 8;

/** Batches on their way. Each takes 128 KiB. */
const BATCHES_AHEAD = 4;

export class FlightSource implements AsyncDisposable {
  readonly #thread: Worker;
  readonly #inbox: Inbox;

  /** Starts to decode what the expected position needs. */
  constructor(start: SourceStart) {
    const entry = new URL("./flight-source.worker.js", import.meta.url);
    // Without a limit the collector would let a multiple of this pile up.
    const resourceLimits = {
      maxOldGenerationSizeMb: HEAP_MIB + Math.ceil((start.groupRows * HEAP_BYTES_PER_ROW) / MIB),
      maxYoungGenerationSizeMb: YOUNG_HEAP_MIB,
    };
    this.#thread = new Worker(entry, { workerData: start, resourceLimits });
    this.#inbox = new Inbox(this.#thread);
  }

  /** All deliveries from a position on. Call it once. */
  async *batches(firstPosition: number): AsyncGenerator<FlightBatch, void, void> {
    this.#send({ kind: "begin", firstPosition });
    for (let sent = 0; sent < BATCHES_AHEAD; sent++) this.#send({ kind: "credit" });
    for (;;) {
      const message = await this.#inbox.next();
      if (message.kind === "end") return;
      if (message.kind === "failed") throw failure(message);
      this.#send({ kind: "credit" });
      yield message.batch;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread.terminate();
  }

  #send(request: SourceRequest): void {
    this.#thread.postMessage(request);
  }
}

function failure({ name, message }: { readonly name: string; readonly message: string }): Error {
  return name === "InputError" ? new InputError(message) : new Error(`the source: ${message}`);
}

/** Messages of a thread in order; its death rejects. */
class Inbox {
  readonly #messages: SourceMessage[] = [];
  #failure: Error | undefined = undefined;
  #wake: (() => void) | undefined = undefined;

  constructor(thread: Worker) {
    thread.on("message", (message: SourceMessage) => {
      this.#messages.push(message);
      this.#wake?.();
    });
    thread.on("error", (error: unknown) =>
      this.#fail(error instanceof Error ? error : new Error(String(error))),
    );
    thread.on("exit", (code) => this.#fail(new Error(`the source's thread ended with ${code}`)));
  }

  async next(): Promise<SourceMessage> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }
}
