// Raw snappy blocks (google/snappy, format_description.txt), as LevelDB stores them: reading only. Hot:
// no allocation but for the output.
//   S1. Nothing is allocated by a length that the input cannot give: no element gives more than 64
//       bytes for three.
//   S2. Nothing is read beyond the input or written beyond the output.
import { CorruptionError } from "../errors.ts";

/** Bytes that one byte of input can give at most, rounded up. */
const RATIO_MAX = 22;
/** Longer pieces are copied by `set`. */
const LOOP_BYTES_MAX = 32;

/** The raw bytes. CorruptionError if the input is cut, refers to nothing or is longer than `max`. */
export function decodeSnappy(input: Uint8Array, max: number, file: string): Uint8Array {
  const output = new Uint8Array(snappyLength(input, 0, input.length, max, file));
  decodeSnappyInto(input, 0, input.length, output, file);
  return output;
}

/** Length of the raw bytes of the input from `start` to `end`, at most `max`. */
export function snappyLength(
  input: Uint8Array,
  start: number,
  end: number,
  max: number,
  file: string,
): number {
  let length = 0;
  for (let at = start, scale = 1; ; scale *= 128) {
    if (at >= end || scale > 2 ** 28) return refuse("the length is cut", file);
    const byte = input[at++]!;
    length += (byte & 127) * scale;
    if (byte < 128) break;
  }
  if (length > max || length > (end - start) * RATIO_MAX) {
    return refuse(`${length} bytes are more than there can be`, file); // S1
  }
  return length;
}

/** Writes the raw bytes, whose length `snappyLength` gave, at the start of `output`. */
export function decodeSnappyInto(
  input: Uint8Array,
  start: number,
  inputEnd: number,
  output: Uint8Array,
  file: string,
): void {
  const length = snappyLength(input, start, inputEnd, output.length, file);
  let at = start;
  while (input[at++]! >= 128); // The length.
  let end = 0;
  while (at < inputEnd) {
    const tag = input[at++]!;
    const kind = tag & 3;
    let bytes = (tag >>> 2) + 1;
    if (kind === 0) {
      if (bytes > 60) {
        const lengthBytes = bytes - 60;
        bytes = unsigned(input, at, lengthBytes) + 1;
        at += lengthBytes;
      }
      if (at + bytes > inputEnd || end + bytes > length) refuse("a literal is cut", file); // S2
      if (bytes > LOOP_BYTES_MAX) output.set(input.subarray(at, at + bytes), end);
      else for (let index = 0; index < bytes; index++) output[end + index] = input[at + index]!;
      at += bytes;
      end += bytes;
      continue;
    }
    let offset: number;
    if (kind === 1) {
      bytes = ((tag >>> 2) & 7) + 4;
      offset = (tag >>> 5) * 256 + (input[at] ?? 0);
      at++;
    } else {
      const offsetBytes = kind === 3 ? 4 : 2;
      offset = unsigned(input, at, offsetBytes);
      at += offsetBytes;
    }
    if (at > inputEnd || offset === 0 || offset > end || end + bytes > length) {
      refuse("a copy is cut or refers to nothing", file); // S2
    }
    // Byte by byte: a copy may overlap its own output.
    for (const stop = end + bytes; end < stop; end++) output[end] = output[end - offset]!;
  }
  if (end !== length) refuse(`${end} bytes instead of ${length}`, file);
}

function refuse(message: string, file: string): never {
  throw new CorruptionError(`snappy: ${message}`, file, 0);
}

/** NaN-free even past the end: the caller checks the position afterwards. */
function unsigned(input: Uint8Array, at: number, bytes: number): number {
  let value = 0;
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + (input[at + index] ?? 0);
  return value;
}
