// The current key: encoded once when it is set, shared by all states. Hot: numbers and plain ASCII
// strings are encoded without allocation. Guarded by bench/state.
//
// The bytes are those of format/key-codec.ts; a property test holds the two together.
import type { Key } from "../api/state.ts";
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";
import { murmurFinish, murmurStep } from "../common/murmur3.ts";
import { InvalidArgumentError } from "../errors.ts";
import {
  KEY_TAG_OFFSET,
  KeyTag,
  ROW_KEY_PREFIX_BYTES,
  decodeKey,
  encodeKeyPayload,
  hashKeyPayload,
  keyTagOf,
} from "../format/key-codec.ts";
import { Epochs } from "../memory/epochs.ts";
import { RowKey } from "../memory/row-key.ts";

/** Longest string tried without the encoder. Its payload fits even if every byte is escaped. */
const FAST_STRING_LENGTH_MAX = 1024;

// As constants of this module: V8 reads an import or a global's property anew at each access, and
// folds these.
const step = murmurStep;
const finish = murmurFinish;
const imul = Math.imul;
const NUMBER_TAG: number = KeyTag.number;
/** The high bit of each byte of a word. */
const ZERO_BYTES = 0x80808080 | 0;
const NUMBER_TAG_WORD: number = KeyTag.number << 24;

const number = new DataView(new ArrayBuffer(8));
const numberWords = new Int32Array(number.buffer);

export class KeyContext {
  /** Advances whenever the key is set or unset. */
  readonly epochs: Epochs;
  /** Row key of the access under way; the key's payload starts at ROW_KEY_PREFIX_BYTES. */
  readonly row: RowKey = new RowKey();
  /** Specified hash of the key. */
  hash = 0;
  /** Length of prefix and key in bytes. */
  length = 0;
  /** First word of row keys without the state's part: the key group, big-endian. */
  groupWord = 0;
  /** Second word of row keys without the state's part: the key tag. */
  tagWord = 0;
  /** Third and fourth word of row keys if `isShort`. */
  high = 0;
  low = 0;
  /** Whether the key is a number: then its payload is `high` and `low`, and `row` may lack it. */
  isShort = false;
  isSet = false;
  private _refusal: Error | undefined = undefined;
  private readonly _max: number;
  /** max - 1 if max is a power of two, else -1. */
  private readonly _mask: number;
  private readonly _first: number;
  private readonly _last: number;
  /** First word of row keys by key group; negative for groups that are not owned. */
  private readonly _groupWords: Int32Array;

  constructor(keyGroups: KeyGroupRange, epochs: Epochs = new Epochs()) {
    this.epochs = epochs;
    this._max = keyGroups.max;
    this._mask = (keyGroups.max & (keyGroups.max - 1)) === 0 ? keyGroups.max - 1 : -1;
    this._first = keyGroups.first;
    this._last = keyGroups.last;
    this._groupWords = new Int32Array(keyGroups.max).fill(-1);
    for (let group = keyGroups.first; group <= keyGroups.last; group++) {
      this._groupWords[group] = (group >> 8) | ((group & 0xff) << 8);
    }
  }

