// Every shared file of a job in one hash table: 128-bit ids, no object a file. Hot: a checkpoint
// changes thousands of files of a million; bench/registry.ts guards it.
//   T1. An id stands in the table at most once.
//   T2. An id names one immutable byte sequence for ever: its length and SHA-256 never change.
//       A changelog segment, which grows, stands here without either.
//   T3. An index stays that of its file until the file is removed; then another file may get it.
// Rows live in blocks that never move: growing copies nothing but the slots. A slot is an index + 1 and
// the hash of its id: rows are far apart in memory, and are looked at only where the hash matches.
// Slots are probed linearly, and closed up when one is emptied, so there are no tombstones.
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";

/** 32 hexadecimal digits. */
export type FileId = string;

// A row, in 32-bit words: id, fields, numbers, SHA-256. Id and SHA-256 are bytes in their own order.
const LENGTH_DOUBLE = 4; //     Words 8 and 9: length in bytes.
const CREATED_BY_DOUBLE = 5; // Words 10 and 11: id of the checkpoint that uploaded it.
const HASH_WORD = 12;
const ROW_WORDS = 20;
const ID_WORDS = 4;
const HASH_WORDS = 8;
const ROW_BYTES = ROW_WORDS * 4;

/** Words 4 to 7, what the registry notes of a file; 0 in a new row. */
export const Field = {
  /** Tasks that use the file in the newest completed checkpoint. */
  users: 4,
  /** Uses by attempts under way, or kept for them. */
  pins: 5,
  /** Position of the first completed checkpoint that used it. */
  firstUse: 6,
  /** Position of the last standing checkpoint that uses it, once the newest does not. */
  lastUse: 7,
} as const;
export type Field = (typeof Field)[keyof typeof Field];

const BLOCK_BITS = 10;
const BLOCK_ROWS: number = 1 << BLOCK_BITS;
const SLOTS_MIN = 1024;

interface Block {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
}

/** The id that is looked for, and its hash. */
const wanted = new Uint32Array(ID_WORDS);
let wantedHash = 0;

export class FileTable {
  readonly #blocks: Block[] = [];
  /** Pairs: index + 1, hash. */
  #slots: Int32Array = new Int32Array(SLOTS_MIN * 2);
  #count = 0;
  /** Indexes of removed files. */
  readonly #free: number[] = [];

  get count(): number {
    return this.#count;
  }

  /** The file's index, or -1. */
  find(id: FileId): number {
    readId(id);
    return this.#slots[this.#slotOf()]! - 1;
  }

  /** The file's index, after adding it if it is not there. */
  insert(file: SharedFile, createdBy: number): number {
    if (this.#count * 20 >= this.#slots.length * 7) this.#grow(); // 70 % full.
    readId(file.id);
    const slot = this.#slotOf();
    const known = this.#slots[slot]! - 1;
    if (known >= 0) {
      this.#checkSame(known, file);
      return known;
    }
    const index = this.#free.pop() ?? this.#count;
    if (index >> BLOCK_BITS === this.#blocks.length) this.#blocks.push(newBlock());
    const { words, doubles } = this.#blockOf(index);
    const row = (index & (BLOCK_ROWS - 1)) * ROW_WORDS;
    words.set(wanted, row);
    words.fill(0, row + ID_WORDS, row + HASH_WORD);
    readHex(file.sha256, words, row + HASH_WORD, HASH_WORDS);
    doubles[row / 2 + LENGTH_DOUBLE] = file.lengthBytes;
    doubles[row / 2 + CREATED_BY_DOUBLE] = createdBy;
    this.#slots[slot] = index + 1;
    this.#slots[slot + 1] = wantedHash;
    this.#count++;
    return index;
  }

  remove(index: number): void {
    const { words } = this.#blockOf(index);
    const row = (index & (BLOCK_ROWS - 1)) * ROW_WORDS;
    for (let word = 0; word < ID_WORDS; word++) wanted[word] = words[row + word]!;
    wantedHash = hashOfWanted();
    const slot = this.#slotOf();
    assert(this.#slots[slot] === index + 1, "T3: a removed file is removed again");
    this.#closeUp(slot);
    this.#free.push(index);
    this.#count--;
  }

  get(index: number, field: Field): number {
    return this.#blockOf(index).words[(index & (BLOCK_ROWS - 1)) * ROW_WORDS + field]!;
  }

  set(index: number, field: Field, value: number): void {
    this.#blockOf(index).words[(index & (BLOCK_ROWS - 1)) * ROW_WORDS + field] = value;
  }

  /** Adds to a count, and returns it. */
  add(index: number, field: Field, difference: 1 | -1): number {
    const { words } = this.#blockOf(index);
    const word = (index & (BLOCK_ROWS - 1)) * ROW_WORDS + field;
    const value = words[word]! + difference;
    assert(value >= 0, "a count of a shared file fell below zero");
    words[word] = value;
    return value;
  }

  idOf(index: number): FileId {
    return this.#hexOf(index, 0, ID_WORDS);
  }

  fileOf(index: number): SharedFile {
    const row = (index & (BLOCK_ROWS - 1)) * ROW_WORDS;
    return {
      id: this.idOf(index),
      lengthBytes: this.#blockOf(index).doubles[row / 2 + LENGTH_DOUBLE]!,
      sha256: this.#hexOf(index, HASH_WORD, HASH_WORDS),
    };
  }

  createdBy(index: number): number {
    const row = (index & (BLOCK_ROWS - 1)) * ROW_WORDS;
    return this.#blockOf(index).doubles[row / 2 + CREATED_BY_DOUBLE]!;
  }

  #hexOf(index: number, word: number, count: number): string {
    const start = (index & (BLOCK_ROWS - 1)) * ROW_BYTES + word * 4;
    return this.#blockOf(index).bytes.toString("hex", start, start + count * 4);
  }

  #blockOf(index: number): Block {
    return this.#blocks[index >> BLOCK_BITS]!;
  }

  #checkSame(index: number, file: SharedFile): void {
    const known = this.fileOf(index);
    assert(known.lengthBytes === file.lengthBytes, "T2: one id, two lengths");
    assert(known.sha256 === file.sha256, "T2: one id, two contents");
  }

