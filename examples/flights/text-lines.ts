import { closeSync, openSync, readSync } from "node:fs";

const CHUNK_BYTES = 1_048_576;

/** Calls back for each line of an ASCII file, without its line feed. The last one may lack it. */
export function forEachLine(path: string, take: (line: string) => void): void {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let rest = "";
    for (;;) {
      const length = readSync(file, buffer, 0, CHUNK_BYTES, null);
      if (length === 0) break;
      const lines = (rest + buffer.toString("latin1", 0, length)).split("\n");
      rest = lines.pop()!;
      for (const line of lines) take(line);
    }
    if (rest !== "") take(rest);
  } finally {
    closeSync(file);
  }
}
