// Where a state's rows for the current key (and namespace) are: builds row keys. Hot. A namespace that
// is a number is kept as words of the row key, and encoded only where somebody asks for its bytes.
import type { Key } from "../api/state.ts";
import { assert } from "../common/assert.ts";
import { murmurBytes, murmurFinish, murmurStep } from "../common/murmur3.ts";
import { InvalidArgumentError } from "../errors.ts";
import { KeyTag, RowPart } from "../format/key-codec.ts";
import { RowKey } from "../memory/row-key.ts";
import { type KeyContext, encodeNamespace } from "./key-context.ts";

/** Tag and payload of a namespace that is a number. */
const NUMBER_NAMESPACE_BYTES = 9;

const number = new DataView(new ArrayBuffer(8));
const numberWords = new Int32Array(number.buffer);

export class RowAddress {
  /** Row key made by `root` or `node`. */
  row: RowKey;
  private readonly _context: KeyContext;
  readonly name: string;
  /** The state's part of the first two words of its row keys, and of its rows' hashes. */
  readonly stateHigh: number;
  readonly stateLow: number;
  readonly seed: number;
  private readonly _ownRow: RowKey | undefined;
  private readonly _nodeRow: RowKey = new RowKey();
  private readonly _hasNamespaces: boolean;
  /** Undefined if none is set, or if it is a number whose bytes nobody asked for. */
  private _namespace: Uint8Array | undefined = undefined;
  private _namespaceHash = 0;
  /** The namespace if it was set as a number, else NaN. */
  private _number = Number.NaN;
  /** Its tag and payload, as little-endian words, zero-padded. */
  private _word0 = 0;
  private _word1 = 0;
  private _word2 = 0;

  constructor(context: KeyContext, name: string, stateId: number, hasNamespaces: boolean) {
    this._context = context;
    this.name = name;
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
        `state "${this.name}" was declared without namespaces: declare it with namespaces: true`,
      );
    }
    if (typeof namespace !== "number") this.restoreNamespace(encodeNamespace(namespace));
    else if (namespace !== this._number) this._setNumber(namespace);
  }

  /** The bytes of format/key-codec.ts, without an allocation; a property test compares them. */
  private _setNumber(namespace: number): void {
    if (Number.isNaN(namespace)) encodeNamespace(namespace); // Throws, with the reason.
    number.setFloat64(0, namespace + 0); // -0 + 0 is 0.
    const first = numberWords[0]!; // Big-endian bytes in a little-endian word, as in a row key.
    const flip = (first << 24) >> 31;
    const high = first ^ (flip | 0x80);
    const low = numberWords[1]! ^ flip;
    this._word0 = KeyTag.number | (high << 8);
    this._word1 = (high >>> 24) | (low << 8);
    this._word2 = low >>> 24;
    const hash = murmurStep(murmurStep(murmurStep(0, this._word0), this._word1), this._word2);
    this._namespaceHash = namespaceHash(murmurFinish(hash, 12));
    this._number = namespace;
    this._namespace = undefined;
    this._context.epochs.advance();
  }

  /** The current root row key, to tell later whether it is still the current one. */
  token(): readonly number[] {
    const { words, length } = this.root();
    const token = [length];
    for (let word = 0; word << 2 < length; word++) token.push(words[word]!); // Padded with zeros.
    return token;
  }

  isSame(token: readonly number[]): boolean {
    if (!this._context.isSet) return false;
    const { words, length } = this.root();
    if (token[0] !== length) return false;
    for (let word = 0; word << 2 < length; word++) {
      if (token[word + 1] !== words[word]) return false;
    }
    return true;
  }

  /** The namespace's bytes: part of what a value of another namespace must not be mixed with. */
  get namespace(): Uint8Array | undefined {
    if (!Number.isNaN(this._number)) this._namespace ??= encodeNamespace(this._number);
    return this._namespace;
  }

  restoreNamespace(namespace: Uint8Array | undefined): void {
    this._namespace = namespace;
    this._number = Number.NaN;
    if (namespace !== undefined) {
      this._namespaceHash = namespaceHash(murmurBytes(0, namespace));
    }
    this._context.epochs.advance();
  }

  /** Makes `row` the root row of the current key. Throws if no key is set. */
  root(): RowKey {
    const context = this._context;
    if (!context.isSet) this._refuse();
    const row = this._ownRow ?? context.row;
    const { words } = row;
    let hash = context.hash ^ this.seed;
    if (this._ownRow !== undefined) {
      hash = Math.imul(hash, this._namespaceHash);
      this._addNamespace(row);
    } else {
      context.materialize();
      row.length = context.length;
    }
    words[0] = context.groupWord | this.stateHigh;
    words[1] = context.tagWord | this.stateLow;
    row.hash = spread(hash);
    this.row = row;
    return row;
  }

  private _addNamespace(row: RowKey): void {
    const context = this._context;
    if (context.isShort && this._number === this._number) {
      const { words } = row;
      words[2] = context.high;
      words[3] = context.low;
      words[4] = this._word0;
      words[5] = this._word1;
      words[6] = this._word2;
      words[7] = 0;
      row.length = context.length + NUMBER_NAMESPACE_BYTES;
      return;
    }
    const { namespace } = this;
    if (namespace === undefined) {
      throw new InvalidArgumentError(
        `state "${this.name}" has namespaces: call setCurrentNamespace first`,
      );
    }
    context.materialize();
    row.u8.set(context.row.u8.subarray(8, context.length), 8);
    row.u8.set(namespace, context.length);
    row.length = context.length + namespace.length;
    row.pad();
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
      `state "${this.name}" is used without a current key: use withKey or setCurrentKey first`,
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
