// What Linux knows of this process, or of another: bytes to the disk, memory, handles, threads.
import { readFileSync, readdirSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

export interface DiskBytes {
  /** Handed to `write` and its kin. */
  readonly logical: number;
  /** Pages made dirty on their way to a disk, less those dropped before they got there. */
  readonly physical: number;
}

export function diskBytes(): DiskBytes {
  const text = readFileSync("/proc/self/io", "latin1");
  const field = (name: string): number => {
    const match = new RegExp(`^${name}: (\\d+)$`, "mu").exec(text);
    if (match === null) throw new Error(`/proc/self/io has no ${name}`);
    return Number(match[1]);
  };
  return {
    logical: field("wchar"),
    physical: field("write_bytes") - field("cancelled_write_bytes"),
  };
}

export function openHandles(): number {
  return readdirSync("/proc/self/fd").length;
}

export function threads(): number {
  return readdirSync("/proc/self/task").length;
}

/** Of all files below a directory; those that go meanwhile count for nothing. The bytes of a file with two names count once. */
export async function treeSize(directory: string): Promise<{ files: number; bytes: number }> {
  let files = 0;
  let bytes = 0;
  const inodes = new Set<number>();
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    try {
      const { size, ino } = await stat(join(entry.parentPath, entry.name));
      files++;
      if (inodes.has(ino)) continue;
      inodes.add(ino);
      bytes += size;
    } catch {
      // Deleted since.
    }
  }
  return { files, bytes };
}
