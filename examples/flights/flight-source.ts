// The job's input: batches of flights in delivery order from a given position, decoded in a thread
// of its own, a few batches ahead.
import { Worker } from "node:worker_threads";
import type { FlightBatch, SourceCredit, SourceMessage, SourceStart } from "./flight-batch.ts";
import { InputError } from "./flight-file.ts";

/** Batches on their way. Each takes 128 KiB. */
const BATCHES_AHEAD = 4;

const credit: SourceCredit = { kind: "credit" };

/** Ends after the last position. Leaving the loop early ends the thread. */
export async function* flightSource(start: SourceStart): AsyncGenerator<FlightBatch, void, void> {
  const thread = new Worker(new URL("./flight-source.worker.js", import.meta.url), {
    workerData: start,
  });
  const inbox = new Inbox(thread);
  for (let sent = 0; sent < BATCHES_AHEAD; sent++) thread.postMessage(credit);
  try {
    for (;;) {
      const message = await inbox.next();
      if (message.kind === "end") return;
      if (message.kind === "failed") throw failure(message);
      thread.postMessage(credit);
      yield message.batch;
    }
  } finally {
    await thread.terminate();
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
