// The rows of a map in the write buffer: one packed row, or a B+tree of rows (format/map-row.ts).
// A hit in a packed map or a leaf is hot; a change of a tree's shape works on decoded copies.
import { CorruptionError } from "../errors.ts";
import {
  EntryPosition,
  MAP_DIRECTORY_BYTES_MAX,
  MAP_LEAF_BYTES_MAX,
  MAP_LEAF_BYTES_MIN,
  MAP_PACKED_BYTES_MAX,
  MAP_ROOT_HEADER_BYTES,
  MAP_UNPACK_BYTES,
  type MapChild,
  childFor,
  decodeChildren,
  decodeMapRoot,
  encodeChildren,
  encodeMapRoot,
  entryBytes,
  findEntry,
  firstKey,
  readEntry,
  splitEntries,
  writeEntry,
} from "../format/map-row.ts";
import { RowKind } from "../format/row-value.ts";
import { copyBytes } from "../memory/copy-bytes.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import { type PathStep, ROOT, pick, withoutFirstKey } from "./map-path.ts";
import type { RowAddress } from "./row-address.ts";

// Imports as constants of this module: V8 reads an import anew at each access, and folds these.
const findIn = findEntry;
const PACKED: number = RowKind.mapPacked;

export class MapRowsOfState {
  /** Where the last search ended: offsets into the arena. */
  readonly entry: EntryPosition = new EntryPosition();
  /** Grows with every change of any of the state's maps. */
  version = 0;
  private readonly _buffer: WriteBuffer;
  private readonly _address: RowAddress;
  private readonly _name: string;
  /** The row with the entries that the last search looked at: ROOT for a packed map. */
  private _leaf = ROOT;
  private _leafReference = 0;

  constructor(buffer: WriteBuffer, address: RowAddress, name: string) {
    this._buffer = buffer;
    this._address = address;
    this._name = name;
  }

  /** Looks for a key; `entry` then tells where it is. False if it is not there. */
  find(key: Uint8Array, keyBytes: number): boolean {
    const buffer = this._buffer;
    let reference = buffer.lookup(this._address.root());
    this._leaf = ROOT;
    this._leafReference = reference;
    if (reference === 0) return false;
    if (buffer.header(reference) !== PACKED) {
      reference = this._descend(reference, key, keyBytes);
      this._leafReference = reference;
    }
    const start = buffer.valueOffset(reference);
    return findIn(
      buffer.u8,
      buffer.view,
      start,
      start + buffer.valueBytes(reference),
      key,
      0,
      keyBytes,
      this.entry,
    );
  }

  get isEmpty(): boolean {
    return this._buffer.lookup(this._address.root()) === 0;
  }

  private _descend(root: number, key: Uint8Array, keyBytes: number): number {
    const buffer = this._buffer;
    if (buffer.header(root) !== RowKind.mapRoot) throw this._damaged("root");
    let start = buffer.valueOffset(root);
    let end = start + buffer.valueBytes(root);
    let height = buffer.u8[start + 4]!;
    start += MAP_ROOT_HEADER_BYTES;
    for (;;) {
      const node = childFor(buffer.u8, start, end, key, keyBytes);
      const kind = height === 1 ? RowKind.mapLeaf : RowKind.mapInner;
      const reference = this._node(node, kind);
      if (height === 1) {
        this._leaf = node;
        return reference;
      }
      height--;
      start = buffer.valueOffset(reference);
      end = start + buffer.valueBytes(reference);
    }
  }

  private _node(node: number, kind: number): number {
    const reference = this._buffer.lookup(this._address.node(node));
    if (reference <= 0 || this._buffer.header(reference) !== kind) {
      throw this._damaged(`node ${node}`);
    }
    return reference;
  }

  private _damaged(what: string): CorruptionError {
    return new CorruptionError(`${what} of a map of state "${this._name}" is missing`, "row", 0);
  }

