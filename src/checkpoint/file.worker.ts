// Entry of the file thread.
//   F1. Every request gets exactly one answer.
//   F2. One at a time: the calls of one are over before the next is looked at, since they block.
import { parentPort } from "node:worker_threads";
import { assert, unreachable } from "../common/assert.ts";
import { blockingNodeEnvironment } from "../environment/node-environment.ts";
import { toErrorData } from "../workers/error-data.ts";
import type { FileAnswerMessage, FileCallMessage, NamedData } from "./file-thread.ts";
import { DirectWholeFiles, type Named } from "./whole-files.ts";

assert(parentPort !== null, "the file thread has a parent");
const port = parentPort;
const files = new DirectWholeFiles(blockingNodeEnvironment().fileSystem);

port.on("message", (message: FileCallMessage) => void answer(message));

async function answer(message: FileCallMessage): Promise<void> {
  try {
    const result = await serve(message);
    const transfer = result instanceof Uint8Array ? [result.buffer as ArrayBuffer] : [];
    send({ id: message.id, result }, transfer);
  } catch (error) {
    send({ id: message.id, error: toErrorData(error) });
  }
}

async function serve(message: FileCallMessage): Promise<NamedData | Uint8Array> {
  switch (message.kind) {
    case "create":
      return dataOf(await files.create(message.request));
    case "replace":
      return dataOf(await files.replace(message.request));
    case "read":
      return files.read(message.request.path, message.request.maxBytes);
    default:
      return unreachable(message);
  }
}

function dataOf({ outcome, read, unsynced }: Named): NamedData {
  return { outcome, read, unsynced: unsynced === undefined ? undefined : toErrorData(unsynced) };
}

function send(message: FileAnswerMessage, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
