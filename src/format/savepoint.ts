// What makes a checkpoint a savepoint: a mark among the extensions of its metadata. Page:
// docs/formats/savepoint.md.
import type { JsonValue, SavepointFormat } from "../api/keyed-state-backend.ts";
import { UnsupportedFormatError } from "../errors.ts";
import type { CheckpointMetadata } from "./metadata.ts";

const MARK = "savepoint";

/** The extensions of a savepoint's metadata. */
export function markSavepoint(format: SavepointFormat): { readonly [name: string]: JsonValue } {
  return { [MARK]: { format } };
}

/** The format of a savepoint; undefined for any other checkpoint. `file` is for errors. */
export function savepointFormatOf(
  metadata: CheckpointMetadata,
  file: string,
): SavepointFormat | undefined {
  const { extensions } = metadata;
  if (extensions === undefined || !Object.hasOwn(extensions, MARK)) return undefined;
  const mark = JSON.stringify(extensions[MARK]);
  for (const format of ["canonical", "native"] as const) {
    if (mark === JSON.stringify({ format })) return format;
  }
  throw new UnsupportedFormatError(
    `savepoint ${file}`,
    mark.slice(0, 64),
    "the formats canonical and native",
  );
}