  put(key: Uint8Array, keyBytes: number, value: Uint8Array, valueBytes: number): void {
    const buffer = this._buffer;
    this.version++;
    const isFound = this.find(key, keyBytes);
    const bytes = entryBytes(keyBytes, valueBytes);
    if (this._leafReference === 0) {
      const capacity = bytes <= 256 ? bytes * 4 : bytes;
      const made = buffer.reserve(this._address.root(), RowKind.mapPacked, bytes, capacity, true);
      writeEntry(buffer.u8, buffer.valueOffset(made), key, keyBytes, value, valueBytes);
      return;
    }
    const { entry } = this;
    const start = buffer.valueOffset(this._leafReference);
    const before = buffer.valueBytes(this._leafReference);
    const at = entry.offset - start;
    const replaced = isFound ? entry.end - entry.offset : 0;
    if (replaced === bytes && buffer.isWritable(this._leafReference)) {
      copyBytes(value, 0, valueBytes, buffer.u8, entry.valueOffset);
      return;
    }
    const after = before - replaced + bytes;
    const limit = this._leaf === ROOT ? MAP_PACKED_BYTES_MAX : MAP_LEAF_BYTES_MAX;
    if (after > limit && after > before) {
      this._putSplitting(at, replaced, key, keyBytes, value, valueBytes);
      return;
    }
    const offset = this._replaceRange(at, replaced, bytes, before);
    writeEntry(buffer.u8, offset, key, keyBytes, value, valueBytes);
  }

  /** Makes `bytes` of room in place of `replaced` bytes at `at` of the leaf. Arena offset of the room. */
  private _replaceRange(at: number, replaced: number, bytes: number, before: number): number {
    const buffer = this._buffer;
    const row = this._leaf === ROOT ? this._address.root() : this._address.node(this._leaf);
    const kind = this._leaf === ROOT ? RowKind.mapPacked : RowKind.mapLeaf;
    const after = before - replaced + bytes;
    const widest = Math.max(before, after);
    const capacity = widest + (after > before ? widest >> 1 : 0);
    const reference = buffer.resize(row, kind, widest, capacity);
    const start = buffer.valueOffset(reference);
    if (bytes !== replaced) {
      buffer.u8.copyWithin(start + at + bytes, start + at + replaced, start + before);
    }
    if (after === widest) return start + at;
    // A record states little slack: one that shrinks by much moves.
    return buffer.valueOffset(buffer.resize(row, kind, after, after)) + at;
  }

  remove(key: Uint8Array, keyBytes: number): void {
    if (!this.find(key, keyBytes)) return;
    this.version++;
    const buffer = this._buffer;
    const { entry } = this;
    const before = buffer.valueBytes(this._leafReference);
    const removed = entry.end - entry.offset;
    const at = entry.offset - buffer.valueOffset(this._leafReference);
    if (this._leaf === ROOT && removed === before) {
      buffer.remove(this._address.root(), false);
      return;
    }
    if (removed < before) this._replaceRange(at, removed, 0, before);
    if (this._leaf !== ROOT && before - removed < MAP_LEAF_BYTES_MIN) {
      this._shrink(key, keyBytes, removed === before);
    }
  }

  // -- changes of shape --------------------------------------------------------------------------

  /** Path from the root to the leaf that covers `key`, decoded. */
  private _path(
    key: Uint8Array,
    keyBytes: number,
  ): { steps: PathStep[]; nextNode: number; height: number } {
    const reference = this._buffer.lookup(this._address.root());
    if (reference <= 0) throw this._damaged("root");
    const root = decodeMapRoot(this._payload(reference));
    const steps: PathStep[] = [];
    let step = pick(ROOT, [...root.children], key, keyBytes);
    steps.push(step);
    for (let height = root.height; height > 1; height--) {
      const { node } = step.children[step.index]!;
      const inner = this._node(node, RowKind.mapInner);
      step = pick(node, decodeChildren(this._payload(inner)), key, keyBytes);
      steps.push(step);
    }
    return { steps, nextNode: root.nextNode, height: root.height };
  }

  private _payload(reference: number): Uint8Array {
    const from = this._buffer.valueOffset(reference);
    return this._buffer.u8.slice(from, from + this._buffer.valueBytes(reference));
  }

  private _write(node: number, kind: number, payload: Uint8Array, isNew: boolean): void {
    const row = node === ROOT ? this._address.root() : this._address.node(node);
    const spare = kind === RowKind.mapRoot || kind === RowKind.mapInner ? 0 : payload.length >> 1;
    const capacity = payload.length + spare;
    const reference = this._buffer.reserve(row, kind, payload.length, capacity, isNew);
    this._buffer.u8.set(payload, this._buffer.valueOffset(reference));
  }

