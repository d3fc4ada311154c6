// Where a state's rows for the current key (and namespace) are: builds row keys. Hot.
import type { Key } from "../api/state.ts";
import { assert } from "../common/assert.ts";
import { murmurBytes } from "../common/murmur3.ts";
import { InvalidArgumentError } from "../errors.ts";
import { RowPart } from "../format/key-codec.ts";
import { RowKey } from "../memory/row-key.ts";
import { type KeyContext, encodeNamespace } from "./key-context.ts";

export class RowAddress {
  /** Row key made by `root` or `node`. */
  row: RowKey;
  private readonly _context: KeyContext;
  private readonly _name: string;
  /** The state's part of the first two words of its row keys, and of its rows' hashes. */
  readonly stateHigh: number;
  readonly stateLow: number;
  readonly seed: number;
  private readonly _ownRow: RowKey | undefined;
  private readonly _nodeRow: RowKey = new RowKey();
  private readonly _hasNamespaces: boolean;
  private _namespace: Uint8Array | undefined = undefined;
  private _namespaceHash = 0;

  constructor(context: KeyContext, name: string, stateId: number, hasNamespaces: boolean) {
    this._context = context;
    this._name = name;
    this.stateHigh = ((stateId >>> 24) << 16) | ((stateId >>> 16) << 24);
    this.stateLow = ((stateId >>> 8) & 0xff) | ((stateId & 0xff) << 8);
    this.seed = stateSeed(stateId);
    this._hasNamespaces = hasNamespaces;
    this._ownRow = hasNamespaces ? new RowKey() : undefined;
    this.row = this._ownRow ?? context.row;
  }

  get hasNamespaces(): boolean {
    return this._hasNamespaces;
  }

  setNamespace(namespace: Key): void {
    if (!this._hasNamespaces) {
      throw new InvalidArgumentError(
        `state "${this._name}" was declared without namespaces: declare it with namespaces: true`,
      );
    }
    this._namespace = encodeNamespace(namespace);
    this._namespaceHash = namespaceHash(murmurBytes(0, this._namespace));
    this._context.epochs.advance();
  }

  /** The current root row key, to tell later whether it is still the current one. */
  token(): Uint8Array {
    return this.root().view().slice();
  }

  isSame(token: Uint8Array): boolean {
    return this._context.isSet && Buffer.compare(this.root().view(), token) === 0;
  }

  /** The namespace's bytes: part of what a value of another namespace must not be mixed with. */
  get namespace(): Uint8Array | undefined {
    return this._namespace;
  }

  restoreNamespace(namespace: Uint8Array | undefined): void {
    this._namespace = namespace;
    if (namespace !== undefined) {
      this._namespaceHash = namespaceHash(murmurBytes(0, namespace));
    }
    this._context.epochs.advance();
  }

  /** Makes `row` the root row of the current key. Throws if no key is set. */
  root(): RowKey {
    const context = this._context;
    if (!context.isSet) this._refuse();
    context.materialize();
    const row = this._ownRow ?? context.row;
    const { words } = row;
    let hash = context.hash ^ this.seed;
    if (this._ownRow !== undefined) hash = this._addNamespace(row, hash);
    else row.length = context.length;
    words[0] = context.groupWord | this.stateHigh;
    words[1] = context.tagWord | this.stateLow;
    row.hash = spread(hash);
    this.row = row;
    return row;
  }

  private _addNamespace(row: RowKey, hash: number): number {
    const context = this._context;
    const namespace = this._namespace;
    if (namespace === undefined) {
      throw new InvalidArgumentError(
        `state "${this._name}" has namespaces: call setCurrentNamespace first`,
      );
    }
    row.u8.set(context.row.u8.subarray(8, context.length), 8);
    row.u8.set(namespace, context.length);
    row.length = context.length + namespace.length;
    row.pad();
    return Math.imul(hash, this._namespaceHash);
  }

  /** Makes `row` a node row of the collection whose root `root` addresses. */
  node(index: number): RowKey {
    const root = this.root();
    const row = this._nodeRow;
    const words = (root.length + 3) >> 2;
    for (let word = 0; word < words; word++) row.words[word] = root.words[word]!;
    row.words[1] = root.words[1]! | (RowPart.node << 16);
    const end = root.length;
    row.u8[end] = index >>> 24;
    row.u8[end + 1] = index >>> 16;
    row.u8[end + 2] = index >>> 8;
    row.u8[end + 3] = index;
    row.length = end + 4;
    row.pad();
    row.hash = nodeHash(root.hash, index);
    assert(index >= 0 && index <= 0xffff_ffff, "a node number is outside its u32");
    this.row = row;
    return row;
  }

  private _refuse(): never {
    this._context.throwIfRefused();
    throw new InvalidArgumentError(
      `state "${this._name}" is used without a current key: use withKey or setCurrentKey first`,
    );
  }
}

/** Spreads a mixed hash over all bits: the index takes its slots from the high ones. */
export function spread(mixed: number): number {
  const hash = Math.imul(mixed ^ (mixed >>> 16), 0x9e3779b1);
  return hash ^ (hash >>> 15);
}

// Hashes of row keys in the write buffer. Not persisted: they may change with any version.

function stateSeed(stateId: number): number {
  return Math.imul(stateId, 0x85ebca6b);
}

/** Odd, so that multiplying by it loses nothing. */
export function namespaceHash(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) | 1;
}

/** Hash of a root row; `namespace` is a namespaceHash, or 0 for states without namespaces. */
export function rootHash(keyHash: number, stateId: number, namespace: number): number {
  const mixed = keyHash ^ stateSeed(stateId);
  return spread(namespace === 0 ? mixed : Math.imul(mixed, namespace));
}

/** Hash of a node row from that of its root row. */
export function nodeHash(root: number, node: number): number {
  return spread(root ^ Math.imul(node + 1, 0x85ebca6b));
}
