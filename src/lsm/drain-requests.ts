// The requests of a store to its drain thread, in that thread or, where an environment has a database of
// its own, on the calling one.
//   R1. Requests are served one at a time, in order; prefetches at once.
import type { Environment } from "../api/environment.ts";
import { assert, unreachable } from "../common/assert.ts";
import { ControlBlock } from "./control-block.ts";
import type { DrainCallKind, DrainCalls, DrainThreadData } from "./drain-protocol.ts";
import { DrainService } from "./drain-service.ts";
import { openDatabase } from "./level-database.ts";

/** A request of any kind. */
export type DrainCall = {
  [K in DrainCallKind]: { readonly kind: K; readonly request: DrainCalls[K]["request"] };
}[DrainCallKind];

type DrainCallResult = DrainCalls[DrainCallKind]["result"];

export class DrainRequests {
  readonly #environment: Environment;
  #service: DrainService | undefined;
  /** The tail of the queue (R1). */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** A drain or flush has failed: all but `close` is refused. */
  get isPoisoned(): boolean {
    return this.#service?.isPoisoned === true;
  }

  serve(call: DrainCall): Promise<DrainCallResult> {
    if (call.kind === "prefetch") return this.#serve(call);
    const result = this.#queue.then(() => this.#serve(call));
    this.#queue = result.catch(() => undefined); // Told to who asked.
    return result;
  }

  async #serve(call: DrainCall): Promise<DrainCallResult> {
    const { kind, request } = call;
    if (kind === "open") {
      await this.#open(request);
      return undefined;
    }
    const service = this.#service;
    if (kind === "close" && service === undefined) return undefined; // Never opened.
    assert(service !== undefined, "the drain thread was opened first");
    switch (kind) {
      case "drain":
        return service.drain(request);
      case "capture":
        return service.capture(request.directory, request.known);
      case "prefetch":
        return service.prefetch(request);
      case "close":
        await service.close();
        return undefined;
      default:
        return unreachable(call);
    }
  }

  async #open({ realPath, lsm, arena, control }: DrainThreadData): Promise<void> {
    const mode = { shared: true, createIfMissing: false };
    const database = await openDatabase(this.#environment, realPath, lsm, mode);
    const block = new ControlBlock(control);
    this.#service = new DrainService(this.#environment, realPath, database, block, arena);
  }
}
