// Entry of a worker thread: imports only from here and below.
import { constants, setPriority } from "node:os";
import { blockingNodeEnvironment, nodeEnvironment } from "../environment/node-environment.ts";
import { runTask } from "./task-runner.ts";
import type { TaskMessage, TaskReply } from "./tasks.ts";

const { fileSystem } = nodeEnvironment();
const { fileSystem: shortCalls } = blockingNodeEnvironment();

// Records go first where there are fewer cores than busy threads. Linux's nice value is a thread's
// own; elsewhere it is the process's.
if (process.platform === "linux") setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

/** Called by the pool library, which moves the listed buffers instead of copying them. */
export default async function main(message: TaskMessage): Promise<unknown> {
  const reply = await runTask(message, fileSystem, shortCalls);
  const buffers = buffersOf(reply);
  if (buffers.length === 0) return reply;
  // With the first buffers: the library takes a third of the time that this thread needs to start.
  const { move, transferableSymbol, valueSymbol } = await import("piscina");
  const movable = { [transferableSymbol]: buffers, [valueSymbol]: reply };
  return move(movable as unknown as ArrayBuffer); // Its types know only single buffers.
}

function buffersOf(reply: TaskReply): ArrayBuffer[] {
  if (reply.outcome !== "done") return [];
  const buffers = new Set<ArrayBuffer>();
  for (const value of Object.values(reply.response as object)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (!(item instanceof Uint8Array) || !(item.buffer instanceof ArrayBuffer)) continue;
      // A view of a larger buffer, such as Node's pool of small ones, is copied.
      if (item.byteLength === item.buffer.byteLength) buffers.add(item.buffer);
    }
  }
  return [...buffers];
}
