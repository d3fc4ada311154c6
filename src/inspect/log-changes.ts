// What a log comes to, row by row: sorted by key, of each key only the last word. Hot: a log has millions of
// changes; nothing is allocated or awaited for one.
//   C1. A put or delete hides what came before it; appends go behind it, or behind what the base has.
//   C2. Appends are merged as a drain merges them (lsm/drain-appends.ts): a root row, and chunks that are new.
//   C3. Memory holds SORT_BYTES of changes and a frame, the appends to one list, and the result compressed; if
//       there is more, changes and result are in files of a temporary directory.
import { assert } from "../common/assert.ts";
import { MIB } from "../common/units.ts";
import { CorruptionError } from "../errors.ts";
import { ChangeKind, readChangesAt } from "../format/changelog-rows.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import type { FrameTools } from "../format/frame.ts";
import { PART_OFFSET, RowPart } from "../format/key-codec.ts";
import {
  LIST_PACKED_HEADER_BYTES,
  type ListAppend,
  mergeAppends,
  readAppliedChange,
} from "../format/list-row.ts";
import { ROW_KEY_BYTES_MAX } from "../format/row-record.ts";
import { RowKind } from "../format/row-value.ts";
import { RowAddresses } from "../state/row-addresses.ts";
import { loadCodec } from "../workers/codec.ts";
import type { LogSource, LoggedFrame } from "./log-source.ts";
import { RowSorter } from "./row-sorter.ts";
import { type Groups, type RowSource, successorOf } from "./row-source.ts";
import { compareBytes } from "./row-target.ts";
import type { Scratch } from "./scratch.ts";
import { type SortedRun, SortedRunWriter } from "./sorted-run.ts";

export const SORT_BYTES: number = 32 * MIB;
/**
 * Behind each key while changes are sorted: their order, 6 bytes; kind; change number, 8 bytes. Keys are
 * prefix-free, so the order decides last.
 */
const SUFFIX_BYTES = 15;
const KIND_AT = 6;
const CHANGE_AT = 7;

/** A row of the result that says that there is none: no stored row begins so. */
const REMOVED: Uint8Array = Uint8Array.of(0);

export function isRemoved(row: Uint8Array): boolean {
  return row[0] === REMOVED[0];
}

/** Stored rows, and removals. What `chunks` has hides what `rows` has. */
export interface LoggedChanges {
  readonly rows: SortedRun;
  /** Chunks that appends added. */
  readonly chunks: SortedRun | undefined;
}

export async function logChanges(
  log: LogSource,
  base: RowSource,
  groups: Groups,
  scratch: Scratch,
  sortBytes: number = SORT_BYTES,
): Promise<LoggedChanges> {
  const frames: FrameTools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
  return new Resolver(log, base, scratch, frames, sortBytes).run(groups);
}

class Resolver {
  readonly #log: LogSource;
  readonly #base: RowSource;
  readonly #scratch: Scratch;
  readonly #frames: FrameTools;
  readonly #sortBytes: number;
  readonly #addresses: RowAddresses;
  /** Whether memory was not enough for the changes. */
  #isLarge = false;
  #order = 0;
  readonly #key: Buffer = Buffer.alloc(ROW_KEY_BYTES_MAX + SUFFIX_BYTES);

  constructor(
    log: LogSource,
    base: RowSource,
    scratch: Scratch,
    frames: FrameTools,
    sortBytes: number,
  ) {
    this.#log = log;
    this.#base = base;
    this.#scratch = scratch;
    this.#frames = frames;
    this.#sortBytes = sortBytes;
    const { keyGroups, states } = log.handle;
    this.#addresses = new RowAddresses(keyGroups, states);
  }

