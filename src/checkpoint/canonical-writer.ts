// Stores canonical rows: files that are packed piece by piece, then their list. Page:
// docs/formats/savepoint.md.
//   N1. Pieces are packed and stored side by side; the list has their files in the order of the pieces.
//   N2. A packed file is removed once it is stored: the working directory never holds all of them.
import type { CanonicalListEntry } from "../format/file-list.ts";
import type { PackedDumpFile } from "../workers/tasks.ts";
import { type BaseWriterTools, Upload, type WrittenBase } from "./base-writer.ts";
import { runBounded } from "./bounded-work.ts";

/** Packs a part of the rows; those of the next piece come after them. */
export type PackPiece = (signal: AbortSignal) => Promise<readonly PackedDumpFile[]>;

/** Packs and stores the pieces, `lanes` at a time. */
export async function writeCanonical(
  pieces: readonly PackPiece[],
  lanes: number,
  tools: BaseWriterTools,
): Promise<WrittenBase> {
  const { fileSystem } = tools.environment;
  const upload = new Upload(tools);
  return upload.run(async () => {
    upload.begins();
    const entries: CanonicalListEntry[][] = pieces.map(() => []);
    const indexes = pieces.map((_piece, index) => index);
    await runBounded(indexes, lanes, tools.signal, async (index, stop) => {
      for (const { path, ...packed } of await pieces[index]!(stop)) {
        const entry = { id: upload.newId(), ...packed };
        await upload.put(entry, path, stop);
        await fileSystem.unlink(path); // N2
        entries[index]!.push(entry);
      }
    });
    return upload.putList({ kind: "canonical", files: entries.flat() }); // N1
  });
}
