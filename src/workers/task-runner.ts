// Runs one task of the protocol on the thread it is called on.
import type { FileSystem } from "../api/environment.ts";
import { InvariantViolation, StateBackendError, CorruptionError } from "../errors.ts";
import { decodeFileList, encodeFileList } from "../format/file-list.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { decodeFrameSequence, encodeFrameSequence } from "../format/frame-sequence.ts";
import type { FrameTools } from "../format/frame.ts";
import { loadCodec } from "./codec.ts";
import { packDump } from "./dump-packer.ts";
import { unpackDump } from "./dump-unpacker.ts";
import { toErrorData } from "./error-data.ts";
import { hashFile, sha256Of, verifyFile } from "./file-tasks.ts";
import { decodeChanges, verifySegment } from "./segment-tasks.ts";
import { checkTables } from "./table-checker.ts";
import { clipTable } from "./table-clipper.ts";
import { makeTable } from "./table-maker.ts";
import { packTables } from "./table-packer.ts";
import { TaskState, TaskStopped } from "./tasks.ts";
import type { TaskContext, TaskMessage, TaskReply, WorkerTaskName, WorkerTasks } from "./tasks.ts";

type Tasks = {
  readonly [N in WorkerTaskName]: (
    request: WorkerTasks[N]["request"],
    context: TaskContext,
  ) => Promise<WorkerTasks[N]["response"]>;
};

const tasks: Tasks = {
  async warmUp(_request, context) {
    await context.tools();
    return {};
  },
  hashFile,
  verifyFile,
  checkTables,
  clipTable,
  packDump,
  packTables,
  makeTable,
  unpackDump,
  verifySegment,
  decodeChanges,
  async encodeFrames({ bytes }, context) {
    return { bytes: encodeFrameSequence(bytes, await context.tools()) };
  },
  async decodeFrames({ bytes, totalBytesMax, file }, context) {
    return { bytes: decodeFrameSequence(bytes, 0, totalBytesMax, await context.tools(), file) };
  },
  async encodeFileList({ list }, context) {
    const tools = await context.tools();
    const bytes = encodeFileList(list, tools);
    // In pairs: a list that a reader would refuse must never be stored.
    decodeFileList(bytes, tools, "the file list to be written");
    return { bytes, sha256: sha256Of(bytes) };
  },
  async decodeFileList({ bytes, expected, file }, context) {
    if (bytes.length !== expected.lengthBytes || sha256Of(bytes) !== expected.sha256) {
      throw new CorruptionError("length or SHA-256 of the file list does not match", file, 0);
    }
    return { list: decodeFileList(bytes, await context.tools(), file) };
  },
};

/** Never rejects: what a task throws comes back as data. */
export async function runTask(message: TaskMessage, fileSystem: FileSystem): Promise<TaskReply> {
  const { state } = message;
  const found = Atomics.compareExchange(state, 0, TaskState.queued, TaskState.running);
  if (found !== TaskState.queued && !message.isRepeated) return { outcome: "stopped" };

  let codec: string | undefined;
  const context: TaskContext = {
    fileSystem,
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
    const task = tasks[message.name] as (
      request: unknown,
      context: TaskContext,
    ) => Promise<unknown>;
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