  async run(groups: Groups): Promise<LoggedChanges> {
    const sorter = this.#newSorter();
    for await (const frame of this.#log.frames(groups)) await this.#take(frame, sorter);
    const chunks = this.#newSorter();
    const rows = await this.#write(async (writer) => this.#resolveAll(sorter, writer, chunks));
    if (chunks.rowCount === 0) return { rows, chunks: undefined };
    const added = await this.#write(async (writer) => {
      for await (const batch of chunks.sorted()) {
        for (const { key, row } of batch) await writer.put(key, row);
      }
    });
    return { rows, chunks: added };
  }

  async #write(work: (writer: SortedRunWriter) => Promise<void>): Promise<SortedRun> {
    const writer = await SortedRunWriter.open(this.#frames, this.#scratch, this.#isLarge);
    try {
      await work(writer);
      return await writer.finish();
    } catch (cause) {
      await writer.discard();
      throw cause;
    }
  }

  #newSorter(): RowSorter {
    const { fileSystem, path } = this.#scratch;
    const tools = { fileSystem, frames: this.#frames, directory: path };
    const throwIfStopped = (): void => undefined;
    const name = `${this.#scratch.newName()}-run`;
    return new RowSorter({ ...tools, name, throwIfStopped }, this.#sortBytes);
  }

  /** Room for so many bytes; else what is there goes to a file. */
  async #makeRoom(sorter: RowSorter, bytes: number): Promise<void> {
    if (sorter.fits(0, bytes)) return;
    this.#isLarge = true;
    await this.#scratch.make();
    await sorter.makeRoom();
  }

  /** The changes of a frame, their keys with what else is to be known of them. */
  async #take({ rows, file, offset, upToChange }: LoggedFrame, sorter: RowSorter): Promise<void> {
    await this.#makeRoom(sorter, rows.length);
    const ordered = this.#key;
    readChangesAt(rows, file, offset, (kind, keyStart, keyEnd, valueStart, valueEnd) => {
      const key = rows.subarray(keyStart, keyEnd);
      this.#addresses.select(key, file); // Refuses keys that are not whole: then none begins another.
      if (kind === ChangeKind.put) {
        this.#addresses.checkRow(rows.subarray(valueStart, valueEnd), file);
      }
      const { length } = key;
      ordered.set(key);
      ordered.writeUIntBE(this.#order++, length, 6);
      ordered[length + KIND_AT] = kind;
      ordered.writeDoubleBE(upToChange, length + CHANGE_AT);
      // A removal has no value; a row of nothing is none.
      if (kind === ChangeKind.delete) sorter.copy(ordered, length + SUFFIX_BYTES, REMOVED, 0, 1);
      else sorter.copy(ordered, length + SUFFIX_BYTES, rows, valueStart, valueEnd);
    });
  }

  async #resolveAll(sorter: RowSorter, writer: SortedRunWriter, chunks: RowSorter): Promise<void> {
    const current = new CurrentKey();
    for await (const batch of sorter.sorted()) {
      for (const { key: ordered, row } of batch) {
        const keyBytes = ordered.length - SUFFIX_BYTES;
        if (!current.is(ordered, keyBytes)) {
          if (current.hasAppends) await this.#merge(current, writer, chunks);
          else if (current.keyBytes > 0) {
            if (!writer.fits(current.keyBytes, current.row.length)) await writer.makeRoom();
            writer.copy(current.key, current.keyBytes, current.row);
          }
          current.begin(ordered, keyBytes);
        }
        current.add(ordered, keyBytes, row);
      }
      current.keep(); // Rows are views of what is read next.
    }
    if (current.hasAppends) await this.#merge(current, writer, chunks);
    else if (current.keyBytes > 0) await writer.put(current.keyOf(), current.row);
  }

  /** C2 */
  async #merge(current: CurrentKey, writer: SortedRunWriter, chunks: RowSorter): Promise<void> {
    const key = current.keyOf();
    const { whole } = current;
    const isRemovedBefore = whole !== undefined && isRemoved(whole);
    const root = isRemovedBefore ? undefined : (whole ?? (await this.#baseRow(key)));
    if (root?.[0] === RowKind.listPacked && root.length === LIST_PACKED_HEADER_BYTES) {
      throw new CorruptionError("a list without elements has a row", "row", 0);
    }
    if (key[PART_OFFSET] !== RowPart.root) {
      throw new CorruptionError("elements are appended to a part of a list", "row", 0);
    }
    const appends = whole === undefined ? current.appends : laterThan(root, current.appends);
    const merged = mergeAppends(root, appends);
    await writer.put(key, merged.root);
    for (const { index, row } of merged.chunks) {
      const chunk = chunkKey(key, index);
      await this.#makeRoom(chunks, chunk.length + row.length);
      chunks.copy(chunk, chunk.length, row, 0, row.length);
    }
  }

  async #baseRow(key: Uint8Array): Promise<Uint8Array | undefined> {
    for await (const rows of this.#base.rows({ gte: key, lt: successorOf(key) })) {
      const [first] = rows;
      return first !== undefined && Buffer.compare(first.key, key) === 0 ? first.row : undefined;
    }
    return undefined;
  }
}

