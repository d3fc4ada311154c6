// Row keys and values of arena records as views that classic-level accepts.
// Hot: no allocation per row once warm. Guarded by bench/.
//   R1. The views are of unshared memory: N-API refuses shared buffers in places.
//   R2. A view is valid until the next call of the same method: LevelDB's batch copies at once.
//   R3. Views are cached by length: making one costs more than copying a small row.
import {
  KEY_LENGTH_MASK,
  RECORD_HEADER_UNITS,
  ROW_HEADER_SHIFT,
  ROW_KEY_BYTES_MAX,
  ROW_VALUE_BYTES_MAX,
} from "../format/row-record.ts";

/** The value's header byte goes just before its payload, which stays word-aligned. */
const VALUE_START = 7;
const PAYLOAD_WORD = 2;
const CACHED_VALUE_BYTES_MAX = 1024;
/** Above this many words, `set` of a subarray is faster than a loop. */
const LOOP_WORDS_MAX = 32;

/** Bytes of a record's value, the header byte excluded. */
export function payloadBytesOf(words: Int32Array, reference: number): number {
  const sizeWord = words[reference * 2 + 2]!;
  const keyBytes = words[reference * 2 + 1]! & KEY_LENGTH_MASK;
  const capacityUnits = (sizeWord >>> 16) - RECORD_HEADER_UNITS - ((keyBytes + 7) >>> 3);
  return capacityUnits * 8 - (sizeWord & 0xffff);
}

export class RowReader {
  readonly #words: Int32Array;
  readonly #keyWords = new Int32Array(ROW_KEY_BYTES_MAX / 4 + 2);
  readonly #valueWords = new Int32Array(ROW_VALUE_BYTES_MAX / 4 + PAYLOAD_WORD + 2);
  readonly #valueBytes = new Uint8Array(this.#valueWords.buffer);
  readonly #keyViews: (Uint8Array | undefined)[] = Array.from({ length: ROW_KEY_BYTES_MAX + 1 });
  readonly #valueViews: (Uint8Array | undefined)[] = Array.from({
    length: CACHED_VALUE_BYTES_MAX + 1,
  });

  constructor(words: Int32Array) {
    this.#words = words;
  }

  key(reference: number): Uint8Array {
    const length = this.#words[reference * 2 + 1]! & KEY_LENGTH_MASK;
    const start = (reference + RECORD_HEADER_UNITS) * 2;
    copyWords(this.#words, start, (length + 3) >>> 2, this.#keyWords, 0);
    return (this.#keyViews[length] ??= new Uint8Array(this.#keyWords.buffer, 0, length));
  }

  /** The stored row: header byte and payload. */
  row(reference: number): Uint8Array {
    const length = this.#loadPayload(reference) + 1;
    this.#valueBytes[VALUE_START] = this.#words[reference * 2 + 1]! >>> ROW_HEADER_SHIFT;
    if (length > CACHED_VALUE_BYTES_MAX) return this.#view(VALUE_START, length);
    return (this.#valueViews[length] ??= this.#view(VALUE_START, length));
  }

  /** The payload alone. */
  payload(reference: number): Uint8Array {
    const length = this.#loadPayload(reference);
    return this.#view(VALUE_START + 1, length);
  }

  #loadPayload(reference: number): number {
    const keyBytes = this.#words[reference * 2 + 1]! & KEY_LENGTH_MASK;
    const length = payloadBytesOf(this.#words, reference);
    const start = (reference + RECORD_HEADER_UNITS + ((keyBytes + 7) >>> 3)) * 2;
    copyWords(this.#words, start, (length + 3) >>> 2, this.#valueWords, PAYLOAD_WORD);
    return length;
  }

  #view(start: number, length: number): Uint8Array {
    return new Uint8Array(this.#valueWords.buffer, start, length);
  }
}

function copyWords(
  source: Int32Array,
  start: number,
  count: number,
  target: Int32Array,
  at: number,
): void {
  if (count > LOOP_WORDS_MAX) {
    target.set(source.subarray(start, start + count), at);
    return;
  }
  for (let index = 0; index < count; index++) target[at + index] = source[start + index]!;
}
