// Compresses, decompresses and checks frames, and the file lists that are made of them.
import { CorruptionError } from "../errors.ts";
import { decodeFileList, encodeFileList } from "../format/file-list.ts";
import { decodeFrameSequence, encodeFrameSequence } from "../format/frame-sequence.ts";
import { sha256Of } from "./file-tasks.ts";
import type { TaskFunction } from "./tasks.ts";

export const encodeFrames: TaskFunction<"encodeFrames"> = async ({ bytes }, context) => {
  return { bytes: encodeFrameSequence(bytes, await context.tools()) };
};

export const decodeFrames: TaskFunction<"decodeFrames"> = async (
  { bytes, totalBytesMax, file },
  context,
) => {
  return { bytes: decodeFrameSequence(bytes, 0, totalBytesMax, await context.tools(), file) };
};

export const encodeList: TaskFunction<"encodeFileList"> = async ({ list }, context) => {
  const tools = await context.tools();
  const bytes = encodeFileList(list, tools);
  // In pairs: a list that a reader would refuse must never be stored.
  decodeFileList(bytes, tools, "the file list to be written");
  return { bytes, sha256: sha256Of(bytes) };
};

export const decodeList: TaskFunction<"decodeFileList"> = async (
  { bytes, expected, file },
  context,
) => {
  if (bytes.length !== expected.lengthBytes || sha256Of(bytes) !== expected.sha256) {
    throw new CorruptionError("length or SHA-256 of the file list does not match", file, 0);
  }
  return { list: decodeFileList(bytes, await context.tools(), file) };
};
