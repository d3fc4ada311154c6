// What a log comes to, row by row: sorted by key, of each key only the last word.
//   C1. A put or delete hides what came before it; appends go behind it, or behind what the base has.
//   C2. Appends are merged as a drain merges them (lsm/drain-appends.ts): a root row, and chunks that are new.
//   C3. Memory holds SORT_BYTES of changes, the appends to one list, and the result compressed; if there is
//       more, changes and result are in files of a temporary directory.
import type { FrameTools } from "../format/frame.ts";
import { ChangeKind, readChanges } from "../format/changelog-rows.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { PART_OFFSET, RowPart } from "../format/key-codec.ts";
import {
  LIST_PACKED_HEADER_BYTES,
  type ListAppend,
  mergeAppends,
  readAppliedChange,
} from "../format/list-row.ts";
import { RowKind } from "../format/row-value.ts";
import { MIB } from "../common/units.ts";
import { CorruptionError } from "../errors.ts";
import { RowAddresses } from "../state/row-addresses.ts";
import { loadCodec } from "../workers/codec.ts";
import type { LogSource } from "./log-source.ts";
import { RowSorter } from "./row-sorter.ts";
import { type Groups, type Row, type RowSource, successorOf } from "./row-source.ts";
import type { Scratch } from "./scratch.ts";
import { type SortedRun, SortedRunWriter } from "./sorted-run.ts";

export const SORT_BYTES: number = 32 * MIB;
/** Behind each key while changes are sorted: their order. Keys are prefix-free, so it decides last. */
const ORDER_BYTES = 6;
/** Before each value: kind, change number. */
const HEAD_BYTES = 9;

/** First byte of a row of the result; a stored row follows a put. */
export const Outcome = { put: 1, removed: 2 } as const;

/** Rows are an Outcome and, of a put, the stored row. What `chunks` has hides what `rows` has. */
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
  return new Resolver(log, base, groups, scratch, frames, sortBytes).run();
}

interface SortedChange {
  readonly kind: number;
  readonly upToChange: number;
  readonly value: Uint8Array;
}

class Resolver {
  readonly #log: LogSource;
  readonly #base: RowSource;
  readonly #groups: Groups;
  readonly #scratch: Scratch;
  readonly #frames: FrameTools;
  readonly #sortBytes: number;
  /** Whether memory was not enough for the changes. */
  #isLarge = false;

  constructor(
    log: LogSource,
    base: RowSource,
    groups: Groups,
    scratch: Scratch,
    frames: FrameTools,
    sortBytes: number,
  ) {
    this.#log = log;
    this.#base = base;
    this.#groups = groups;
    this.#scratch = scratch;
    this.#frames = frames;
    this.#sortBytes = sortBytes;
  }

  async run(): Promise<LoggedChanges> {
    const sorted = await this.#sortChanges();
    const chunks = this.#newSorter();
    const writer = await SortedRunWriter.open(this.#frames, this.#scratch, this.#isLarge);
    try {
      for await (const [key, changes] of byKey(sorted))
        await this.#resolve(key, changes, writer, chunks);
      const rows = await writer.finish();
      return { rows, chunks: chunks.rowCount === 0 ? undefined : await this.#runOf(chunks) };
    } catch (cause) {
      await writer.discard();
      throw cause;
    }
  }

  /** Keys with their order behind them, and heads before the values. */
  async #sortChanges(): Promise<RowSorter> {
    const sorter = this.#newSorter();
    const { keyGroups, states } = this.#log.handle;
    const addresses = new RowAddresses(keyGroups, states);
    let order = 0;
    for await (const { rows, file, offset, upToChange } of this.#log.frames(this.#groups)) {
      const found: Row[] = [];
      readChanges(rows, file, offset, (kind, key, value) => {
        addresses.select(key, file); // Refuses keys that are not whole: then none begins another.
        if (kind === ChangeKind.put) addresses.checkRow(value, file);
        found.push(encode(kind, key, value, upToChange, order++));
      });
      for (const { key, row } of found) await this.#put(sorter, key, row);
    }
    return sorter;
  }

  #newSorter(): RowSorter {
    const { fileSystem, path } = this.#scratch;
    const tools = { fileSystem, frames: this.#frames, directory: path };
    const throwIfStopped = (): void => undefined;
    const name = `${this.#scratch.newName()}-run`;
    return new RowSorter({ ...tools, name, throwIfStopped }, this.#sortBytes);
  }

  async #put(sorter: RowSorter, key: Uint8Array, row: Uint8Array): Promise<void> {
    if (!sorter.fits(key.length, row.length)) {
      this.#isLarge = true;
      await this.#scratch.make(); // Runs are written there.
      await sorter.makeRoom();
    }
    sorter.copy(key, key.length, row, 0, row.length);
  }

  async #resolve(
    key: Uint8Array,
    changes: readonly SortedChange[],
    writer: SortedRunWriter,
    chunks: RowSorter,
  ): Promise<void> {
    const whole = changes.findLast(({ kind }) => kind !== ChangeKind.append);
    const behind = changes.slice(whole === undefined ? 0 : changes.indexOf(whole) + 1); // C1
    const isPut = whole?.kind === ChangeKind.put;
    if (behind.length === 0) {
      await writer.put(
        key,
        isPut ? outcome(Outcome.put, whole.value) : Uint8Array.of(Outcome.removed),
      );
      return;
    }
    const root = whole === undefined ? await this.#baseRow(key) : isPut ? whole.value : undefined;
    if (root?.[0] === RowKind.listPacked && root.length === LIST_PACKED_HEADER_BYTES) {
      throw new CorruptionError("a list without elements has a row", "row", 0);
    }
    const appends = behind.map((change): ListAppend => {
      return { changeNumber: change.upToChange, elements: change.value };
    });
    const merged = mergeAppends(root, laterThan(root, whole, appends)); // C2
    await writer.put(key, outcome(Outcome.put, merged.root));
    for (const { index, row } of merged.chunks) {
      await this.#put(chunks, chunkKey(key, index), outcome(Outcome.put, row));
    }
  }