  /** The leaf's entries with the new one in place; splits it as often as needed. */
  private _putSplitting(
    at: number,
    replaced: number,
    key: Uint8Array,
    keyBytes: number,
    value: Uint8Array,
    valueBytes: number,
  ): void {
    const old = this._payload(this._leafReference);
    const bytes = entryBytes(keyBytes, valueBytes);
    const entries = new Uint8Array(old.length - replaced + bytes);
    entries.set(old.subarray(0, at));
    writeEntry(entries, at, key, keyBytes, value, valueBytes);
    entries.set(old.subarray(at + replaced), at + bytes);
    const parts = splitEntries(entries, MAP_LEAF_BYTES_MAX * 2);
    if (this._leaf === ROOT) return this._plant(parts);
    const path = this._path(key, keyBytes);
    let { nextNode } = path;
    const leaf = this._leaf;
    const fresh: MapChild[] = [];
    for (const [index, part] of parts.entries()) {
      const node = index === 0 ? leaf : nextNode++;
      this._write(node, RowKind.mapLeaf, part, false);
      if (index > 0) fresh.push({ node, key: firstKey(part) });
    }
    const parent = path.steps.at(-1)!;
    parent.children.splice(parent.index + 1, 0, ...fresh);
    this._storePath(path.steps, nextNode, path.height);
  }

  /** Turns a packed map into a tree of these leaves; one part stays packed. */
  private _plant(parts: readonly Uint8Array[]): void {
    if (parts.length === 1) return this._write(ROOT, RowKind.mapPacked, parts[0]!, false);
    const children = parts.map((part, node) => {
      this._write(node, RowKind.mapLeaf, part, false);
      return { node, key: node === 0 ? new Uint8Array(0) : firstKey(part) };
    });
    const root = encodeMapRoot({ nextNode: parts.length, height: 1, children });
    this._write(ROOT, RowKind.mapRoot, root, false);
  }

  /** Writes the changed end of a path and splits nodes that are too large, up to the root. */
  private _storePath(steps: readonly PathStep[], nextNodeBefore: number, height: number): void {
    let nextNode = nextNodeBefore;
    for (let level = steps.length - 1; level > 0; level--) {
      const { node, children } = steps[level]!;
      const parent = steps[level - 1]!;
      if (encodeChildren(children).length > MAP_DIRECTORY_BYTES_MAX && children.length > 3) {
        const right = children.splice(children.length >> 1);
        const fresh = { node: nextNode++, key: right[0]!.key };
        this._write(fresh.node, RowKind.mapInner, encodeChildren(withoutFirstKey(right)), false);
        parent.children.splice(parent.index + 1, 0, fresh);
      }
      this._write(node, RowKind.mapInner, encodeChildren(children), false);
    }
    let { children } = steps[0]!;
    let rootHeight = height;
    if (encodeChildren(children).length > MAP_DIRECTORY_BYTES_MAX && children.length > 3) {
      const right = children.splice(children.length >> 1);
      const [a, b] = [nextNode++, nextNode++];
      this._write(a, RowKind.mapInner, encodeChildren(children), false);
      this._write(b, RowKind.mapInner, encodeChildren(withoutFirstKey(right)), false);
      children = [
        { node: a, key: new Uint8Array(0) },
        { node: b, key: right[0]!.key },
      ];
      rootHeight++;
    }
    const root = encodeMapRoot({ nextNode, height: rootHeight, children });
    this._write(ROOT, RowKind.mapRoot, root, false);
  }