/** The key whose changes come just now, and what they come to so far (C1). */
class CurrentKey {
  key: Uint8Array = new Uint8Array(256);
  /** 0 before the first. */
  keyBytes = 0;
  /** The last row of the log, or a removal; undefined if it has only appends. A view until `keep`. */
  whole: Uint8Array | undefined = undefined;
  appends: ListAppend[] = [];
  #isKept = true;

  get hasAppends(): boolean {
    return this.appends.length > 0;
  }

  /** Of a key without appends. */
  get row(): Uint8Array {
    assert(this.whole !== undefined, "a key without a change");
    return this.whole;
  }

  /** CorruptionError if the key is below this one. */
  is(ordered: Uint8Array, keyBytes: number): boolean {
    if (this.keyBytes === 0) return false;
    const order = compareBytes(this.key, 0, this.keyBytes, ordered, 0, keyBytes);
    if (order > 0) throw new CorruptionError("keys of a log are not whole", "row key", 0);
    return order === 0;
  }

  begin(ordered: Uint8Array, keyBytes: number): void {
    if (keyBytes > this.key.length) this.key = new Uint8Array(keyBytes * 2);
    for (let at = 0; at < keyBytes; at++) this.key[at] = ordered[at]!;
    this.keyBytes = keyBytes;
    this.whole = undefined;
    if (this.appends.length > 0) this.appends = [];
  }

  add(ordered: Uint8Array, keyBytes: number, row: Uint8Array): void {
    if (ordered[keyBytes + KIND_AT] === ChangeKind.append) {
      const view = new DataView(ordered.buffer, ordered.byteOffset, ordered.byteLength);
      const changeNumber = view.getFloat64(keyBytes + CHANGE_AT);
      this.appends.push({ changeNumber, elements: new Uint8Array(row) });
      return;
    }
    this.whole = row;
    this.#isKept = false;
    if (this.appends.length > 0) this.appends = [];
  }

  /** Copies what is a view. */
  keep(): void {
    if (!this.#isKept && this.whole !== undefined) this.whole = new Uint8Array(this.whole);
    this.#isKept = true;
  }

  keyOf(): Uint8Array {
    return this.key.slice(0, this.keyBytes);
  }
}

/**
 * What is behind a row of the log itself is not contained in it, whatever number that row carries: it was
 * written with the cut that ends its batch.
 */
function laterThan(
  root: Uint8Array | undefined,
  appends: readonly ListAppend[],
): readonly ListAppend[] {
  if (root === undefined) return appends;
  const applied = readAppliedChange(root);
  return appends.map(({ changeNumber, elements }) => {
    return { changeNumber: Math.max(changeNumber, applied + 1), elements };
  });
}

function chunkKey(rootKey: Uint8Array, index: number): Uint8Array {
  const key = new Uint8Array(rootKey.length + 4);
  key.set(rootKey);
  key[PART_OFFSET] = RowPart.node;
  new DataView(key.buffer).setUint32(rootKey.length, index);
  return key;
}
