// Row keys from stored bytes, with the hashes that key context and row address would give them. A
// property test holds the two together.
import type { KeyGroupRange, StateSchema } from "../api/keyed-state-backend.ts";
import { murmurBytes } from "../common/murmur3.ts";
import { CorruptionError } from "../errors.ts";
import {
  KEY_TAG_OFFSET,
  PART_OFFSET,
  ROW_KEY_PREFIX_BYTES,
  RowPart,
  STATE_ID_OFFSET,
  decodeKey,
  hashKeyPayload,
} from "../format/key-codec.ts";
import { ROW_KEY_BYTES_MAX } from "../format/row-record.ts";
import { RowKey } from "../memory/row-key.ts";
import { nodeHash, rootHash, namespaceHash } from "./row-address.ts";

const NODE_BYTES = 4;

export class RowAddresses {
  private readonly _keyGroups: KeyGroupRange;
  private readonly _hasNamespaces: ReadonlyMap<number, boolean>;
  private readonly _row: RowKey = new RowKey();

  constructor(keyGroups: KeyGroupRange, states: readonly StateSchema[]) {
    this._keyGroups = keyGroups;
    this._hasNamespaces = new Map(states.map(({ id, namespaces }) => [id, namespaces]));
  }

  /** The row of a stored key; valid until the next call. `file` is for errors. */
  select(key: Uint8Array, file: string): RowKey {
    if (key.length < ROW_KEY_PREFIX_BYTES || key.length > ROW_KEY_BYTES_MAX) {
      throw new CorruptionError("a row key has an impossible length", file, 0);
    }
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
    const group = view.getUint16(0);
    if (group < this._keyGroups.first || group > this._keyGroups.last) {
      throw new CorruptionError("a row is of a key group that is not owned", file, 0);
    }
    const stateId = view.getUint32(STATE_ID_OFFSET);
    const hasNamespaces = this._hasNamespaces.get(stateId);
    if (hasNamespaces === undefined) {
      throw new CorruptionError("a row is of a state that the metadata does not name", file, 0);
    }
    const row = this._row;
    row.u8.set(key);
    row.length = key.length;
    row.pad();
    row.hash = hashOf(key, stateId, hasNamespaces, file);
    return row;
  }
}

function hashOf(key: Uint8Array, stateId: number, hasNamespaces: boolean, file: string): number {
  const cursor = { offset: KEY_TAG_OFFSET };
  decodeKey(key, cursor);
  const payload = key.subarray(ROW_KEY_PREFIX_BYTES, cursor.offset);
  const keyHash = hashKeyPayload(key[KEY_TAG_OFFSET]!, payload);
  const isNode = key[PART_OFFSET] === RowPart.node;
  const end = isNode ? key.length - NODE_BYTES : key.length;
  const namespace = key.subarray(cursor.offset, Math.max(cursor.offset, end));
  if (namespace.length > 0 !== hasNamespaces || end < cursor.offset) {
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
