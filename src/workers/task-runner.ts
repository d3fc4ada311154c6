// Runs one task of the protocol on the thread it is called on.
//   T1. A thread loads the code of a task with its first one: starting takes half of the time.
import type { FileSystem } from "../api/environment.ts";
import { InvariantViolation, StateBackendError } from "../errors.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import type { FrameTools } from "../format/frame.ts";
import { loadCodec } from "./codec.ts";
import { toErrorData } from "./error-data.ts";
import { TaskState, TaskStopped } from "./tasks.ts";
import type {
  TaskContext,
  TaskFunction,
  TaskMessage,
  TaskReply,
  WorkerTaskName,
  WorkerTasks,
} from "./tasks.ts";

/** T1 */
const loaders: { readonly [N in WorkerTaskName]: () => Promise<TaskFunction<N>> } = {
  warmUp: () => Promise.resolve(warmUp),
  hashFile: async () => (await import("./file-tasks.ts")).hashFile,
  verifyFile: async () => (await import("./file-tasks.ts")).verifyFile,
  checkTables: async () => (await import("./table-checker.ts")).checkTables,
  clipTable: async () => (await import("./table-clipper.ts")).clipTable,
  packDump: async () => (await import("./dump-packer.ts")).packDump,
  packTables: async () => (await import("./table-packer.ts")).packTables,
  makeTable: async () => (await import("./table-maker.ts")).makeTable,
  unpackDump: async () => (await import("./dump-unpacker.ts")).unpackDump,
  verifySegment: async () => (await import("./segment-tasks.ts")).verifySegment,
  mergeSegments: async () => (await import("./segment-tasks.ts")).mergeSegments,
  decodeChanges: async () => (await import("./segment-tasks.ts")).decodeChanges,
  encodeFrames: async () => (await import("./frame-tasks.ts")).encodeFrames,
  decodeFrames: async () => (await import("./frame-tasks.ts")).decodeFrames,
  encodeFileList: async () => (await import("./frame-tasks.ts")).encodeList,
  decodeFileList: async () => (await import("./frame-tasks.ts")).decodeList,
};

export const taskNames = Object.keys(loaders) as readonly WorkerTaskName[];

async function warmUp(
  { tasks, usesTools }: WorkerTasks["warmUp"]["request"],
  context: TaskContext,
): Promise<Record<never, never>> {
  await Promise.all(tasks.map((name) => loaders[name]()));
  if (usesTools) await context.tools();
  return {};
}

/** Never rejects: what a task throws comes back as data. `shortCalls` as in TaskContext. */
export async function runTask(
  message: TaskMessage,
  fileSystem: FileSystem,
  shortCalls: FileSystem = fileSystem,
): Promise<TaskReply> {
  const { state } = message;
  let codec: string | undefined;
  const context: TaskContext = {
    fileSystem,
    shortCalls,
    isRepeated: message.isRepeated,
    checkStop: () => {
      if (Atomics.load(state, 0) === TaskState.stopping) throw new TaskStopped();
    },
    tools: async (): Promise<FrameTools> => {
      const loaded = loadCodec();
      codec = loaded.name;
      return { checksum: await loadFrameChecksum(), codec: loaded };
    },
  };
  try {
    const task = (await loaders[message.name]()) as (
      request: unknown,
      context: TaskContext,
    ) => Promise<unknown>;
    // Only now it may be ended (W5 of worker-pool.ts): a thread that is ended as it loads ends the process.
    const found = Atomics.compareExchange(state, 0, TaskState.queued, TaskState.running);
    if (found !== TaskState.queued && !message.isRepeated) return { outcome: "stopped" };
    const response = await task(message.request, context);
    return { outcome: "done", response, codec };
  } catch (cause) {
    if (cause instanceof TaskStopped) return { outcome: "stopped" };
    const error =
      cause instanceof StateBackendError
        ? cause
        : new InvariantViolation(`worker task ${message.name} failed: ${String(cause)}`, { cause });
    return { outcome: "failed", error: toErrorData(error) };
  }
}
