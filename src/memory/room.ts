// What is done with a write buffer as a whole, before and between records.
import { InvalidArgumentError } from "../errors.ts";
import { CHUNK_BYTES, RECORD_BYTES_MIN } from "../format/row-record.ts";
import { checkRowHeader } from "../format/row-value.ts";
import { cleanSparse } from "./reclaim.ts";
import type { RowIndex } from "./row-index.ts";
import type { RowKey } from "./row-key.ts";
import type { WriteBuffer } from "./write-buffer.ts";

/**
 * Chunks to keep free of so many: 2 MiB, or a sixteenth; and as much as the index takes more when it
 * doubles, if there is room for the rows that would make it double: else more would be kept for it than
 * there is, for ever.
 */
export function headroomOf(chunks: number, index: Pick<RowIndex, "bytes" | "limit">): number {
  const mayDouble = (chunks * CHUNK_BYTES) / RECORD_BYTES_MIN >= index.limit;
  return Math.max(4, chunks >> 4) + (mayDouble ? Math.ceil(index.bytes / CHUNK_BYTES) : 0);
}

/** Refuses a budget that leaves no room to work in. */
export function requireRoom(buffer: WriteBuffer): void {
  const { pool, headroomChunks } = buffer;
  const needed = 3 * headroomChunks;
  if (pool.quota >= needed) return;
  throw new InvalidArgumentError(
    `memoryBudgetBytes = ${pool.capacityBytes} leaves this backend a write buffer of ${pool.quota} chunks of 512 KiB, at least ${needed} are needed: raise it, lower lsm.blockCacheBytes or lsm.writeBufferBytes, or share it among fewer backends`,
  );
}

/** Without a cold tier: gives up as many sparse chunks as there is room to move their records to. */
export function cleanAll(buffer: WriteBuffer): void {
  const { ledger } = buffer;
  for (let before = -1; before !== ledger.ownedCount;) {
    before = ledger.ownedCount;
    cleanSparse(buffer);
  }
  buffer.updatePressure();
}

/** Adds a stored row as if it had just been written. The key must have no record. */
export function insertStored(buffer: WriteBuffer, row: RowKey, stored: Uint8Array): void {
  const header = checkRowHeader(stored);
  const reference = buffer.reserve(row, header, stored.length - 1, stored.length - 1, true);
  buffer.u8.set(stored.subarray(1), buffer.valueOffset(reference));
}
