// One drain: collect, sort, write. Runs in the drain thread.
//   D1. Records of the chunks are complete for their keys up to the boundary, so the newest row of
//       each key is written, and nothing of a later generation.
//   D2. Rows go out in key order, which LevelDB's memtable takes fastest.
//   D3. Chunks that appends add to a list which is itself in the drain go out last: tombstones of the
//       list's former chunks may have the same keys.
import { assert } from "../common/assert.ts";
import { CHUNK_UNITS_SHIFT, RecordFlag } from "../format/row-record.ts";
import { BatchWriter } from "./batch-writer.ts";
import { listChunkKey, mergeAppendGroup } from "./drain-appends.ts";
import { CollectedRows, collectRows } from "../format/sealed-rows.ts";
import type { DrainRequest, DrainResult } from "./drain-request.ts";
import { SortScratch, isSameKey, sortRows } from "./drain-sort.ts";
import type { Database } from "./level-database.ts";
import { RowReader } from "./row-reader.ts";

export class Drain {
  readonly #database: Database;
  readonly #words: Int32Array;
  /** Generation of each chunk of the request. */
  readonly #generations: Int32Array;
  readonly #reader: RowReader;
  readonly #rows = new CollectedRows();
  readonly #scratch = new SortScratch();
  readonly #writer: BatchWriter;
  #late: { readonly key: Uint8Array; readonly row: Uint8Array }[] = [];

  constructor(database: Database, arena: SharedArrayBuffer) {
    this.#database = database;
    this.#words = new Int32Array(arena);
    this.#generations = new Int32Array((this.#words.length >>> (CHUNK_UNITS_SHIFT + 1)) + 1);
    this.#reader = new RowReader(this.#words);
    this.#writer = new BatchWriter(database);
  }

  /** `checkpoint` is called between batches and may throw to stop the drain. */
  async run(request: DrainRequest, checkpoint: () => void): Promise<DrainResult> {
    for (const { chunk, generation } of request.chunks) this.#generations[chunk] = generation;
    const rows = this.#rows;
    collectRows(this.#words, request.chunks, request.boundary, rows);
    sortRows(this.#words, rows.references, rows.count, this.#scratch);
    const writer = this.#writer;
    writer.begin();
    try {
      for (let index = 0; index < rows.count;) {
        index = this.#fillBatch(index, request.changeNumberBase, writer);
        await writer.submit();
        checkpoint();
      }
      this.#writeLate(writer);
      await writer.submit();
      await writer.settle(); //# fail point: drain.settled
    } finally {
      await writer.abandon();
    }
    return { rows: writer.rows, bytes: writer.bytes, deletes: writer.deletes };
  }

  /** Adds rows from `start` on until the batch is full. Returns the index of the next row. */
  #fillBatch(start: number, changeNumberBase: number, writer: BatchWriter): number {
    const { references, count } = this.#rows;
    let index = start;
    while (index < count && !writer.isFull) {
      const groupEnd = this.#groupEnd(index);
      if (this.#hasAppend(index, groupEnd)) {
        this.#writeMerged(references.subarray(index, groupEnd), changeNumberBase, writer);
      } else {
        assert(groupEnd === index + 1, "D1: two live records of one key");
        this.#writeWhole(references[index]!, writer);
      }
      index = groupEnd;
    }
    return index;
  }

  #groupEnd(start: number): number {
    const { references, count } = this.#rows;
    let end = start + 1;
    while (end < count && isSameKey(this.#words, references[start]!, references[end]!)) end++;
    return end;
  }

  #hasAppend(start: number, end: number): boolean {
    if (this.#rows.appendCount === 0) return false;
    for (let index = start; index < end; index++) {
      if ((this.#words[this.#rows.references[index]! * 2 + 1]! & RecordFlag.append) !== 0)
        return true;
    }
    return false;
  }

  #writeWhole(reference: number, writer: BatchWriter): void {
    const key = this.#reader.key(reference);
    const isRemoved = (this.#words[reference * 2 + 1]! & RecordFlag.tombstone) !== 0;
    if (isRemoved) writer.delete(key);
    else writer.put(key, this.#reader.row(reference));
  }

  #writeMerged(references: Int32Array, changeNumberBase: number, writer: BatchWriter): void {
    const key = this.#reader.key(references[0]!).slice();
    const { rows, whole } = mergeAppendGroup(
      references,
      this.#words,
      (reference) => changeNumberBase + this.#generations[reference >>> CHUNK_UNITS_SHIFT]!,
      this.#reader,
      () => this.#database.getSync(key),
    );
    if (rows === undefined) {
      this.#writeWhole(whole!, writer);
      return;
    }
    writer.put(key, rows.root);
    for (const chunk of rows.chunks) {
      const put = { key: listChunkKey(key, chunk.index), row: chunk.row };
      if (whole === undefined) writer.put(put.key, put.row);
      else this.#late.push(put);
    }
  }

  /** D3 */
  #writeLate(writer: BatchWriter): void {
    for (const { key, row } of this.#late) writer.put(key, row);
    this.#late = [];
  }
}
