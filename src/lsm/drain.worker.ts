// Entry of the drain thread: one thread per LsmStore, sharing the store's database handle.
//   W1. The owner opens the database before it has this thread open it, and closes it after this
//       thread has ended: the first opener's block cache is the one in use.
//   W2. Every request gets exactly one answer.
import { parentPort } from "node:worker_threads";
import { assert } from "../common/assert.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { toErrorData } from "../workers/error-data.ts";
import type { DrainAnswerMessage, DrainCallMessage } from "./drain-protocol.ts";
import { DrainRequests } from "./drain-requests.ts";
import { typedFailure } from "./failure.ts";

assert(parentPort !== null, "the drain thread has a parent");
const port = parentPort;
const requests = new DrainRequests(nodeEnvironment());

port.on("message", (message: DrainCallMessage) => {
  void answer(message);
});

async function answer(message: DrainCallMessage): Promise<void> {
  try {
    const result = await requests.serve(message);
    const transfer = message.kind === "prefetch" ? [(result as Uint8Array).buffer] : [];
    send({ id: message.id, result }, transfer as ArrayBuffer[]);
  } catch (error) {
    const failure = toErrorData(typedFailure(error, `the drain thread's ${message.kind}`));
    send({ id: message.id, failure, poisoned: requests.isPoisoned }, []);
  }
  if (message.kind === "close") port.close();
}

function send(message: DrainAnswerMessage, transfer: ArrayBuffer[]): void {
  port.postMessage(message, transfer);
}
