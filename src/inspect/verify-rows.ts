// What a restore checks of rows besides the hash of their files, for `verify` with rows.
//   C1. Of a table every entry is walked through, as before LevelDB opens it.
//   C2. Of a dump or canonical file: frames, order within and between files, the number of rows, the form
//       of each key, and that it is of the handle's states and key groups. What a search for rows passes
//       over is looked at too.
import { type ListEntry, requireOwnGroups, tableClaims } from "../checkpoint/base-reader.ts";
import { fileName } from "../checkpoint/layout.ts";
import { keyGroupOf } from "../common/key-group.ts";
import { CorruptionError } from "../errors.ts";
import { readDump } from "../format/dump.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import type { TableClaims } from "../format/leveldb-table-walk.ts";
import { RowAddresses } from "../state/row-addresses.ts";
import { loadCodec } from "../workers/codec.ts";
import type { BasePart } from "./base-part.ts";
import { StoredFile } from "./stored-file.ts";

/** What the table at this place of the list must hold; undefined for any other file (C1). */
export async function claimsOf(part: BasePart, index: number): Promise<TableClaims | undefined> {
  const list = await part.list();
  const entries: readonly ListEntry[] = list.files;
  const entry = entries[index];
  return entry === undefined ? undefined : tableClaims(list, part.handle)(entry);
}

/** Checks the dump files of a part, in their order, which were verified (C2). None of a set of tables. */
export async function checkDumpRows(part: BasePart): Promise<void> {
  const list = await part.list();
  if (list.kind === "sst-set") return;
  const { keyGroups, states } = part.handle;
  const tools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
  const addresses = new RowAddresses(keyGroups, states);
  let before: Uint8Array = new Uint8Array(0);
  for (const entry of list.files) {
    const stored = new StoredFile(part.storage, entry);
    const bytes = await stored.read(0, entry.lengthBytes);
    const file = fileName(entry.id);
    const groups = "firstKeyGroup" in entry ? entry : undefined;
    requireOwnGroups(entry, part.handle);
    const visit = (
      rows: Uint8Array,
      ...places: readonly [number, number, number, number]
    ): void => {
      const [keyStart, keyEnd, rowStart, rowEnd] = places;
      const key = rows.subarray(keyStart, keyEnd);
      if (Buffer.compare(before, key) >= 0) refuse("rows do not ascend from file to file", file);
      addresses.select(key, file);
      addresses.checkRow(rows.subarray(rowStart, rowEnd), file);
      if (groups !== undefined) {
        const group = key[0]! * 256 + key[1]!;
        const isOwn = group === keyGroupOf(addresses.keyHash, keyGroups.max);
        const isInside = group >= groups.firstKeyGroup && group <= groups.lastKeyGroup;
        if (!isOwn || !isInside) refuse("a row is of another key group than its key", file);
      }
      before = key;
    };
    const { rowCount } = readDump(bytes, tools, file, () => undefined, visit);
    if (rowCount === entry.rowCount) continue;
    refuse("the file has another number of rows than its list says", file);
  }
}

function refuse(message: string, file: string): never {
  throw new CorruptionError(message, file, 0);
}