  async #baseRow(key: Uint8Array): Promise<Uint8Array | undefined> {
    for await (const rows of this.#base.rows({ gte: key, lt: successorOf(key) })) {
      const [first] = rows;
      return first !== undefined && Buffer.compare(first.key, key) === 0 ? first.row : undefined;
    }
    return undefined;
  }

  async #runOf(sorter: RowSorter): Promise<SortedRun> {
    const writer = await SortedRunWriter.open(this.#frames, this.#scratch, this.#isLarge);
    try {
      for await (const rows of sorter.sorted()) {
        for (const { key, row } of rows) await writer.put(key, row);
      }
      return await writer.finish();
    } catch (cause) {
      await writer.discard();
      throw cause;
    }
  }
}

/**
 * What is behind a row of the log itself is not contained in it, whatever number that row carries: it was
 * written with the cut that ends its batch.
 */
function laterThan(
  root: Uint8Array | undefined,
  whole: SortedChange | undefined,
  appends: readonly ListAppend[],
): readonly ListAppend[] {
  if (root === undefined || whole === undefined) return appends;
  const applied = readAppliedChange(root);
  return appends.map(({ changeNumber, elements }) => {
    return { changeNumber: Math.max(changeNumber, applied + 1), elements };
  });
}

function encode(
  kind: ChangeKind,
  key: Uint8Array,
  value: Uint8Array,
  upToChange: number,
  order: number,
): Row {
  const ordered = Buffer.alloc(key.length + ORDER_BYTES);
  ordered.set(key);
  ordered.writeUIntBE(order, key.length, ORDER_BYTES);
  const row = Buffer.alloc(HEAD_BYTES + value.length);
  row[0] = kind;
  row.writeBigUInt64LE(BigInt(upToChange), 1);
  row.set(value, HEAD_BYTES);
  return { key: ordered, row };
}

/** The changes of each key together, in their order. */
async function* byKey(
  sorter: RowSorter,
): AsyncGenerator<readonly [key: Uint8Array, changes: readonly SortedChange[]], void, void> {
  let current: Uint8Array | undefined;
  let changes: SortedChange[] = [];
  for await (const rows of sorter.sorted()) {
    for (const { key: ordered, row } of rows) {
      const key = ordered.subarray(0, ordered.length - ORDER_BYTES);
      const order = current === undefined ? -1 : Buffer.compare(current, key);
      if (order > 0) throw new CorruptionError("keys of a log are not whole", "row key", 0);
      if (order < 0) {
        if (current !== undefined) yield [current, changes];
        current = new Uint8Array(key);
        changes = [];
      }
      const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
      const upToChange = Number(view.getBigUint64(1, true));
      // Copied: batches are views of what is read next.
      const value = new Uint8Array(row.subarray(HEAD_BYTES));
      if (row[0] !== ChangeKind.append) changes = []; // C1
      changes.push({ kind: row[0]!, upToChange, value });
    }
  }
  if (current !== undefined) yield [current, changes];
}

function outcome(kind: number, row: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + row.length);
  bytes[0] = kind;
  bytes.set(row, 1);
  return bytes;
}

function chunkKey(rootKey: Uint8Array, index: number): Uint8Array {
  if (rootKey[PART_OFFSET] !== RowPart.root) {
    throw new CorruptionError("elements are appended to a part of a list", "row", 0);
  }
  const key = new Uint8Array(rootKey.length + 4);
  key.set(rootKey);
  key[PART_OFFSET] = RowPart.node;
  new DataView(key.buffer).setUint32(rootKey.length, index);
  return key;
}