  /** After a removal: drops an empty leaf, or merges a small one with its neighbour. */
  private _shrink(key: Uint8Array, keyBytes: number, isEmpty: boolean): void {
    const { steps, nextNode, height } = this._path(key, keyBytes);
    const parent = steps.at(-1)!;
    if (isEmpty) {
      this._dropChild(steps, steps.length - 1, height, nextNode);
      return;
    }
    const { children, index } = parent;
    const leaf = this._payload(this._node(children[index]!.node, RowKind.mapLeaf));
    const neighbour = index + 1 < children.length ? index + 1 : index - 1;
    if (neighbour < 0) {
      if (steps.length === 1 && leaf.length < MAP_UNPACK_BYTES)
        this._unpack(children[0]!.node, leaf);
      return;
    }
    const left = Math.min(index, neighbour);
    const other = this._payload(this._node(children[neighbour]!.node, RowKind.mapLeaf));
    if (leaf.length + other.length > MAP_LEAF_BYTES_MAX / 2) return;
    const both = left === index ? Buffer.concat([leaf, other]) : Buffer.concat([other, leaf]);
    const gone = children[left + 1]!.node;
    if (children.length === 2 && steps.length === 1 && both.length < MAP_UNPACK_BYTES) {
      this._buffer.remove(this._address.node(gone), false);
      this._unpack(children[left]!.node, both);
      return;
    }
    this._write(children[left]!.node, RowKind.mapLeaf, both, false);
    this._buffer.remove(this._address.node(gone), false);
    children.splice(left + 1, 1);
    this._storePath(steps, nextNode, height);
  }

  private _unpack(leaf: number, entries: Uint8Array): void {
    this._buffer.remove(this._address.node(leaf), false);
    this._write(ROOT, RowKind.mapPacked, entries, false);
  }

  /** Removes the child taken at `level` and every node that is empty without it. */
  private _dropChild(steps: PathStep[], level: number, height: number, nextNode: number): void {
    const { node, children, index } = steps[level]!;
    this._buffer.remove(this._address.node(children[index]!.node), false);
    children.splice(index, 1);
    if (children.length > 0) {
      if (index === 0) children[0] = { node: children[0]!.node, key: new Uint8Array(0) }; // M2
      this._storePath(steps.slice(0, level + 1), nextNode, height);
    } else if (node === ROOT) {
      this._buffer.remove(this._address.root(), false);
    } else {
      this._dropChild(steps, level - 1, height, nextNode);
    }
  }

  clear(): void {
    this.version++;
    const reference = this._buffer.lookup(this._address.root());
    if (reference === 0) return;
    if (this._buffer.header(reference) === RowKind.mapRoot) {
      const { height, children } = decodeMapRoot(this._payload(reference));
      this._removeChildren(children, height);
    }
    this._buffer.remove(this._address.root(), false);
  }

  private _removeChildren(children: readonly MapChild[], height: number): void {
    for (const { node } of children) {
      if (height > 1) {
        const inner = this._node(node, RowKind.mapInner);
        this._removeChildren(decodeChildren(this._payload(inner)), height - 1);
      }
      this._buffer.remove(this._address.node(node), false);
    }
  }

  /** Moves `entry` to the first entry above the key; a negative length: to the very first. False at the end. */
  seekAfter(key: Uint8Array, keyBytes: number): boolean {
    const buffer = this._buffer;
    const isFound = this.find(key, Math.max(0, keyBytes));
    if (this._leafReference === 0) return false;
    const { entry } = this;
    const offset = isFound && keyBytes >= 0 ? entry.end : entry.offset;
    if (offset < this.leafEnd) {
      readEntry(buffer.u8, offset, this.leafEnd, entry);
      return true;
    }
    return !this.isPacked && this._firstOfNextLeaf(key.subarray(0, Math.max(0, keyBytes)));
  }

  /** Whether the leaf of the last search is all of the map. */
  get isPacked(): boolean {
    return this._leaf === ROOT;
  }

  /** Where the entries of the leaf of the last search end. */
  get leafEnd(): number {
    const reference = this._leafReference;
    return this._buffer.valueOffset(reference) + this._buffer.valueBytes(reference);
  }

  private _firstOfNextLeaf(key: Uint8Array): boolean {
    const { _buffer: buffer, entry } = this;
    const { steps } = this._path(key, key.length);
    for (let level = steps.length - 1; level >= 0; level--) {
      const { children, index } = steps[level]!;
      if (index + 1 >= children.length) continue;
      // The leftmost leaf below the next child is found by the child's own key.
      const next = children[index + 1]!.key;
      this.find(next, next.length);
      readEntry(buffer.u8, buffer.valueOffset(this._leafReference), this.leafEnd, entry);
      return true;
    }
    return false;
  }
}
