// Records of blind list appends: elements for a list whose rows are not in the buffer. Several of one
// key may be live, one for each generation; the index refers to the newest, which refers to the one
// before it.
import {
  CHUNK_UNITS_SHIFT,
  RECORD_HEADER_BYTES,
  RecordFlag,
  boundedUnits,
} from "../format/row-record.ts";
import type { RowKey } from "./row-key.ts";
import type { WriteBuffer } from "./write-buffer.ts";

/**
 * A new append record of the active generation. An older one of the key stays live for its own drain;
 * the new one refers to it. Returns a record with `valueBytes` of value, of which the first 8 are set.
 */
export function reserveAppend(
  buffer: WriteBuffer,
  row: RowKey,
  valueBytes: number,
  capacityBytes: number,
): number {
  const units = boundedUnits(row.length, valueBytes, capacityBytes);
  buffer.makeRoom(units);
  const old = buffer.find(row);
  const reference = buffer.append(row, 0, valueBytes, units, RecordFlag.append);
  if (old === 0) {
    buffer.insert(row.hash, reference);
  } else {
    const at = buffer.index.slotOf(row.hash, old);
    buffer.index.slots[at + 1] = reference;
    buffer.epochs.advance();
  }
  const header = buffer.valueOffset(reference) >>> 2;
  buffer.i32[header] = old;
  buffer.i32[header + 1] = old === 0 ? 0 : buffer.generationOf(old);
  return reference;
}

/** Lets an append record of the active generation grow within its slack; false if it cannot. */
export function growAppend(
  buffer: WriteBuffer,
  row: RowKey,
  reference: number,
  valueBytes: number,
): boolean {
  const { ledger, i32 } = buffer;
  if (ledger.generation[reference >>> CHUNK_UNITS_SHIFT] !== ledger.active) return false;
  const record = reference << 1;
  const units = i32[record + 2]! >>> 16;
  const slack = units * 8 - RECORD_HEADER_BYTES - ((row.length + 7) & ~7) - valueBytes;
  if (slack < 0) return false;
  i32[record + 2] = (units << 16) | slack;
  return true;
}
