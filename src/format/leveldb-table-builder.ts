// Puts table files together, entry by entry. Page: docs/formats/leveldb-table.md#building. Hot: no
// allocation per entry. Guarded by bench/savepoint.
//   B1. User keys ascend strictly; all entries have one sequence, so internal keys ascend too.
import { assert } from "../common/assert.ts";
import { writeVarint } from "../common/varint.ts";
import { crc32c, maskCrc } from "./leveldb-crc32c.ts";
import {
  EntryType,
  INTERNAL_KEY_TRAILER_BYTES,
  encodeInternalKey,
} from "./leveldb-internal-key.ts";
import { BLOCK_TRAILER_BYTES, type IndexEntry, encodeTableEnd } from "./leveldb-table.ts";
import { ROW_KEY_BYTES_MAX } from "./row-record.ts";

/** Sequence of every entry. */
export const BUILT_SEQUENCE = 1;
const RESTART_INTERVAL = 16;
const RAW_BLOCK = 0;
/** Three varints, and the trailer of a key. */
const ENTRY_OVERHEAD_BYTES = 32;
/** Longer pieces are copied by `set`. */
const LOOP_BYTES_MAX = 48;

export class TableBuilder {
  readonly #blockBytes: number;
  readonly #write: (bytes: Uint8Array) => void;
  readonly #trailer: Uint8Array;
  readonly #index: IndexEntry[] = [];
  readonly #lastKey = new Uint8Array(ROW_KEY_BYTES_MAX);
  #lastKeyBytes = 0;
  #block = new Uint8Array(65_536);
  #restarts: number[] = [];
  #at = 0;
  #inBlock = 0;
  #smallest: Uint8Array | undefined = undefined;
  /** Bytes of the file so far. */
  lengthBytes = 0;
  rowCount = 0;

  /** `write` takes pieces of the file; it must have copied them when it returns. */
  constructor(blockBytes: number, write: (bytes: Uint8Array) => void) {
    this.#blockBytes = blockBytes;
    this.#write = write;
    const noKey = new Uint8Array(0);
    this.#trailer = encodeInternalKey(noKey, BUILT_SEQUENCE, EntryType.value);
  }

  /** A row whose key and value are pieces of `source`; ends are exclusive. */
  add(
    source: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void {
    const keyBytes = keyEnd - keyStart;
    const valueBytes = valueEnd - valueStart;
    this.#makeRoom(keyBytes + valueBytes + ENTRY_OVERHEAD_BYTES);
    const block = this.#block;
    const same = this.#sharedBytes(source, keyStart, keyBytes);
    const isRestart = this.#inBlock % RESTART_INTERVAL === 0;
    if (isRestart) this.#restarts.push(this.#at);
    const shared = isRestart ? 0 : same;
    let at = writeVarint(block, this.#at, shared);
    at = writeVarint(block, at, keyBytes - shared + INTERNAL_KEY_TRAILER_BYTES);
    at = writeVarint(block, at, valueBytes);
    for (let index = shared; index < keyBytes; index++) block[at++] = source[keyStart + index]!;
    for (let index = 0; index < INTERNAL_KEY_TRAILER_BYTES; index++) {
      block[at++] = this.#trailer[index]!;
    }
    if (valueBytes > LOOP_BYTES_MAX) block.set(source.subarray(valueStart, valueEnd), at);
    else
      for (let index = 0; index < valueBytes; index++)
        block[at + index] = source[valueStart + index]!;
    this.#at = at + valueBytes;
    this.#inBlock++;
    this.rowCount++;
    for (let index = same; index < keyBytes; index++) {
      this.#lastKey[index] = source[keyStart + index]!;
    }
    this.#lastKeyBytes = keyBytes;
    this.#smallest ??= this.#lastInternalKey();
    if (this.#at >= this.#blockBytes) this.#endBlock();
  }

  /** Ends the file. Internal keys, both inclusive; undefined if there is no row: nothing was written. */
  finish(): { readonly smallest: Uint8Array; readonly largest: Uint8Array } | undefined {
    if (this.#smallest === undefined) return undefined;
    this.#endBlock();
    const end = encodeTableEnd(this.#index, this.lengthBytes);
    this.#write(end);
    this.lengthBytes += end.length;
    return { smallest: this.#smallest, largest: this.#lastInternalKey() };
  }

  #endBlock(): void {
    if (this.#inBlock === 0) return;
    this.#makeRoom(this.#restarts.length * 4 + 4 + BLOCK_TRAILER_BYTES);
    const block = this.#block;
    const view = new DataView(block.buffer);
    let at = this.#at;
    for (const restart of [...this.#restarts, this.#restarts.length]) {
      view.setUint32(at, restart, true);
      at += 4;
    }
    const handle = { offset: this.lengthBytes, length: at };
    block[at] = RAW_BLOCK;
    view.setUint32(at + 1, maskCrc(crc32c(block, 0, at + 1)), true);
    this.#write(block.subarray(0, at + BLOCK_TRAILER_BYTES));
    this.lengthBytes += at + BLOCK_TRAILER_BYTES;
    this.#index.push({ key: this.#lastInternalKey(), handle });
    this.#restarts = [];
    this.#at = 0;
    this.#inBlock = 0;
  }

  #makeRoom(bytes: number): void {
    if (this.#at + bytes <= this.#block.length) return;
    const larger = new Uint8Array((this.#at + bytes) * 2);
    larger.set(this.#block.subarray(0, this.#at));
    this.#block = larger;
  }

  /** First bytes that a key has in common with the last one, which it must be after (B1). */
  #sharedBytes(source: Uint8Array, start: number, keyBytes: number): number {
    const last = this.#lastKey;
    const bytes = Math.min(this.#lastKeyBytes, keyBytes);
    let shared = 0;
    while (shared < bytes && last[shared] === source[start + shared]) shared++;
    const isAscending =
      shared === this.#lastKeyBytes
        ? keyBytes > shared
        : shared < keyBytes && last[shared]! < source[start + shared]!;
    assert(isAscending, "B1: keys of a table ascend strictly");
    return shared;
  }

  #lastInternalKey(): Uint8Array {
    const key = this.#lastKey.subarray(0, this.#lastKeyBytes);
    return encodeInternalKey(key, BUILT_SEQUENCE, EntryType.value);
  }
}