  // The hash of numbers is written out (murmur3.ts says what it is): one function of few bytecodes,
  // which V8 inlines into the loop over records together with the read and the write that follow,
  // so that the cache misses of one record overlap with the work of the next.
  set(key: Key): void {
    if (typeof key !== "number") return this._setOther(key);
    if (key !== key) this._refuseNaN();
    number.setFloat64(0, key + 0); // -0 + 0 is 0.
    const first = numberWords[0]!; // Big-endian bytes in a little-endian word, as in a row key.
    const flip = (first << 24) >> 31;
    const high = first ^ (flip | 0x80);
    const low = numberWords[1]! ^ flip;
    const multiply = imul;
    let k = multiply(high, 0xcc9e2d51);
    let hash = NUMBER_TAG ^ multiply((k << 15) | (k >>> 17), 0x1b873593);
    hash = multiply((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
    k = multiply(low, 0xcc9e2d51);
    hash ^= multiply((k << 15) | (k >>> 17), 0x1b873593);
    hash = (multiply((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) ^ 8;
    hash = multiply(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = multiply(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
    const mask = this._mask;
    const groupWord = this._groupWords[mask >= 0 ? hash & mask : this._groupOf(hash)]!;
    if (groupWord < 0) this._refuseGroup(hash);
    if (!this.isShort) this._becomeShort();
    this.high = high;
    this.low = low;
    this.hash = hash;
    this.groupWord = groupWord;
    this.epochs.advance();
  }

  private _groupOf(hash: number): number {
    return (hash & 0x7fffffff) % this._max;
  }

  private _becomeShort(): void {
    this.isShort = true;
    this.isSet = true;
    this.length = ROW_KEY_PREFIX_BYTES + 8;
    this.tagWord = NUMBER_TAG_WORD;
  }

  private _setOther(key: Key): void {
    this.isShort = false;
    if (typeof key === "string" && this._setAscii(key)) return;
    this.unset(); // What is refused must not leave the key before, whose bytes may be overwritten.
    const { row } = this;
    const tag = keyTagOf(key);
    const payload = encodeKeyPayload(key);
    row.u8.set(payload, ROW_KEY_PREFIX_BYTES);
    this.length = ROW_KEY_PREFIX_BYTES + payload.length;
    row.length = this.length;
    row.pad();
    this._finish(hashKeyPayload(tag, payload), tag);
  }

  private _finish(hash: number, tag: number): void {
    const mask = this._mask;
    const groupWord = this._groupWords[mask >= 0 ? hash & mask : this._groupOf(hash)]!;
    if (groupWord < 0) this._refuseGroup(hash);
    this.hash = hash;
    this.groupWord = groupWord;
    this.tagWord = tag << 24;
    this.isSet = true;
    this.epochs.advance();
  }

  /** Puts the key's payload into `row`, where only numbers are not written at once. */
  materialize(): void {
    if (!this.isShort) return;
    this.row.words[2] = this.high;
    this.row.words[3] = this.low;
  }

  /** The key, decoded anew; undefined if none is set. */
  current(): Key | undefined {
    if (!this.isSet) return undefined;
    this.materialize();
    const bytes = this.row.u8.slice(0, this.length);
    bytes[KEY_TAG_OFFSET] = this.tagWord >>> 24;
    return decodeKey(bytes, { offset: KEY_TAG_OFFSET });
  }

  /** From now on every access throws this. */
  refuse(error: Error | undefined): void {
    this._refusal = error;
    this.unset();
  }

  throwIfRefused(): void {
    if (this._refusal !== undefined) throw this._refusal;
  }

  unset(): void {
    this.isSet = false;
    this.isShort = false;
    this.epochs.advance();
  }

  /**
   * Sets a string that needs no escape and no UTF-8; false if it does. Word by word, hashing what it
   * writes: bytes that are stored one by one and loaded as words have to wait for the stores.
   */
  private _setAscii(key: string): boolean {
    const count = key.length;
    if (count > FAST_STRING_LENGTH_MAX) return false;
    const { words } = this.row;
    let hash: number = KeyTag.string;
    let codes = 0;
    let zeros = 0;
    let word = 0;
    let at = ROW_KEY_PREFIX_BYTES / 4;
    let index = 0;
    for (; index + 4 <= count; index += 4) {
      const first = key.charCodeAt(index);
      const second = key.charCodeAt(index + 1);
      const third = key.charCodeAt(index + 2);
      const fourth = key.charCodeAt(index + 3);
      codes |= first | second | third | fourth;
      word = first | (second << 8) | (third << 16) | (fourth << 24);
      zeros |= (word - 0x01010101) & ~word; // The high bit of a byte that is zero; of none else below 128.
      words[at++] = word;
      hash = step(hash, word);
    }
    word = 0;
    let shift = 0;
    for (; index < count; index++, shift += 8) {
      const code = key.charCodeAt(index);
      codes |= code;
      zeros |= code - 1;
      word |= code << shift;
    }
    if (codes > 127 || (zeros & ZERO_BYTES) !== 0) return false;
    // A zero and a one end the payload, and zeros fill the last eight bytes.
    if (shift < 24) word |= 0x100 << shift;
    words[at++] = word;
    hash = step(hash, word);
    if (shift === 24) {
      words[at++] = 1;
      hash = step(hash, 1);
    }
    words[at] = 0;
    this.length = ROW_KEY_PREFIX_BYTES + count + 2;
    this._finish(finish(hash, (at << 2) - ROW_KEY_PREFIX_BYTES), KeyTag.string);
    return true;
  }

  private _refuseNaN(): never {
    this.unset();
    throw new InvalidArgumentError("a key cannot be NaN");
  }

  private _refuseGroup(hash: number): never {
    this.unset();
    const group = this._groupOf(hash);
    throw new InvalidArgumentError(
      `the key belongs to key group ${group}; this backend owns ${this._first} to ${this._last} of ${this._max}`,
    );
  }
}

/** Encoded namespace: tag and payload. */
export function encodeNamespace(namespace: Key): Uint8Array {
  const payload = encodeKeyPayload(namespace);
  const bytes = new Uint8Array(1 + payload.length);
  bytes[0] = keyTagOf(namespace);
  bytes.set(payload, 1);
  return bytes;
}
