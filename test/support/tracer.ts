// strace in front of a command, and the lines that it writes.
import { spawnSync } from "node:child_process";

/** Whether processes can be traced here: a container may forbid it. */
export function canTrace(): boolean {
  return spawnSync("strace", ["-qq", "true"]).status === 0;
}

/** With all threads and children. */
export const tracerCommand: readonly string[] = ["strace", "-f", "-qq"];

/** Calls of a trace, without their threads; one that another thread interrupted stands where it ended. */
export function tracedCalls(trace: string): string[] {
  const open = new Map<string, string>();
  return trace.split("\n").flatMap((line) => {
    const [, thread = "", rest = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? ["", "", line];
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    if (unfinished !== null) {
      open.set(thread, unfinished[1]!);
      return [];
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    if (resumed === null) return [rest];
    const start = open.get(thread) ?? "";
    open.delete(thread);
    return [start + resumed[1]!];
  });
}
