// Canonical rows of a captured set of tables, slice by slice of its key groups.
//   R1. A slice is small enough that other work of the pool waits for it a moment only, and a row of a
//       key group is in one slice only: slices follow each other in key order.
import { join } from "node:path";
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";
import type { BaseWriterTools, CapturedSst, WrittenBase } from "../checkpoint/base-writer.ts";
import { type PackPiece, writeCanonical } from "../checkpoint/canonical-writer.ts";
import { MIB } from "../common/units.ts";
import { typedFileError, removeDirectory } from "../environment/typed-error.ts";
import { DUMP_FILE_RAW_BYTES } from "../format/dump.ts";

/** Table bytes a slice should have, as stored: about a third of a second of one thread. */
const SLICE_BYTES: number = 32 * MIB;

interface Slice {
  readonly first: number;
  readonly last: number;
}

/** Writes all rows of the tables. `directory` must not exist, and does not afterwards. */
export async function writeTableRows(
  files: readonly CapturedSst[],
  keyGroups: KeyGroupRange,
  directory: string,
  tools: BaseWriterTools,
): Promise<WrittenBase> {
  const { pool, environment } = tools;
  const { fileSystem } = environment;
  const pieces = slicesOf(files, keyGroups).map((slice, index): PackPiece => {
    const tables = files
      .filter(({ smallest, largest }) => {
        return groupOf(smallest) <= slice.last && groupOf(largest) >= slice.first;
      })
      .map(({ path, level, smallest }) => ({ path, level, smallest }));
    const pathPrefix = join(directory, `rows-${index}-`);
    const request = { tables, keyGroups: slice, pathPrefix, fileRawBytes: DUMP_FILE_RAW_BYTES };
    return async (signal) => (await pool.submit("packTables", request, { signal })).files;
  });
  try {
    await fileSystem.makeDirectory(directory);
    return await writeCanonical(pieces, pool.threads, tools);
  } catch (cause) {
    throw typedFileError(`pack rows in ${directory}`, cause);
  } finally {
    await removeDirectory(fileSystem, directory);
  }
}

/** Ranges of key groups of about equal width (R1). */
function slicesOf(files: readonly CapturedSst[], { first, last }: KeyGroupRange): Slice[] {
  const totalBytes = files.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const groups = last - first + 1;
  const count = Math.min(groups, Math.max(1, Math.ceil(totalBytes / SLICE_BYTES)));
  const start = (index: number): number => first + Math.floor((groups * index) / count);
  return Array.from({ length: count }, (_none, index) => {
    return { first: start(index), last: start(index + 1) - 1 };
  });
}

function groupOf(key: Uint8Array): number {
  return key[0]! * 256 + key[1]!;
}
