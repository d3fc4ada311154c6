// Open-addressing index from row keys to their newest record. Hot: module functions over typed
// arrays, no allocation. Guarded by bench/state.
//
// A slot is two words: hash, reference (8-byte units; 0 = empty). The home slot comes from the
// hash's high bits, so that doubling keeps the order of slots and rehashing streams. Linear probing,
// removal by shifting back: no tombstones in the index, so probes do not get longer with age.
//   I1. Each key has at most one slot, and it refers to the newest record of the key.
//   I2. At most INDEX_LOAD of the slots are in use.
import { assert } from "../common/assert.ts";
import type { RowKey } from "./row-key.ts";

/** Slots in use before the index doubles. Measured with bench/state: 0.5 to 0.7 differ little. */
const INDEX_LOAD = 0.6;
const INITIAL_SLOTS_LOG2 = 12;

export class RowIndex {
  slots: Int32Array = new Int32Array(2 << INITIAL_SLOTS_LOG2);
  /** Right shift from hash to home slot. */
  shift: number = 32 - INITIAL_SLOTS_LOG2;
  /** Mask over word indexes. */
  mask: number = (2 << INITIAL_SLOTS_LOG2) - 1;
  count = 0;
  private _limit: number = Math.floor((1 << INITIAL_SLOTS_LOG2) * INDEX_LOAD);

  get bytes(): number {
    return this.slots.byteLength;
  }

  /** Keys that it holds before it doubles. */
  get limit(): number {
    return this._limit;
  }

  /** How long it is when it holds so many keys. */
  bytesFor(keys: number): number {
    let bytes = this.bytes;
    for (let limit = this._limit; limit < keys; limit *= 2) bytes *= 2;
    return bytes;
  }

  get isFull(): boolean {
    return this.count >= this._limit;
  }

  /** Adds a slot for a key that has none. The caller has made room with `grow`. */
  insert(hash: number, reference: number): void {
    assert(this.count < this._limit, "I2: the index is too full");
    const { slots, mask } = this;
    let at = (hash >>> this.shift) << 1;
    while (slots[at + 1] !== 0) at = (at + 2) & mask;
    slots[at] = hash;
    slots[at + 1] = reference;
    this.count++;
  }

  /** Position of the slot that holds this reference; it must exist. */
  slotOf(hash: number, reference: number): number {
    const { slots, mask } = this;
    let at = (hash >>> this.shift) << 1;
    while (slots[at + 1] !== reference) {
      assert(slots[at + 1] !== 0, "I1: a live record has no slot");
      at = (at + 2) & mask;
    }
    return at;
  }

  /** Empties a slot and moves later ones of the run back. */
  removeAt(position: number): void {
    const { slots, mask, shift } = this;
    let hole = position;
    let at = (hole + 2) & mask;
    while (slots[at + 1] !== 0) {
      const home = (slots[at]! >>> shift) << 1;
      // The slot may move back only if its home is not within (hole, at].
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        slots[hole] = slots[at]!;
        slots[hole + 1] = slots[at + 1]!;
        hole = at;
      }
      at = (at + 2) & mask;
    }
    slots[hole] = 0;
    slots[hole + 1] = 0;
    this.count--;
  }

  /** Doubles the index. */
  grow(): void {
    const old = this.slots;
    const log2 = 33 - this.shift;
    assert(log2 <= 29, "I2: the index cannot grow further");
    // Written once before anything reads it: a page that is read first is mapped twice, and the second
    // time interrupts all other threads: a growth to 16 MB took 75 to 95 ms beside them, of 13.
    this.slots = new Int32Array(2 << log2).fill(0);
    this.shift = 32 - log2;
    this.mask = (2 << log2) - 1;
    this._limit = Math.floor((1 << log2) * INDEX_LOAD);
    const { slots, mask, shift } = this;
    for (let from = 0; from < old.length; from += 2) {
      const reference = old[from + 1]!;
      if (reference === 0) continue;
      const hash = old[from]!;
      let at = (hash >>> shift) << 1;
      while (slots[at + 1] !== 0) at = (at + 2) & mask;
      slots[at] = hash;
      slots[at + 1] = reference;
    }
  }
}

/**
 * Reference of the newest record with this key, or 0. Keys are compared by words, so `key` is
 * zero-padded to whole words.
 */
export function findReference(
  index: RowIndex,
  i32: Int32Array,
  hash: number,
  key: Int32Array,
  keyBytes: number,
): number {
  const { slots, mask } = index;
  let at = (hash >>> index.shift) << 1;
  for (;;) {
    const reference = slots[at + 1]!;
    if (reference === 0) return 0;
    if (slots[at] === hash) {
      const record = reference << 1;
      if ((i32[record + 1]! & 0xffff) === keyBytes) {
        const words = (keyBytes + 3) >> 2;
        let word = 0;
        while (word < words && i32[record + 4 + word] === key[word]) word++;
        if (word === words) return reference;
      }
    }
    at = (at + 2) & mask;
  }
}

/** As `findReference` for the key in a scratch area. */
export function findRow(index: RowIndex, i32: Int32Array, row: RowKey): number {
  const { hash, words, length } = row;
  if (length !== 16) return findReference(index, i32, hash, words, length);
  return findShortReference(index, i32, hash, words[0]!, words[1]!, words[2]!, words[3]!);
}

/** As `findReference` for a key of 16 bytes, whose words come in registers instead of an array. */
export function findShortReference(
  index: RowIndex,
  i32: Int32Array,
  hash: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
): number {
  const { slots, mask } = index;
  let at = (hash >>> index.shift) << 1;
  for (;;) {
    const reference = slots[at + 1]!;
    if (reference === 0) return 0;
    if (slots[at] === hash) {
      const record = reference << 1;
      if (
        i32[record + 7] === word3 &&
        i32[record + 6] === word2 &&
        i32[record + 5] === word1 &&
        i32[record + 4] === word0 &&
        (i32[record + 1]! & 0xffff) === 16
      ) {
        return reference;
      }
    }
    at = (at + 2) & mask;
  }
}
