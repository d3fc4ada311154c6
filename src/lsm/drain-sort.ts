// Sorts record references by row key, as bytes. Hot: no allocation per record. Guarded by bench/.
//
// Most-significant-digit sort with digits of four key bytes. One level packs (digit, position) into
// the 53 bits of a double and lets the engine's native number sort do the work, which is about six
// times as fast as a comparator. Keys share long prefixes (key group, state), so a level whose digits
// are all equal costs one pass. Short runs are finished by insertion.
import { KEY_LENGTH_MASK, RECORD_HEADER_BYTES } from "../format/row-record.ts";

const SHORT_RUN = 12;
/** Positions have 21 bits: what a double holds beside a digit of 32. */
const POSITION_SCALE = 2_097_152;
const KEY_WORD = RECORD_HEADER_BYTES / 4;

/** What the sort needs between calls, so that a drain allocates nothing once it is warm. */
export class SortScratch {
  packed: Float64Array<ArrayBuffer> = new Float64Array(0);
  references: Int32Array<ArrayBuffer> = new Int32Array(0);

  reserve(count: number): void {
    if (this.packed.length >= count) return;
    const capacity = Math.max(count, this.packed.length * 2);
    this.packed = new Float64Array(capacity);
    this.references = new Int32Array(capacity);
  }
}

/** Sorts the first `count` references by key. Stable: records of one key keep their order. */
export function sortRows(
  words: Int32Array,
  references: Int32Array,
  count: number,
  scratch: SortScratch,
): void {
  scratch.reserve(count);
  sortRun(words, references, 0, count, 0, scratch);
}

/** Sorts [start, end), whose keys are equal in their first `digit` digits. */
function sortRun(
  words: Int32Array,
  references: Int32Array,
  start: number,
  end: number,
  firstDigit: number,
  scratch: SortScratch,
): void {
  const count = end - start;
  if (count > POSITION_SCALE) {
    sortHalves(words, references, start, end, firstDigit, scratch);
    return;
  }
  const { packed } = scratch;
  for (let digit = firstDigit; count > SHORT_RUN; digit++) {
    let min = 0xffff_ffff;
    let max = 0;
    let isBeyondAll = true;
    for (let index = start; index < end; index++) {
      const word = references[index]! * 2;
      let value = 0;
      if (digit * 4 < (words[word + 1]! & KEY_LENGTH_MASK)) {
        value = bigEndian(words[word + KEY_WORD + digit]!);
        isBeyondAll = false;
      }
      if (value < min) min = value;
      if (value > max) max = value;
      packed[index] = value * POSITION_SCALE + (index - start);
    }
    if (isBeyondAll) {
      sortSlowly(words, references, start, end);
      return;
    }
    if (min === max) continue;
    packed.subarray(start, end).sort();
    permute(references, start, end, scratch);
    sortEqualRuns(words, references, start, end, digit, scratch);
    return;
  }
  insertionSort(words, references, start, end);
}

/** Brings the references into the order of `packed`, and leaves only the digits there. */
function permute(references: Int32Array, start: number, end: number, scratch: SortScratch): void {
  const { packed } = scratch;
  const before = scratch.references;
  for (let index = start; index < end; index++) before[index] = references[index]!;
  for (let index = start; index < end; index++) {
    const value = packed[index]!;
    const digit = Math.floor(value / POSITION_SCALE);
    references[index] = before[start + (value - digit * POSITION_SCALE)]!;
    packed[index] = digit;
  }
}

function sortEqualRuns(
  words: Int32Array,
  references: Int32Array,
  start: number,
  end: number,
  digit: number,
  scratch: SortScratch,
): void {
  const { packed } = scratch;
  let runStart = start;
  while (runStart < end) {
    const value = packed[runStart]!;
    let runEnd = runStart + 1;
    while (runEnd < end && packed[runEnd] === value) runEnd++;
    if (runEnd - runStart > 1) {
      sortRun(words, references, runStart, runEnd, digit + 1, scratch);
    }
    runStart = runEnd;
  }
}

/** More rows than positions: sorts two halves and merges them. */
function sortHalves(
  words: Int32Array,
  references: Int32Array,
  start: number,
  end: number,
  digit: number,
  scratch: SortScratch,
): void {
  const middle = start + ((end - start) >>> 1);
  sortRun(words, references, start, middle, digit, scratch);
  sortRun(words, references, middle, end, digit, scratch);
  const left = references.slice(start, middle);
  let leftAt = 0;
  let rightAt = middle;
  for (let index = start; leftAt < left.length; index++) {
    const takeRight = rightAt < end && compareRows(words, references[rightAt]!, left[leftAt]!) < 0;
    references[index] = takeRight ? references[rightAt++]! : left[leftAt++]!;
  }
}

function insertionSort(
  words: Int32Array,
  references: Int32Array,
  start: number,
  end: number,
): void {
  for (let index = start + 1; index < end; index++) {
    const reference = references[index]!;
    let at = index;
    while (at > start && compareRows(words, references[at - 1]!, reference) > 0) {
      references[at] = references[at - 1]!;
      at--;
    }
    references[at] = reference;
  }
}

/** Many records whose keys differ at most in length: many appends to one key. */
function sortSlowly(words: Int32Array, references: Int32Array, start: number, end: number): void {
  references.subarray(start, end).sort((left, right) => compareRows(words, left, right));
}

function compareRows(words: Int32Array, left: number, right: number): number {
  const leftBytes = words[left * 2 + 1]! & KEY_LENGTH_MASK;
  const rightBytes = words[right * 2 + 1]! & KEY_LENGTH_MASK;
  const shared = Math.min(leftBytes, rightBytes);
  for (let at = 0; at * 4 < shared; at++) {
    const a = words[left * 2 + KEY_WORD + at]!;
    const b = words[right * 2 + KEY_WORD + at]!;
    if (a !== b) return bigEndian(a) - bigEndian(b);
  }
  return leftBytes - rightBytes;
}

/** Whether two records have the same key. */
export function isSameKey(words: Int32Array, left: number, right: number): boolean {
  const bytes = words[left * 2 + 1]! & KEY_LENGTH_MASK;
  if (bytes !== (words[right * 2 + 1]! & KEY_LENGTH_MASK)) return false;
  for (let at = 0; at * 4 < bytes; at++) {
    if (words[left * 2 + KEY_WORD + at] !== words[right * 2 + KEY_WORD + at]) return false;
  }
  return true;
}

/** A little-endian word as the number whose order is that of its bytes. Keys are padded with zeros. */
function bigEndian(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
