// Names of stored objects: `/`-separated segments of [a-z0-9._-], none starting with a dot. A
// linear scanner: names may come from hostile metadata.
import { InvalidArgumentError } from "../errors.ts";

export const OBJECT_NAME_LENGTH_MAX = 256;

/** True if this is a name that a CheckpointStorage takes; a prefix may also be empty or end in `/`. */
export function isObjectName(name: string, isPrefix: boolean = false): boolean {
  if (name.length > OBJECT_NAME_LENGTH_MAX) return false;
  if (name.length === 0) return isPrefix;
  let isSegmentStart = true;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code === 0x2f) {
      if (isSegmentStart) return false;
      isSegmentStart = true;
      continue;
    }
    const isDot = code === 0x2e;
    const isOther =
      (code >= 0x61 && code <= 0x7a) || // a-z
      (code >= 0x30 && code <= 0x39) || // 0-9
      code === 0x5f ||
      code === 0x2d; // _ and -
    if (!isOther && !(isDot && !isSegmentStart)) return false;
    isSegmentStart = false;
  }
  return isPrefix || !isSegmentStart;
}

/** Refuses what is not a name. */
export function checkObjectName(name: string, isPrefix: boolean = false): void {
  if (isObjectName(name, isPrefix)) return;
  throw new InvalidArgumentError(`not a name of a stored object: ${JSON.stringify(name)}`);
}
