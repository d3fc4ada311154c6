// Turns sealed generations into a batch of a changelog segment. Hot: runs on the append thread, over
// the arena that the records' thread goes on writing to; sealed-rows.ts says why that is safe.
//   B1. Rows ascend in their key groups, and stay in the order they were made in within one.
//   B2. Frames are small enough that readers of few key groups skip most of them.
//   B3. There are no blind appends: docs/decisions/0005.
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import { writeVarint } from "../common/varint.ts";
import { ChangeKind } from "../format/changelog-rows.ts";
import {
  BATCH_HEADER_BYTES,
  encodeBatchHeader,
  encodeBatchIndex,
} from "../format/changelog-segment.ts";
import type { BatchFrame } from "../format/changelog-segment.ts";
import { FRAME_RAW_BYTES_MAX, encodeFrameInto, frameBytesMax } from "../format/frame.ts";
import type { FrameTools } from "../format/frame.ts";
import {
  KEY_LENGTH_MASK,
  RECORD_HEADER_UNITS,
  ROW_HEADER_SHIFT,
  RecordFlag,
} from "../format/row-record.ts";
import { CollectedRows, collectRows } from "../format/sealed-rows.ts";
import type { AppendTask } from "./append-protocol.ts";
import { PieceWriter } from "./piece-writer.ts";

/** Raw bytes at which a frame ends: LZ4 gains nothing above its window of 64 KiB. */
const FRAME_RAW_BYTES = 131_072;
/** Pieces up to this are copied by a loop, word by word. */
const LOOP_BYTES_MAX = 256;
/** Records whose misses overlap, and the words of a cache line. */
const TOUCHED_ROWS = 64;
const LINE_WORDS = 15;

export interface EncodedBatch {
  readonly lengthBytes: number;
  /** Of the rows in it, before compression. */
  readonly rawBytes: number;
  readonly rowCount: number;
}

export interface EncodedGroup {
  /** Bytes of all batches, one behind the other. They stay until `release`. */
  readonly pieces: readonly Uint8Array[];
  /** In the order of the tasks. */
  readonly batches: readonly EncodedBatch[];
}

export class BatchEncoder {
  readonly #out = new PieceWriter();
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #tools: FrameTools;
  readonly #rows = new CollectedRows();
  readonly #raw = new Uint8Array(FRAME_RAW_BYTES_MAX);
  readonly #view = new DataView(this.#raw.buffer);
  /** Records before it in the order are in the cache. */
  #touched = 0;
  /** Takes what was read, so that V8 does not leave the reads out. */
  readonly #sink = new Int32Array(1);
  #sorted: Int32Array<ArrayBuffer> = new Int32Array(65_536);

  constructor(arena: SharedArrayBuffer, tools: FrameTools) {
    this.#words = new Int32Array(arena);
    this.#bytes = new Uint8Array(arena);
    this.#tools = tools;
  }

