// Replays the logs of restored checkpoints into the write buffer, over the base that is open below it.
//   L1. Changes are applied in their order: a put or delete counts whatever is there, an append goes
//       behind what is there. Nothing is read from the base.
//   L2. What is replayed is dirty for the LSM, as if it had just been written.
import type { KeyGroupRange, KeyedStateHandle } from "../api/keyed-state-backend.ts";
import { CorruptionError } from "../errors.ts";
import { ChangeKind, readChangesAt } from "../format/changelog-rows.ts";
import { PART_OFFSET, RowPart, STATE_ID_OFFSET } from "../format/key-codec.ts";
import { mergeAppends } from "../format/list-row.ts";
import { RecordFlag, recordUnits } from "../format/row-record.ts";
import { checkRowHeaderByte } from "../format/row-value.ts";
import { listChunkKey } from "../lsm/drain-appends.ts";
import { reserveAppend } from "../memory/blind-append.ts";
import { copyBytes } from "../memory/copy-bytes.ts";
import type { RowKey } from "../memory/row-key.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import { RowAddresses } from "../state/row-addresses.ts";
import type { RowsTarget } from "./row-restore.ts";

/** Raw rows of a frame, and where they are from. */
export interface LogRows {
  readonly rows: Uint8Array;
  readonly file: string;
  readonly offset: number;
}

/** References of the records before, which an append record begins with. */
const APPEND_HEADER_BYTES = 8;

export class LogReplay {
  readonly #target: RowsTarget;
  readonly #buffer: WriteBuffer;
  readonly #keyGroups: KeyGroupRange;
  readonly #changeNumberBase: number;
  readonly #addresses: RowAddresses;
  readonly #lists: ReadonlySet<number>;

  /** Of one handle; rows of other key groups than the backend's are left out. */
  constructor(
    target: RowsTarget,
    keyGroups: KeyGroupRange,
    changeNumberBase: number,
    handle: KeyedStateHandle,
  ) {
    this.#target = target;
    this.#buffer = target.buffer;
    this.#keyGroups = keyGroups;
    this.#changeNumberBase = changeNumberBase;
    this.#addresses = new RowAddresses(handle.keyGroups, handle.states);
    const lists = handle.states.filter(({ type }) => type === "list");
    this.#lists = new Set(lists.map(({ id }) => id));
  }

  async run(log: AsyncIterable<LogRows>): Promise<void> {
    for await (const { rows, file, offset } of log) {
      await this.#target.settle();
      readChangesAt(rows, file, offset, (kind, keyStart, keyEnd, valueStart, valueEnd) => {
        this.#apply(kind, rows, keyStart, keyEnd, valueStart, valueEnd, file);
      });
    }
  }

  /** Key and value as offsets in `rows`: nothing is allocated for a row that is put or deleted. */
  #apply(
    kind: ChangeKind,
    rows: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    file: string,
  ): void {
    const row = this.#addresses.selectAt(rows, keyStart, keyEnd, file);
    const group = rows[keyStart]! * 256 + rows[keyStart + 1]!;
    const { first, last } = this.#keyGroups;
    if (group < first || group > last) return; // Another task's, now.
    if (this.#buffer.isPressed) this.#target.relieve();
    if (kind === ChangeKind.delete) this.#buffer.remove(row, false);
    else if (kind === ChangeKind.put) {
      this.#addresses.checkRowAt(rows, valueStart, valueEnd, file);
      this.#put(row, rows, valueStart, valueEnd);
    } else this.#append(rows.slice(keyStart, keyEnd), rows.subarray(valueStart, valueEnd), file);
  }

  /** The stored row that is `rows` from `start` to `end`. */
  #put(row: RowKey, rows: Uint8Array, start: number, end: number): void {
    const buffer = this.#buffer;
    const header = checkRowHeaderByte(rows[start]!);
    const bytes = end - start - 1;
    const reference = buffer.reserve(row, header, bytes, bytes, false);
    copyBytes(rows, start + 1, end, buffer.u8, buffer.valueOffset(reference));
  }

  #putRow(key: Uint8Array, stored: Uint8Array, file: string): void {
    this.#put(this.#addresses.select(key, file), stored, 0, stored.length);
  }

  #append(key: Uint8Array, elements: Uint8Array, file: string): void {
    const at = STATE_ID_OFFSET;
    const id = ((key[at]! << 24) | (key[at + 1]! << 16) | (key[at + 2]! << 8) | key[at + 3]!) >>> 0;
    if (!this.#lists.has(id) || key[PART_OFFSET] !== RowPart.root) {
      throw new CorruptionError("elements are appended to what is no list", file, 0);
    }
    const buffer = this.#buffer;
    const row = this.#addresses.select(key, file);
    const reference = buffer.find(row);
    const flags = reference === 0 ? 0 : buffer.i32[(reference << 1) + 1]!;
    if (reference === 0 || (flags & RecordFlag.append) !== 0) {
      this.#appendBlind(key, elements, file);
      return;
    }
    const isRemoved = (flags & RecordFlag.tombstone) !== 0;
    const changeNumber = this.#changeNumberBase + buffer.ledger.active;
    const root = isRemoved ? undefined : this.#storedRow(reference);
    const merged = mergeAppends(root, [{ changeNumber, elements }]);
    this.#putRow(key, merged.root, file);
    for (const chunk of merged.chunks)
      this.#putRow(listChunkKey(key, chunk.index), chunk.row, file);
  }

  #appendBlind(key: Uint8Array, elements: Uint8Array, file: string): void {
    const buffer = this.#buffer;
    const row = this.#addresses.select(key, file);
    const bytes = APPEND_HEADER_BYTES + elements.length;
    buffer.makeRoom(recordUnits(row.length, bytes));
    const old = buffer.find(row);
    // A drained one is part of the stored row by now, and says nothing by itself.
    if (old !== 0 && buffer.generationOf(old) <= buffer.ledger.drained) buffer.drop(row, old);
    const reference = reserveAppend(buffer, row, bytes, bytes);
    const start = buffer.valueOffset(reference) + APPEND_HEADER_BYTES;
    copyBytes(elements, 0, elements.length, buffer.u8, start);
  }

  #storedRow(reference: number): Uint8Array {
    const buffer = this.#buffer;
    const bytes = buffer.valueBytes(reference);
    const stored = new Uint8Array(1 + bytes);
    stored[0] = buffer.header(reference);
    const start = buffer.valueOffset(reference);
    stored.set(buffer.u8.subarray(start, start + bytes), 1);
    return stored;
  }
}
