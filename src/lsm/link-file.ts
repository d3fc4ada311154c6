// A second name for an immutable file, or a copy where the file system cannot give one.
import type { FileSystem } from "../api/environment.ts";
import { linkRefusals } from "../environment/link-refusals.ts";
import { systemCodeOf } from "../environment/typed-error.ts";

export type LinkOutcome = "linked" | "copied" | "absent";

/** "absent" if the source does not exist (any more). Other failures reject with the system's error. */
export async function linkOrCopy(
  fileSystem: FileSystem,
  source: string,
  target: string,
): Promise<LinkOutcome> {
  try {
    await fileSystem.link(source, target);
    return "linked";
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT") return "absent";
    if (!linkRefusals.has(code ?? "")) throw error;
  }
  try {
    await fileSystem.copyFile(source, target);
    return "copied";
  } catch (error) {
    // The copy may have begun: half a file under the target's name must not stay.
    if ((await fileSystem.stat(target)) !== undefined) await fileSystem.unlink(target);
    if (systemCodeOf(error) === "ENOENT") return "absent";
    throw error;
  }
}
