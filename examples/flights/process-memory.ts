import { readFile } from "node:fs/promises";

/** Memory of a process as Linux counts it. In bytes; 0 where the system does not tell. */
export interface ProcessMemory {
  /** Highest resident size so far, mapped files included. */
  readonly peakRssBytes: number;
  /** Resident and not of a file: heap, buffers, shared buffers. */
  readonly anonBytes: number;
}

export async function processMemory(pid: number | undefined): Promise<ProcessMemory> {
  // The process may be gone: then there is nothing to add.
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return {
    peakRssBytes: fieldBytes(status, "VmHWM"),
    anonBytes: fieldBytes(status, "RssAnon") + fieldBytes(status, "RssShmem"),
  };
}

function fieldBytes(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
}
