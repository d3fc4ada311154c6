// Which build this is, and where the one with fail points is.
import { fileURLToPath } from "node:url";
import { buildWithFailPoints } from "./fail-points.ts";

/** The folder that has src/ and test/ of the running code. */
export const ownTree: string = fileURLToPath(new URL("../../..", import.meta.url)).replace(
  /\/$/,
  "",
);

let built: string | undefined;

/** A build with fail points: this one, if it is one, or another below dist, made at the first call. */
export function treeWithFailPoints(): string {
  if (!ownTree.endsWith("/dist")) return ownTree;
  built ??= buildWithFailPoints();
  return built;
}
