// Bytes of any length as consecutive frames, all but the last of FRAME_RAW_BYTES_MAX raw bytes.
// Page: docs/formats/frame.md#sequences.
import { CorruptionError } from "../errors.ts";
import {
  FRAME_RAW_BYTES_MAX,
  decodeFrame,
  encodeFrame,
  frameEnd,
  readFrameHeader,
} from "./frame.ts";
import type { FrameSource, FrameTools } from "./frame.ts";

/** The bytes as frames; no bytes are one empty frame. */
export function encodeFrameSequence(raw: Uint8Array, tools: FrameTools): Uint8Array {
  const frames: Uint8Array[] = [];
  let at = 0;
  do {
    frames.push(encodeFrame(raw.subarray(at, at + FRAME_RAW_BYTES_MAX), tools));
    at += FRAME_RAW_BYTES_MAX;
  } while (at < raw.length);
  return concatenate(frames);
}

/** The raw bytes of the frames from `start` to the end, at most `totalBytesMax` of them. */
export function decodeFrameSequence(
  bytes: Uint8Array,
  start: number,
  totalBytesMax: number,
  tools: FrameTools,
  file: string,
): Uint8Array {
  const source: FrameSource = { file, fileOffset: 0, rawBytesMax: FRAME_RAW_BYTES_MAX };
  let totalBytes = 0;
  let wasFull = true;
  let offset = start;
  do {
    const header = readFrameHeader(bytes, offset, bytes.length, source);
    if (!wasFull) throw new CorruptionError("a frame follows a short one", file, offset);
    wasFull = header.rawLength === FRAME_RAW_BYTES_MAX;
    totalBytes += header.rawLength;
    if (totalBytes > totalBytesMax) {
      throw new CorruptionError("frames are longer than they can be", file, offset);
    }
    offset = frameEnd(offset, header);
  } while (offset < bytes.length);

  const raw = new Uint8Array(totalBytes);
  let at = 0;
  for (offset = start; offset < bytes.length;) {
    const header = readFrameHeader(bytes, offset, bytes.length, source);
    raw.set(decodeFrame(bytes, offset, header, tools, source), at);
    at += header.rawLength;
    offset = frameEnd(offset, header);
  }
  return raw;
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
