// A write buffer's arena, filled by hand as src/format/row-record.ts describes it.
import { CHUNK_BYTES, CHUNK_UNITS, RecordFlag, recordUnits } from "../../src/format/row-record.ts";
import type { DumpChunk } from "../../src/workers/tasks.ts";

export interface ArenaRow {
  readonly key: string;
  readonly value: string;
  readonly header?: number;
  readonly superseded?: number;
  readonly isTombstone?: boolean;
  /** Value bytes reserved and unused. */
  readonly slack?: number;
}

/** One chunk per item of `generations`. */
export function arenaOf(
  generations: readonly { readonly generation: number; readonly rows: readonly ArenaRow[] }[],
): { readonly arena: SharedArrayBuffer; readonly chunks: DumpChunk[] } {
  const arena = new SharedArrayBuffer(CHUNK_BYTES * generations.length);
  const words = new Int32Array(arena);
  const bytes = new Uint8Array(arena);
  const chunks = generations.map(({ generation, rows }, chunk): DumpChunk => {
    let unit = chunk * CHUNK_UNITS;
    for (const row of rows) {
      const [key, value] = [Buffer.from(row.key), Buffer.from(row.value)];
      const capacity = (value.length + (row.slack ?? 0) + 7) & ~7;
      const units = recordUnits(key.length, capacity);
      const word = unit * 2;
      const flags = row.isTombstone === true ? RecordFlag.tombstone : 0;
      words[word + 1] = key.length | ((row.header ?? 1) << 16) | flags;
      words[word + 2] = (units << 16) | (capacity - value.length);
      words[word + 3] = row.superseded ?? 0;
      bytes.set(key, unit * 8 + 16);
      bytes.set(value, unit * 8 + 16 + ((key.length + 7) & ~7));
      unit += units;
    }
    return { chunk, generation, usedUnits: unit - chunk * CHUNK_UNITS };
  });
  return { arena, chunks };
}
