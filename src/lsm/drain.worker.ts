// Entry of the drain thread: one thread per LsmStore, sharing the store's database handle.
//   W1. The owner opens the database before it has this thread open it, and closes it after this
//       thread has ended: the first opener's block cache is the one in use.
//   W2. Every request gets exactly one answer.
import { parentPort } from "node:worker_threads";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { assert, unreachable } from "../common/assert.ts";
import { ControlBlock } from "./control-block.ts";
import type { DrainAnswerMessage, DrainCallMessage, DrainThreadData } from "./drain-protocol.ts";
import { DrainService } from "./drain-service.ts";
import { describeFailure, typedFailure } from "./failure.ts";
import { openLevelDatabase } from "./level-database.ts";

assert(parentPort !== null, "the drain thread has a parent");
const port = parentPort;

let service: DrainService | undefined;
/** The tail of the queue: requests run in order, one at a time. */
let queue: Promise<void> = Promise.resolve();

port.on("message", (message: DrainCallMessage) => {
  if (message.kind === "prefetch") {
    void answer(message);
    return;
  }
  queue = queue.then(() => answer(message));
});

async function answer(message: DrainCallMessage): Promise<void> {
  try {
    const result = await serve(message);
    const transfer = message.kind === "prefetch" ? [(result as Uint8Array).buffer] : [];
    send({ id: message.id, result }, transfer as ArrayBuffer[]);
  } catch (error) {
    const failure = describeFailure(typedFailure(error, `the drain thread's ${message.kind}`));
    send({ id: message.id, failure, poisoned: service?.isPoisoned }, []);
  }
  if (message.kind === "close") port.close();
}

async function serve(message: DrainCallMessage): Promise<DrainAnswerMessage["result"]> {
  if (message.kind === "open") {
    await open(message.request);
    return undefined;
  }
  if (message.kind === "close" && service === undefined) return undefined; // Never opened.
  assert(service !== undefined, "the drain thread was opened first");
  switch (message.kind) {
    case "drain":
      return service.drain(message.request);
    case "capture":
      return service.capture(message.request.directory, message.request.known);
    case "prefetch":
      return service.prefetch(message.request);
    case "close":
      await service.close();
      return undefined;
    default:
      return unreachable(message);
  }
}

async function open({ realPath, lsm, arena, control }: DrainThreadData): Promise<void> {
  const database = await openLevelDatabase(realPath, lsm, { shared: true, createIfMissing: false });
  const block = new ControlBlock(control);
  service = new DrainService(nodeEnvironment(), realPath, database, block, arena);
}

function send(message: DrainAnswerMessage, transfer: ArrayBuffer[]): void {
  port.postMessage(message, transfer);
}
