import { readFileSync } from "node:fs";

/** Resident bytes of this process, by kind. Linux. */
export interface Resident {
  readonly anonymous: number;
  readonly shared: number;
  /** Pages of mapped files, which the kernel can drop: LevelDB's tables. */
  readonly file: number;
}

export function residentBytes(): Resident {
  const status = readFileSync("/proc/self/status", "latin1");
  return {
    anonymous: bytesOf(status, "RssAnon"),
    shared: bytesOf(status, "RssShmem"),
    file: bytesOf(status, "RssFile"),
  };
}

function bytesOf(status: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "mu").exec(status);
  if (match === null) throw new Error(`/proc/self/status has no ${name}`);
  return Number(match[1]) * 1024;
}
