// Raw snappy blocks (google/snappy, format_description.txt), as LevelDB stores them: reading only.
import { CorruptionError } from "../errors.ts";

/** The raw bytes. CorruptionError if the input is cut, refers to nothing or is longer than `max`. */
export function decodeSnappy(input: Uint8Array, max: number, file: string): Uint8Array {
  const refuse = (message: string): never => {
    throw new CorruptionError(`snappy: ${message}`, file, 0);
  };
  let at = 0;
  let length = 0;
  for (let shift = 1; ; shift *= 128) {
    const byte = input[at++];
    if (byte === undefined || shift > 2 ** 28) return refuse("the length is cut");
    length += (byte & 127) * shift;
    if (byte < 128) break;
  }
  if (length > max) refuse(`${length} bytes are more than ${max}`);
  const output = new Uint8Array(length);
  let end = 0;
  while (at < input.length) {
    const tag = input[at++]!;
    const kind = tag & 3;
    if (kind === 0) {
      let bytes = tag >>> 2;
      if (bytes >= 60) {
        const lengthBytes = bytes - 59;
        bytes = unsigned(input, at, lengthBytes);
        at += lengthBytes;
      }
      bytes++;
      if (at + bytes > input.length || end + bytes > length) refuse("a literal is cut");
      output.set(input.subarray(at, at + bytes), end);
      at += bytes;
      end += bytes;
      continue;
    }
    const offsetBytes = kind === 3 ? 4 : kind;
    let offset = unsigned(input, at, offsetBytes);
    at += offsetBytes;
    let bytes = (tag >>> 2) + 1;
    if (kind === 1) {
      bytes = ((tag >>> 2) & 7) + 4;
      offset += (tag >>> 5) * 256;
    }
    if (at > input.length || offset === 0 || offset > end || end + bytes > length) {
      refuse("a copy is cut or refers to nothing");
    }
    // Byte by byte: a copy may overlap its own output.
    for (let index = 0; index < bytes; index++, end++) output[end] = output[end - offset]!;
  }
  if (end !== length) refuse(`${end} bytes instead of ${length}`);
  return output;
}

/** NaN-free even past the end: the caller checks the position afterwards. */
function unsigned(input: Uint8Array, at: number, bytes: number): number {
  let value = 0;
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + (input[at + index] ?? 0);
  return value;
}
