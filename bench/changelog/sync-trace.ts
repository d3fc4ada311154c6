// What `strace -f -y -e trace=fsync,fdatasync` wrote, counted between two marks.

/** Synced to mark a place in the trace. */
export const markerName = "marker";

export interface Syncs {
  /** Of segments and other data files of the storage. */
  readonly data: number;
  /** Of the directory that names them. */
  readonly names: number;
  /** Of metadata and hint, and of their directories. */
  readonly metadata: number;
  /** Of the LSM's own files, in the working directories. */
  readonly working: number;
}

/** `root`: of everything, with symbolic links resolved. Syncs of other paths are not expected. */
export function countSyncs(trace: string, root: string): Syncs {
  const counts = { data: 0, names: 0, metadata: 0, working: 0 };
  let marks = 0;
  for (const line of trace.split("\n")) {
    // A call that another thread interrupts ends on a second line, without its arguments.
    const path = /\b(?:fsync|fdatasync)\(\d+<([^>]*)>/.exec(line)?.[1];
    if (path === undefined) continue;
    if (path === `${root}/${markerName}`) marks++;
    else if (marks === 1) counts[kindOf(path, root)]++;
  }
  if (marks !== 2) throw new Error(`the trace has ${marks} marks`);
  return counts;
}

function kindOf(path: string, root: string): keyof Syncs {
  if (path.startsWith(`${root}/checkpoints/files/`)) return "data";
  if (path === `${root}/checkpoints/files`) return "names";
  if (path.startsWith(`${root}/checkpoints`)) return "metadata";
  if (path.startsWith(`${root}/working-`)) return "working";
  throw new Error(`a sync of ${path} is not expected`);
}
