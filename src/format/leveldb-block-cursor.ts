// Goes through the entries of one block after the other of a table file, checking everything that
// LevelDB 1.20 trusts. Page: docs/formats/leveldb-table.md#walking. Hot: no allocation per entry or
// block, no closures. Guarded by bench/walk.
//   K1. Nothing is read outside the block: entries, restarts and values lie within it.
//   K2. Every restart is the start of an entry that shares nothing, in order, the first one at the
//       start: LevelDB seeks from restarts without looking where they point.
//   K3. An entry shares no more than the key before it has, and keys are no longer than keys can be.
//   K4. Keys have their trailer, and ascend strictly from the first block to the last.
import { readVarint } from "../common/varint.ts";
import type { Cursor } from "../common/varint.ts";
import { CorruptionError } from "../errors.ts";
import { INTERNAL_KEY_TRAILER_BYTES, compareInternalKeys } from "./leveldb-internal-key.ts";
import { ROW_KEY_BYTES_MAX } from "./row-record.ts";

const KEY_BYTES_MAX = ROW_KEY_BYTES_MAX + INTERNAL_KEY_TRAILER_BYTES;
const NEVER = -1;

export class BlockCursor {
  readonly #file: string;
  /** Internal key of the current entry: its first `keyBytes` bytes. */
  readonly key: Uint8Array = new Uint8Array(KEY_BYTES_MAX);
  keyBytes = 0;
  /** So many first bytes of the user key are those of the key before. */
  sameBytes = 0;
  /** The two halves of the key's trailer, unsigned; the type is the lowest byte of the first. */
  trailerLow = 0;
  trailerHigh = 0;
  /** The current entry's value: `content` from `valueStart` to `valueEnd`. */
  content: Uint8Array = new Uint8Array(0);
  valueStart = 0;
  valueEnd = 0;
  readonly #varint: Cursor = { offset: 0 };
  /** Offset of the block in its file, for errors. */
  #offset = 0;
  #start = 0;
  #end = 0;
  #nextRestart = NEVER;
  #restartAt = 0;
  #restartsEnd = 0;

  /** `file` names the table in errors. */
  constructor(file: string) {
    this.#file = file;
  }

  get userKeyBytes(): number {
    return this.keyBytes - INTERNAL_KEY_TRAILER_BYTES;
  }

  /** Goes to the block whose raw content is `content` from `start` to `end`. */
  open(content: Uint8Array, start: number, end: number, offset: number): void {
    this.#offset = offset;
    this.content = content;
    this.#restartsEnd = end - 4;
    const count = end - start < 8 ? 0 : u32(content, end - 4);
    this.#restartAt = end - 4 - count * 4;
    this.#end = this.#restartAt;
    if (count < 1 || this.#restartAt < start) this.refuse("the restarts of a block are cut");
    this.#start = start;
    this.valueEnd = start;
    this.#nextRestart = start + u32(content, this.#restartAt);
    if (this.#nextRestart !== start) this.refuse("a restart is not at an entry"); // K2
    if (this.#end === start) this.refuse("a block is empty");
  }

  /** Goes to the next entry of the block; false at its end. */
  next(): boolean {
    const { content } = this;
    const end = this.#end;
    let at = this.valueEnd;
    if (at >= end) {
      if (this.#nextRestart !== NEVER) this.refuse("a restart is not at an entry"); // K2
      return false;
    }
    // At least one restart and their count follow the entries: no byte read here is beyond.
    const isRestart = at === this.#nextRestart;
    let shared = content[at]!;
    let own = content[at + 1]!;
    let valueBytes = content[at + 2]!;
    if ((shared | own | valueBytes) < 128) at += 3;
    else {
      const varint = this.#varint;
      varint.offset = at;
      shared = this.#length(varint);
      own = this.#length(varint);
      valueBytes = this.#length(varint);
      at = varint.offset;
    }
    if (isRestart) this.#passRestart(shared);
    const valueStart = at + own;
    if (shared > this.keyBytes || valueStart + valueBytes > end) this.refuse("an entry is cut"); // K1, K3
    this.#takeKey(at, shared, own);
    this.valueStart = valueStart;
    this.valueEnd = valueStart + valueBytes;
    return true;
  }

  /** As `compareInternalKeys`: the current key and `other`. */
  compare(other: Uint8Array): number {
    return compareInternalKeys(this.key.subarray(0, this.keyBytes), other);
  }

  /** Takes over the other's key, and nothing else. */
  copyKeyOf(other: BlockCursor): void {
    const { keyBytes, key } = other;
    for (let at = 0; at < keyBytes; at++) this.key[at] = key[at]!;
    this.keyBytes = keyBytes;
    this.trailerLow = other.trailerLow;
    this.trailerHigh = other.trailerHigh;
  }

  refuse(message: string): never {
    throw new CorruptionError(message, this.#file, this.#offset);
  }

  /** The key of `own` bytes at `at`, after `shared` ones of the key before. */
  #takeKey(at: number, shared: number, own: number): void {
    const { content, key } = this;
    const before = this.keyBytes - INTERNAL_KEY_TRAILER_BYTES;
    const keyBytes = shared + own;
    const userBytes = keyBytes - INTERNAL_KEY_TRAILER_BYTES;
    if (userBytes < 1 || keyBytes > KEY_BYTES_MAX) this.refuse("a key has an impossible length"); // K3
    const limit = before < userBytes ? before : userBytes;
    const from = at - shared;
    let same = shared;
    while (same < limit && key[same] === content[from + same]) same++;
    if (same < limit ? content[from + same]! < key[same]! : userBytes < before) {
      this.refuse("keys do not ascend"); // K4
    }
    for (let index = same; index < keyBytes; index++) key[index] = content[from + index]!;
    const low = u32(key, userBytes);
    const high = u32(key, userBytes + 4);
    if (same >= limit && userBytes === before) {
      const isNewer = high === this.trailerHigh ? low >= this.trailerLow : high > this.trailerHigh;
      if (isNewer) this.refuse("keys do not ascend"); // K4: of one user key the newest comes first.
    }
    this.trailerLow = low;
    this.trailerHigh = high;
    this.keyBytes = keyBytes;
    this.sameBytes = same < limit ? same : limit;
  }

  #passRestart(shared: number): void {
    if (shared !== 0) this.refuse("a restart is not at an entry"); // K2
    this.#restartAt += 4;
    const isLast = this.#restartAt >= this.#restartsEnd;
    this.#nextRestart = isLast ? NEVER : this.#start + u32(this.content, this.#restartAt);
  }

  #length(varint: Cursor): number {
    const byte = this.content[varint.offset]!;
    if (byte < 128 && varint.offset < this.#end) {
      varint.offset++;
      return byte;
    }
    try {
      return readVarint(this.content, varint, this.#end);
    } catch {
      return this.refuse("a length is cut or too long"); // Names the file, which that does not know.
    }
  }
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}

/** As `compareInternalKeys`, of the first bytes of two arrays. */
export function compareCursorKeys(left: BlockCursor, right: BlockCursor): number {
  const [a, b] = [left.key, right.key];
  const limit = Math.min(left.userKeyBytes, right.userKeyBytes);
  for (let at = 0; at < limit; at++) {
    const difference = a[at]! - b[at]!;
    if (difference !== 0) return difference;
  }
  if (left.userKeyBytes !== right.userKeyBytes) return left.userKeyBytes - right.userKeyBytes;
  if (left.trailerHigh !== right.trailerHigh) return right.trailerHigh - left.trailerHigh;
  return right.trailerLow - left.trailerLow;
}
