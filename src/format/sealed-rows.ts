// Which records of the arena a drain or an append has to write: the newest of each key up to a boundary.
// Hot: module functions over typed arrays, no allocation per record. Guarded by bench/.
//
// The owner goes on writing while this reads. Of a sealed record it only ever changes word 3, from 0
// to a generation above every boundary that was requested, and either value says "take it".
import { assert } from "../common/assert.ts";
import { CHUNK_UNITS, CHUNK_UNITS_SHIFT, RecordFlag } from "./row-record.ts";

/** A chunk of a sealed generation in the arena. */
export interface SealedChunk {
  /** Index of the chunk in the arena. */
  readonly chunk: number;
  readonly generation: number;
  /** Units in use, from the start of the chunk; records lie in them without gaps. */
  readonly usedUnits: number;
}

/** References of the records to write. Reused by the next drain. */
export class CollectedRows {
  references: Int32Array<ArrayBuffer> = new Int32Array(65_536);
  count = 0;
  appendCount = 0;

  grow(): void {
    const larger = new Int32Array(this.references.length * 2);
    larger.set(this.references);
    this.references = larger;
  }
}

/**
 * Fills `rows` from the chunks, in the order in which the records were written: by generation, then
 * as the chunks are given, which is the order in which they were opened.
 */
export function collectRows(
  words: Int32Array,
  chunks: readonly SealedChunk[],
  boundary: number,
  rows: CollectedRows,
): void {
  rows.count = 0;
  rows.appendCount = 0;
  const ordered = [...chunks].sort((left, right) => left.generation - right.generation);
  for (const { chunk, generation, usedUnits } of ordered) {
    assert(generation <= boundary, "a chunk to read is of a later generation than the boundary");
    assert(usedUnits <= CHUNK_UNITS, "a chunk is used beyond its end");
    collectChunk(words, chunk << CHUNK_UNITS_SHIFT, usedUnits, boundary, rows);
  }
}

function collectChunk(
  words: Int32Array,
  firstUnit: number,
  usedUnits: number,
  boundary: number,
  rows: CollectedRows,
): void {
  const end = firstUnit + usedUnits;
  let unit = firstUnit;
  while (unit < end) {
    const word = unit * 2;
    const units = words[word + 2]! >>> 16;
    assert(units !== 0, "a record in the arena has no size");
    const superseded = words[word + 3]!;
    const flags = words[word + 1]!;
    if ((superseded === 0 || superseded > boundary) && (flags & RecordFlag.clean) === 0) {
      if (rows.count === rows.references.length) rows.grow();
      rows.references[rows.count++] = unit;
      if ((flags & RecordFlag.append) !== 0) rows.appendCount++;
    }
    unit += units;
  }
  assert(unit === end, "the last record of a chunk does not end where the chunk's use ends");
}
