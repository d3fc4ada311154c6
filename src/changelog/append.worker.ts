// Entry of the append thread: one a process (of each state host), since the order of appends matters
// and a task of a pool costs more than a small append.
//   W1. Every request gets exactly one answer.
import { parentPort, workerData } from "node:worker_threads";
import { assert, unreachable } from "../common/assert.ts";
import { blockingNodeEnvironment } from "../environment/node-environment.ts";
import { toErrorData } from "../workers/error-data.ts";
import type {
  AppendAnswerMessage,
  AppendCallMessage,
  AppendThreadData,
} from "./append-protocol.ts";
import { AppendService } from "./append-service.ts";

assert(parentPort !== null, "the append thread has a parent");
const port = parentPort;
const { arena } = workerData as AppendThreadData;
const service = AppendService.open(blockingNodeEnvironment(), arena);
service.catch(() => undefined); // The first request tells.
/** The tail of the queue: requests run in order, one at a time. */
let queue: Promise<void> = Promise.resolve();

port.on("message", (message: AppendCallMessage) => {
  queue = queue.then(() => answer(message));
});

async function answer(message: AppendCallMessage): Promise<void> {
  try {
    send({ id: message.id, result: await serve(message) });
  } catch (error) {
    send({ id: message.id, error: toErrorData(error) });
  }
  if (message.kind === "end") port.close();
}

async function serve(message: AppendCallMessage): Promise<AppendAnswerMessage["result"]> {
  const opened = await service;
  switch (message.kind) {
    case "create":
      return opened.create(message.request);
    case "append":
      return opened.append(message.request);
    case "close":
      return opened.close(message.request);
    case "end":
      return opened.end();
    default:
      return unreachable(message);
  }
}

function send(message: AppendAnswerMessage): void {
  port.postMessage(message);
}