  encode(tasks: readonly AppendTask[]): EncodedGroup {
    try {
      const batches = tasks.map((task) => this.#encodeBatch(task));
      return { pieces: this.#out.handOut(), batches };
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** The pieces of the group are not read any more. */
  release(): void {
    this.#out.release();
  }

  #encodeBatch(task: AppendTask): EncodedBatch {
    const { keyGroups, afterChange, upToChange } = task;
    const out = this.#out;
    collectRows(this.#words, task.chunks, task.boundary, this.#rows);
    this.#sortByKeyGroup(keyGroups);
    this.#touched = 0;
    const header = out.skip(BATCH_HEADER_BYTES);
    const frames: Omit<BatchFrame, "offset">[] = [];
    let frameBytes = 0;
    let rawBytes = 0;
    for (let index = 0; index < this.#rows.count;) {
      const start = index;
      const end = this.#fillFrame(start);
      index = end.next;
      const lengthBytes = this.#encodeFrame(this.#raw.subarray(0, end.rawBytes));
      frameBytes += lengthBytes;
      rawBytes += end.rawBytes;
      frames.push({
        lengthBytes,
        firstKeyGroup: this.#groupOf(this.#sorted[start]!),
        lastKeyGroup: this.#groupOf(this.#sorted[index - 1]!),
      });
    }
    const { checksum } = this.#tools;
    const rowCount = this.#rows.count;
    const groups = { firstKeyGroup: keyGroups.first, lastKeyGroup: keyGroups.last };
    const counts = { frameCount: frames.length, frameBytes, rowCount };
    const changes = { keyGroupCount: keyGroups.max, ...groups, afterChange, upToChange };
    header.set(encodeBatchHeader({ ...changes, ...counts }, checksum));
    const index = encodeBatchIndex(frames, checksum);
    out.skip(index.length).set(index);
    const lengthBytes = header.length + frameBytes + index.length;
    return { lengthBytes, rawBytes, rowCount };
  }

  #encodeFrame(raw: Uint8Array): number {
    const out = this.#out;
    out.reserve(frameBytesMax(raw.length));
    const start = out.offset;
    out.advanceTo(encodeFrameInto(out.current, start, raw, this.#tools));
    return out.offset - start;
  }

  /** B1: a counting sort, which keeps the order. */
  #sortByKeyGroup({ first, last }: KeyGroupRange): void {
    const { references, count } = this.#rows;
    const starts = new Int32Array(last - first + 2);
    for (let index = 0; index < count; index++) {
      const group = this.#groupOf(references[index]!);
      assert(group >= first && group <= last, "B1: a row of a key group that is not owned");
      starts[group - first + 1]!++;
    }
    for (let group = 1; group < starts.length; group++) starts[group]! += starts[group - 1]!;
    if (this.#sorted.length < count) this.#sorted = new Int32Array(references.length);
    for (let index = 0; index < count; index++) {
      const reference = references[index]!;
      this.#sorted[starts[this.#groupOf(reference) - first]!++] = reference;
    }
  }

  /** The key's first two bytes, big-endian. */
  #groupOf(reference: number): number {
    const word = this.#words[(reference + RECORD_HEADER_UNITS) << 1]!;
    return ((word & 0xff) << 8) | ((word >>> 8) & 0xff);
  }

  /** Encodes rows from `start` on until the frame is full (B2). */
  #fillFrame(start: number): { readonly next: number; readonly rawBytes: number } {
    const { count } = this.#rows;
    let at = 0;
    let index = start;
    while (index < count && at < FRAME_RAW_BYTES) {
      if (index >= this.#touched) this.#touchRows(index);
      const end = this.#encodeRow(this.#sorted[index]!, at);
      if (end < 0) break;
      at = end;
      index++;
    }
    assert(index > start, "B2: a row is larger than a frame");
    return { next: index, rawBytes: at };
  }

  /**
   * Reads a word of each of the next records, all over the arena: misses of the cache that nothing depends on
   * overlap, those of rows that are encoded one after the other do not.
   */
  #touchRows(from: number): void {
    const words = this.#words;
    const sorted = this.#sorted;
    const last = words.length - 1;
    const end = Math.min(this.#rows.count, from + TOUCHED_ROWS);
    let sum = 0;
    for (let index = from; index < end; index++) {
      const word = sorted[index]! << 1;
      sum ^= words[word]! ^ words[Math.min(word + LINE_WORDS, last)]!;
    }
    this.#sink[0] = sum;
    this.#touched = end;
  }

  /** Offset just past the row, or -1 if it might not fit. */
  #encodeRow(reference: number, offset: number): number {
    const raw = this.#raw;
    const word1 = this.#words[(reference << 1) + 1]!;
    const word2 = this.#words[(reference << 1) + 2]!;
    const keyBytes = word1 & KEY_LENGTH_MASK;
    const keyUnits = (keyBytes + 7) >>> 3;
    const units = word2 >>> 16;
    if (offset + (units << 3) + 16 > raw.length) return -1;
    const keyStart = (reference + RECORD_HEADER_UNITS) << 3;
    assert((word1 & RecordFlag.append) === 0, "B3: a blind append is logged");
    const isRemoved = (word1 & RecordFlag.tombstone) !== 0;
    raw[offset] = isRemoved ? ChangeKind.delete : ChangeKind.put;
    let at = this.#copy(keyStart, keyBytes, writeVarint(raw, offset + 1, keyBytes));
    if (isRemoved) return at;
    const valueStart = (reference + RECORD_HEADER_UNITS + keyUnits) * 8;
    const valueBytes = (units - RECORD_HEADER_UNITS - keyUnits) * 8 - (word2 & 0xffff);
    at = writeVarint(raw, at, valueBytes + 1);
    raw[at] = word1 >>> ROW_HEADER_SHIFT;
    return this.#copy(valueStart, valueBytes, at + 1);
  }

  /**
   * Copies from the arena, where pieces begin at words, to `at`; returns the offset just past it. Up to three
   * bytes behind it change: of a word that is not whole.
   */
  #copy(start: number, length: number, at: number): number {
    if (length > LOOP_BYTES_MAX) {
      this.#raw.set(this.#bytes.subarray(start, start + length), at);
      return at + length;
    }
    const words = this.#words;
    const view = this.#view;
    let word = start >>> 2;
    const end = at + length;
    for (let to = at; to < end; to += 4) view.setInt32(to, words[word++]!, true);
    return end;
  }
}
