// Gets chunks back from the write buffer: by evicting what the cold tier has, or, without one, by
// moving the live records of sparse chunks together.
import { CHUNK_UNITS, CHUNK_UNITS_SHIFT } from "../format/row-record.ts";
import { Counter } from "./buffer-contracts.ts";
import type { RowIndex } from "./row-index.ts";
import type { WriteBuffer } from "./write-buffer.ts";

/** A chunk with less live records than this share of it is worth cleaning. */
const SPARSE_RATIO = 0.75;

/** Evicts the chunk that has been clean for longest; false if none is clean. */
export function recycleOldest(buffer: WriteBuffer): boolean {
  const { i32, index, ledger } = buffer;
  const chunk = ledger.oldestClean();
  if (chunk === 0 || buffer.cold === undefined) return false;
  const start = chunk << CHUNK_UNITS_SHIFT;
  const end = start + ledger.usedUnits[chunk]!;
  for (let reference = start; reference < end;) {
    const record = reference << 1;
    // An append record may be live and yet not in the index: a newer append took its slot.
    if (i32[record + 3] === 0 && isIndexed(index, i32[record]!, reference)) {
      index.removeAt(index.slotOf(i32[record]!, reference));
      buffer.counters[Counter.evictedRows]!++;
    }
    reference += i32[record + 2]! >>> 16;
  }
  ledger.release(chunk);
  buffer.recycledChunks++;
  buffer.epochs.advance();
  return true;
}

function isIndexed(index: RowIndex, hash: number, reference: number): boolean {
  const { slots, mask, shift } = index;
  for (let at = (hash >>> shift) << 1; slots[at + 1] !== 0; at = (at + 2) & mask) {
    if (slots[at + 1] === reference) return true;
  }
  return false;
}

/** Moves live records of the sparsest chunks that nobody reads into the open one, while they fit. */
export function cleanSparse(buffer: WriteBuffer): void {
  const { ledger, i32 } = buffer;
  const candidates = ledger
    .owned()
    .filter((chunk) => chunk !== ledger.activeChunk && !ledger.isRead(chunk))
    .filter((chunk) => ledger.liveUnits[chunk]! < CHUNK_UNITS * SPARSE_RATIO)
    .sort((a, b) => ledger.liveUnits[a]! - ledger.liveUnits[b]!);
  for (const chunk of candidates) {
    if (ledger.position + ledger.liveUnits[chunk]! > ledger.end) return;
    const start = chunk << CHUNK_UNITS_SHIFT;
    const end = start + ledger.usedUnits[chunk]!;
    for (let reference = start; reference < end;) {
      const units = i32[(reference << 1) + 2]! >>> 16;
      if (i32[(reference << 1) + 3] === 0) move(buffer, reference, units);
      reference += units;
    }
  }
}

function move(buffer: WriteBuffer, reference: number, units: number): void {
  const { ledger, i32 } = buffer;
  const target = ledger.position;
  ledger.position += units;
  buffer.u8.copyWithin(target * 8, reference * 8, (reference + units) * 8);
  ledger.liveUnits[target >>> CHUNK_UNITS_SHIFT]! += units;
  buffer.relink(i32[reference << 1]!, reference, target);
}
