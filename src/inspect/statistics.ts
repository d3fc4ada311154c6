// Counts what is stored, in one pass over each base: rows come in the order of key groups and states.
import { CorruptionError } from "../errors.ts";
import { PART_OFFSET, RowPart, STATE_ID_OFFSET } from "../format/key-codec.ts";
import type { BasePart } from "./base-part.ts";
import { rangeOfGroups } from "./row-source.ts";

/** What a state has in a key group. */
export interface KeyGroupStatistics {
  readonly keyGroup: number;
  readonly stateId: number;
  /** Undefined for rows of a state that the metadata does not name, which is damage. */
  readonly state: string | undefined;
  /** Keys, each namespace counted: root rows. */
  readonly keys: number;
  /** Root rows, chunks and nodes. */
  readonly rows: number;
  /** Row keys and rows, uncompressed, without what was overwritten or removed. */
  readonly bytes: number;
}

export async function* statisticsOf(
  parts: readonly BasePart[],
): AsyncGenerator<KeyGroupStatistics, void, void> {
  for (const part of parts) {
    const names = new Map(part.handle.states.map(({ id, name }) => [id, name]));
    const { first, last } = part.handle.keyGroups;
    const source = await part.rows();
    let [keyGroup, stateId, keys, rows, bytes] = [-1, 0, 0, 0, 0];
    for await (const batch of source.rows(rangeOfGroups(first, last))) {
      for (const { key, row } of batch) {
        const [group, id] = prefixOf(key);
        if (group !== keyGroup || id !== stateId) {
          if (rows > 0) yield { keyGroup, stateId, state: names.get(stateId), keys, rows, bytes };
          [keyGroup, stateId, keys, rows, bytes] = [group, id, 0, 0, 0];
        }
        if (key[PART_OFFSET] === RowPart.root) keys++;
        rows++;
        bytes += key.length + row.length;
      }
    }
    if (rows > 0) yield { keyGroup, stateId, state: names.get(stateId), keys, rows, bytes };
  }
}

function prefixOf(key: Uint8Array): [keyGroup: number, stateId: number] {
  if (key.length <= PART_OFFSET) throw new CorruptionError("a row key is cut", "row key", 0);
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return [view.getUint16(0), view.getUint32(STATE_ID_OFFSET)];
}
