// Whether results can be kept in a directory, found out before anything is started or created.
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { UsageError } from "./options.ts";

/** Throws UsageError unless `path` is a directory that can be written, or can be made one. */
export async function checkOutputDirectory(path: string): Promise<void> {
  for (let at = resolve(path); ; at = dirname(at)) {
    const kind = await kindOf(at);
    if (kind === "absent") continue;
    if (kind !== "directory") throw new UsageError(`--output: ${at} is ${kind}`);
    try {
      await access(at, constants.W_OK | constants.X_OK);
    } catch {
      throw new UsageError(`--output: ${at} cannot be written`);
    }
    return;
  }
}

async function kindOf(path: string): Promise<string> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "not a directory";
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "absent";
    return code === "ENOTDIR" ? "below a file" : `not usable (${code})`;
  }
}
