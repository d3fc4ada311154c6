// Reads every entry of a table file before LevelDB does, which trusts what it reads. Page:
// docs/formats/leveldb-table.md#walking. Hot: no allocation per entry. Guarded by bench/walk.
//   W1. What is in a block keeps K1 to K4 of leveldb-block-cursor.ts.
//   W2. First and last entry are those that the file list names: else rows would be out of reach, or of
//       key groups that nobody checked.
//   W3. Each entry is a row or a deletion, not newer than its set, of a length that such a thing has.
//   W4. Each key begins as a row key does: a key group and a state of the handle, a known part and type.
//   W5. A block's entries are not after its key in the index, and after the one before: LevelDB finds
//       blocks by these keys.
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";
import {
  KEY_TAG_OFFSET,
  KeyTag,
  PART_OFFSET,
  ROW_KEY_PREFIX_BYTES,
  RowPart,
  STATE_ID_OFFSET,
} from "./key-codec.ts";
import { BlockCursor, compareCursorKeys } from "./leveldb-block-cursor.ts";
import { EntryType } from "./leveldb-internal-key.ts";
import { IndexCursor, type TableEnd } from "./leveldb-table-end.ts";
import { BLOCK_BYTES_MAX, BlockType } from "./leveldb-table.ts";
import { ROW_VALUE_BYTES_MAX } from "./row-record.ts";
import { decodeSnappyInto, snappyLength } from "./snappy.ts";

/** The row's header byte and its payload. */
const ROW_BYTES_MAX = ROW_VALUE_BYTES_MAX + 1;

const keyTags: ReadonlySet<number> = new Set(Object.values(KeyTag));

/** What metadata and file list say of a table. */
export interface TableClaims {
  /** Internal keys of the first and the last entry. */
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
  readonly lastSequence: number;
  /** Both ends inclusive. */
  readonly keyGroups: { readonly first: number; readonly last: number };
  readonly stateIds: readonly number[];
}

/**
 * Walks through one table: `next` goes to a data block, whose stored bytes are then given to `block`;
 * after the last one `next` has checked the end too.
 */
export class TableWalk {
  /** Where the current block is. */
  readonly index: IndexCursor;
  entryCount = 0;
  readonly #claims: TableClaims;
  readonly #entries: BlockCursor;
  readonly #stateIds: ReadonlySet<number>;
  readonly #file: string;
  #raw = new Uint8Array(16_384);
  /** The key in the index of the block before; empty for the first. */
  readonly #before: BlockCursor;

  constructor(end: TableEnd, claims: TableClaims, file: string) {
    this.#claims = claims;
    this.#file = file;
    this.#stateIds = new Set(claims.stateIds);
    this.index = new IndexCursor(end, file);
    this.#entries = new BlockCursor(file);
    this.#before = new BlockCursor(file);
  }

  next(): boolean {
    const { index } = this;
    if (this.entryCount > 0) this.#before.copyKeyOf(index.separators);
    if (index.next()) return true;
    if (this.entryCount === 0 || this.#entries.compare(this.#claims.largest) !== 0) {
      this.#refuse("a table does not end as its list says"); // W2
    }
    return false;
  }

  /** The current block's stored bytes begin at `at`; its trailer is there too. */
  block(stored: Uint8Array, at: number): void {
    const end = at + this.index.length;
    const type = stored[end]!;
    if (type === BlockType.raw) {
      this.#walk(stored, at, end);
      return;
    }
    if (type !== BlockType.snappy) this.#refuse(`block type ${type} is not known`);
    const rawBytes = snappyLength(stored, at, end, BLOCK_BYTES_MAX, this.#file);
    if (rawBytes > this.#raw.length) this.#raw = new Uint8Array(rawBytes * 2);
    decodeSnappyInto(stored, at, end, this.#raw, this.#file);
    this.#walk(this.#raw, 0, rawBytes);
  }

  #walk(content: Uint8Array, start: number, end: number): void {
    const { separators, offset } = this.index;
    const entries = this.#entries;
    const before = this.#before;
    const { lastSequence } = this.#claims;
    entries.open(content, start, end, offset);
    for (let isFirst = true; entries.next(); isFirst = false) {
      const type = entries.trailerLow & 255;
      const valueBytes = entries.valueEnd - entries.valueStart;
      const isEntry =
        type === EntryType.value
          ? valueBytes > 0 && valueBytes <= ROW_BYTES_MAX
          : type === EntryType.deletion && valueBytes === 0;
      if (!isEntry) entries.refuse("an entry is neither a row nor a deletion"); // W3
      const sequence = entries.trailerHigh * 0x100_0000 + (entries.trailerLow >>> 8);
      if (sequence > lastSequence) entries.refuse("an entry is newer than its set"); // W3
      if (entries.sameBytes < ROW_KEY_PREFIX_BYTES) this.#checkPrefix(); // W4
      if (isFirst) {
        if (this.entryCount === 0) this.#checkSmallest();
        else if (compareCursorKeys(before, entries) >= 0) this.#misplaced(); // W5
      }
      this.entryCount++;
    }
    if (compareCursorKeys(entries, separators) > 0) this.#misplaced(); // W5
  }

  #checkSmallest(): void {
    if (this.#entries.compare(this.#claims.smallest) === 0) return;
    this.#refuse("a table does not begin as its list says"); // W2
  }

  /** W4. Of keys that begin as the one before does, it is known. */
  #checkPrefix(): void {
    const { key, userKeyBytes } = this.#entries;
    const { first, last } = this.#claims.keyGroups;
    const group = key[0]! * 256 + key[1]!;
    const at = STATE_ID_OFFSET;
    const id = key[at]! * 0x100_0000 + ((key[at + 1]! << 16) | (key[at + 2]! << 8) | key[at + 3]!);
    if (userKeyBytes <= ROW_KEY_PREFIX_BYTES) {
      this.#entries.refuse("a row key has an impossible length");
    }
    const [part, tag] = [key[PART_OFFSET]!, key[KEY_TAG_OFFSET]!];
    if (part > RowPart.node || !keyTags.has(tag)) {
      const found = `part ${part}, tag ${tag}`;
      throw new UnsupportedFormatError(`row key in ${this.#file}`, found, "the keys of version 1");
    }
    if (group < first || group > last) {
      this.#entries.refuse(`a row is of key group ${group}, outside ${first} to ${last}`);
    }
    if (!this.#stateIds.has(id)) {
      this.#entries.refuse("a row is of a state that the metadata does not name");
    }
  }

  #misplaced(): never {
    return this.#refuse("a block is not where the index says");
  }

  #refuse(message: string): never {
    throw new CorruptionError(message, this.#file, this.index.offset);
  }
}
