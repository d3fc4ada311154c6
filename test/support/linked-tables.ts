// R6 of order-checker.ts: whether MANIFEST ever named a table that gets another name. What it named is whole
// and never changes; what a compaction still writes it does not name. A table that a compaction has replaced
// meanwhile may be linked still: src/lsm/capture.ts then looks at MANIFEST again.
import { posix } from "node:path";
import { readLog } from "../../src/format/leveldb-log.ts";
import { decodeVersionEdit } from "../../src/format/leveldb-version-edit.ts";
import type { FileSystem } from "../../src/index.ts";
import { CURRENT_NAME } from "../../src/lsm/file-names.ts";

const tablePattern = /^(\d+)\.(ldb|sst)$/;

/** True for what is no table in a database's own directory, too. */
export async function isNamedByManifest(fileSystem: FileSystem, path: string): Promise<boolean> {
  const number = tablePattern.exec(posix.basename(path))?.[1];
  const current = posix.join(posix.dirname(path), CURRENT_NAME);
  if (number === undefined || (await fileSystem.stat(current)) === undefined) return true;
  const name = Buffer.from(await fileSystem.readFile(current))
    .toString("latin1")
    .trim();
  const manifest = posix.join(posix.dirname(path), name);
  const { records } = readLog(await fileSystem.readFile(manifest), 0, manifest);
  const edits = records.map(({ bytes, endOffset }) =>
    decodeVersionEdit(bytes, manifest, endOffset),
  );
  return edits.some(({ newFiles }) => newFiles.some((file) => file.number === Number(number)));
}
