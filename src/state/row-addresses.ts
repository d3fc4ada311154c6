// Row keys from stored bytes, with the hashes that key context and row address would give them. A
// property test holds the two together.
import type { KeyGroupRange, StateSchema } from "../api/keyed-state-backend.ts";
import { keyGroupOf } from "../common/key-group.ts";
import { murmurBytes, murmurWords } from "../common/murmur3.ts";
import { CorruptionError } from "../errors.ts";
import {
  KEY_TAG_OFFSET,
  PART_OFFSET,
  ROW_KEY_PREFIX_BYTES,
  RowPart,
  STATE_ID_OFFSET,
  hashKeyPayload,
  skipKey,
} from "../format/key-codec.ts";
import { ROW_KEY_BYTES_MAX } from "../format/row-record.ts";
import { RowKind, checkRowHeader } from "../format/row-value.ts";
import { copyBytes } from "../memory/copy-bytes.ts";
import { RowKey } from "../memory/row-key.ts";
import { nodeHash, rootHash, namespaceHash } from "./row-address.ts";

const NODE_BYTES = 4;
/** Header byte and 8 bytes. */
const NUMBER_ROW_BYTES = 9;

export class RowAddresses {
  private readonly _keyGroups: KeyGroupRange;
  private readonly _hasNamespaces: ReadonlyMap<number, boolean>;
  private readonly _row: RowKey = new RowKey();
  private _stateId = -1;
  private _stateHasNamespaces = false;
  private _stateIsOfNumbers = false;
  private readonly _numberStates: ReadonlySet<number>;
  private readonly _integerStates: ReadonlySet<number>;
  /** Of the key of the row that was selected last: what its key group is computed from. */
  keyHash = 0;

  constructor(keyGroups: KeyGroupRange, states: readonly StateSchema[]) {
    this._keyGroups = keyGroups;
    this._hasNamespaces = new Map(states.map(({ id, namespaces }) => [id, namespaces]));
    const having = (...fingerprints: readonly string[]): ReadonlySet<number> =>
      new Set(states.filter((state) => isOneOf(state, fingerprints)).map(({ id }) => id));
    this._integerStates = having("i64");
    this._numberStates = having("f64", "i64");
  }

  /** The row of a stored key; valid until the next call. `file` is for errors. */
  select(key: Uint8Array, file: string): RowKey {
    return this.selectAt(key, 0, key.length, file);
  }

  /** As `select`, of the key that is `bytes` from `start` to `end`. Allocates nothing for most keys. */
  selectAt(bytes: Uint8Array, start: number, end: number, file: string): RowKey {
    const length = end - start;
    if (length < ROW_KEY_PREFIX_BYTES || length > ROW_KEY_BYTES_MAX) {
      throw new CorruptionError("a row key has an impossible length", file, 0);
    }
    const row = this._row;
    copyBytes(bytes, start, end, row.u8, 0);
    row.length = length;
    row.pad();
    const key = row.view();
    const group = key[0]! * 256 + key[1]!;
    if (group < this._keyGroups.first || group > this._keyGroups.last) {
      throw new CorruptionError("a row is of a key group that is not owned", file, 0);
    }
    const stateId = this._stateIdOf(key, file);
    const keyEnd = skipKey(key, KEY_TAG_OFFSET);
    const tag = key[KEY_TAG_OFFSET]!;
    const isPlain = keyEnd === key.length && key[PART_OFFSET] === RowPart.root;
    if (isPlain && !this._stateHasNamespaces) {
      // The payload ends the row, which is padded as the hash asks for.
      const words = (keyEnd - ROW_KEY_PREFIX_BYTES + 3) >> 2;
      this.keyHash = murmurWords(tag, row.words, ROW_KEY_PREFIX_BYTES / 4, words);
      row.hash = rootHash(this.keyHash, stateId, 0);
      return row;
    }
    this.keyHash = hashKeyPayload(tag, key.subarray(ROW_KEY_PREFIX_BYTES, keyEnd));
    row.hash = hashOf(key, keyEnd, this.keyHash, stateId, this._stateHasNamespaces, file);
    return row;
  }

  /**
   * Refuses a row that cannot be of the selected one's state: numbers are read and overwritten in the
   * write buffer where they are, whatever their length.
   */
  checkRow(stored: Uint8Array, file: string): void {
    if (!this._stateIsOfNumbers) return;
    const kind = checkRowHeader(stored);
    const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
    const isNumber =
      stored.length === NUMBER_ROW_BYTES &&
      kind === RowKind.value &&
      (!this._integerStates.has(this._stateId) || isSafe(view));
    if (isNumber) return;
    throw new CorruptionError("a row of numbers is no number", file, 0);
  }

  /** As `checkRow`, of the row that is `bytes` from `start` to `end`. */
  checkRowAt(bytes: Uint8Array, start: number, end: number, file: string): void {
    if (this._stateIsOfNumbers) this.checkRow(bytes.subarray(start, end), file);
  }

  /** Rows come state by state: the last one is kept. */
  private _stateIdOf(key: Uint8Array, file: string): number {
    const at = STATE_ID_OFFSET;
    const id = ((key[at]! << 24) | (key[at + 1]! << 16) | (key[at + 2]! << 8) | key[at + 3]!) >>> 0;
    if (id === this._stateId) return id;
    const hasNamespaces = this._hasNamespaces.get(id);
    if (hasNamespaces === undefined) {
      throw new CorruptionError("a row is of a state that the metadata does not name", file, 0);
    }
    this._stateId = id;
    this._stateHasNamespaces = hasNamespaces;
    this._stateIsOfNumbers = this._numberStates.has(id);
    return id;
  }

  /** Gives the selected row the key group of its key among `max`. Returns it. */
  regroup(max: number): number {
    const group = keyGroupOf(this.keyHash, max);
    this._row.u8[0] = group >>> 8;
    this._row.u8[1] = group & 0xff;
    return group;
  }
}

/** Whether a state has one row a key, of one of these serializers. */
function isOneOf({ type, serializers }: StateSchema, fingerprints: readonly string[]): boolean {
  return type !== "list" && type !== "map" && fingerprints.includes(serializers[0] ?? "");
}

function isSafe(row: DataView): boolean {
  return Number.isSafeInteger(row.getInt32(5, true) * 4_294_967_296 + row.getUint32(1, true));
}

function hashOf(
  key: Uint8Array,
  keyEnd: number,
  keyHash: number,
  stateId: number,
  hasNamespaces: boolean,
  file: string,
): number {
  const isNode = key[PART_OFFSET] === RowPart.node;
  const end = isNode ? key.length - NODE_BYTES : key.length;
  const namespace = key.subarray(keyEnd, Math.max(keyEnd, end));
  if (namespace.length > 0 !== hasNamespaces || end < keyEnd) {
    throw new CorruptionError("a row key has parts that its state does not", file, 0);
  }
  const mixed = rootHash(
    keyHash,
    stateId,
    hasNamespaces ? namespaceHash(murmurBytes(0, namespace)) : 0,
  );
  if (!isNode) return mixed;
  const node = new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(end);
  return nodeHash(mixed, node);
}