  /** Place of the wanted id's slot, or of the empty one where it belongs. */
  #slotOf(): number {
    const slots = this.#slots;
    const mask = slots.length - 2;
    let slot = (wantedHash << 1) & mask;
    for (;;) {
      const index = slots[slot]! - 1;
      if (index < 0) return slot;
      if (slots[slot + 1] === wantedHash && this.#isWanted(index)) return slot; // T1
      slot = (slot + 2) & mask;
    }
  }

  #isWanted(index: number): boolean {
    const { words } = this.#blockOf(index);
    const row = (index & (BLOCK_ROWS - 1)) * ROW_WORDS;
    for (let word = 0; word < ID_WORDS; word++) {
      if (words[row + word] !== wanted[word]) return false;
    }
    return true;
  }

  /** Empties a slot, and moves up what was probed past it (Knuth, vol. 3, 6.4, algorithm R). */
  #closeUp(emptied: number): void {
    const slots = this.#slots;
    const mask = slots.length - 2;
    let hole = emptied;
    for (let slot = (hole + 2) & mask; slots[slot] !== 0; slot = (slot + 2) & mask) {
      const home = (slots[slot + 1]! << 1) & mask;
      const isBetween = ((slot - home) & mask) < ((slot - hole) & mask);
      if (isBetween) continue;
      slots[hole] = slots[slot]!;
      slots[hole + 1] = slots[slot + 1]!;
      hole = slot;
    }
    slots[hole] = 0;
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Int32Array(old.length * 2);
    const mask = slots.length - 2;
    for (let from = 0; from < old.length; from += 2) {
      if (old[from] === 0) continue;
      let slot = (old[from + 1]! << 1) & mask;
      while (slots[slot] !== 0) slot = (slot + 2) & mask;
      slots[slot] = old[from]!;
      slots[slot + 1] = old[from + 1]!;
    }
    this.#slots = slots;
  }
}

function readId(id: FileId): void {
  readHex(id, wanted, 0, ID_WORDS);
  wantedHash = hashOfWanted();
}

/** Ids are random: any mix of their words will do. */
function hashOfWanted(): number {
  const mixed = wanted[0]! ^ (wanted[1]! << 7) ^ (wanted[2]! << 13) ^ (wanted[3]! << 19);
  const hash = Math.imul(mixed, 0x9e3779b1);
  return hash ^ (hash >>> 15);
}

/** Values of digits by character code; anything else is `notDigit`. */
const notDigit = 0xff;
const digits = new Uint8Array(128).fill(notDigit);
for (let digit = 0; digit < 16; digit++) digits[digit.toString(16).charCodeAt(0)] = digit;

/** Parses exactly `count` words of lower-case hexadecimal digits: bytes in their own order. */
function readHex(text: string, target: Uint32Array, at: number, count: number): void {
  assert(text.length === count * 8, "an id or a SHA-256 does not have its length");
  let seen = 0;
  for (let word = 0; word < count; word++) {
    let value = 0;
    for (let byte = 0; byte < 4; byte++) {
      const place = word * 8 + byte * 2;
      const high = digits[text.charCodeAt(place)] ?? notDigit;
      const low = digits[text.charCodeAt(place + 1)] ?? notDigit;
      seen |= high | low;
      value |= ((high << 4) | low) << (byte * 8);
    }
    target[at + word] = value;
  }
  assert(seen < 16, "an id or a SHA-256 is not lower-case hexadecimal digits");
}

function newBlock(): Block {
  const buffer = new ArrayBuffer(BLOCK_ROWS * ROW_BYTES);
  return {
    bytes: Buffer.from(buffer),
    words: new Uint32Array(buffer),
    doubles: new Float64Array(buffer),
  };
}
