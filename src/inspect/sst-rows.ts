// The rows of a set of table files: merges its levels as LevelDB does.
//   S1. Of several entries of one row key the one with the highest sequence number counts; if that
//       were equal, the one of the lower level, in level 0 of the file with the higher number.
//   S2. A deletion hides every older entry, and is no row.
//   S3. The set keeps the rules of docs/formats/leveldb-directory.md, checked before it is read.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";
import { CorruptionError } from "../errors.ts";
import type { SstListEntry, SstSetList } from "../format/file-list.ts";
import { LEVEL_MAX, validateFileSet } from "../format/leveldb-file-set.ts";
import {
  EntryType,
  compareInternalKeys,
  entryTypeOf,
  sequenceOf,
  userKeyOf,
} from "../format/leveldb-internal-key.ts";
import type { Row, RowRange, RowSource } from "./row-source.ts";
import { LevelCursor, SstTables } from "./table-cursor.ts";

const BATCH_ROWS = 512;
const BATCH_BYTES = 262_144;

export class SstRows implements RowSource {
  readonly #tables: SstTables;
  readonly #lastSequence: number;
  readonly #source: string;
  /** Newest first: each file of level 0, then each level. */
  readonly #levels: readonly (readonly SstListEntry[])[];

  /** `source` names the file list in errors. */
  constructor(
    storage: CheckpointStorage,
    list: SstSetList,
    keyGroups: KeyGroupRange,
    source: string,
  ) {
    const files = list.files.map((file) => ({ ...file, sizeBytes: file.lengthBytes }));
    const { lastSequence, nextFile } = list;
    validateFileSet({ files, lastSequence, nextFile, logNumber: 0 }, source, keyGroups); // S3
    this.#tables = new SstTables(storage);
    this.#lastSequence = lastSequence;
    this.#source = source;
    this.#levels = levelsOf(list.files);
  }

  contentOf(range: RowRange): string {
    const files = this.#levels.flatMap((level) => overlapping(level, range));
    return files
      .map(({ id, sha256 }) => `${id} ${sha256}`)
      .sort()
      .join("\n");
  }

  async *rows(range: RowRange): AsyncGenerator<readonly Row[], void, void> {
    const heap = new CursorHeap();
    for (const [rank, level] of this.#levels.entries()) {
      const files = overlapping(level, range);
      if (files.length === 0) continue;
      const cursor = new LevelCursor(this.#tables, files, range.gte);
      if (await cursor.more()) heap.push({ cursor, rank });
    }
    let batch: Row[] = [];
    let batchBytes = 0;
    let before: Uint8Array | undefined;
    for (let top = heap.top; top !== undefined; top = heap.top) {
      const { key, value } = top.entry!;
      const userKey = userKeyOf(key);
      if (range.lt !== undefined && Buffer.compare(userKey, range.lt) >= 0) break;
      if (before === undefined || Buffer.compare(before, userKey) !== 0) {
        before = userKey; // S1: what follows under the same key is older.
        if (this.#isRow(key)) {
          batch.push({ key: userKey, row: value });
          batchBytes += userKey.length + value.length;
        }
      }
      top.advance();
      if (top.entry === undefined && !(await top.more())) heap.pop();
      else heap.settle();
      if (batch.length < BATCH_ROWS && batchBytes < BATCH_BYTES) continue;
      yield batch;
      batch = [];
      batchBytes = 0;
    }
    if (batch.length > 0) yield batch;
  }

  #isRow(internalKey: Uint8Array): boolean {
    const type = entryTypeOf(internalKey);
    if (sequenceOf(internalKey) > this.#lastSequence || type > EntryType.value) {
      const message = "an entry is of an unknown type, or newer than its set";
      throw new CorruptionError(message, this.#source, 0);
    }
    return type === EntryType.value; // S2
  }

  clear(): void {
    this.#tables.clear();
  }
}

function levelsOf(files: readonly SstListEntry[]): SstListEntry[][] {
  const newest = files.filter(({ level }) => level === 0).sort((a, b) => b.number - a.number);
  const levels = newest.map((file) => [file]);
  for (let level = 1; level <= LEVEL_MAX; level++) {
    levels.push(
      files
        .filter((file) => file.level === level)
        .sort((a, b) => compareInternalKeys(a.smallest, b.smallest)),
    );
  }
  return levels;
}

/** Those of ascending files that may have rows of the range. */
function overlapping(
  files: readonly SstListEntry[],
  { gte, lt }: RowRange,
): readonly SstListEntry[] {
  const first = firstIndex(files, ({ largest }) => Buffer.compare(userKeyOf(largest), gte) >= 0);
  if (lt === undefined) return files.slice(first);
  const end = firstIndex(files, ({ smallest }) => Buffer.compare(userKeyOf(smallest), lt) >= 0);
  return files.slice(first, Math.max(first, end));
}

/** Index of the first file for which `holds`, which then holds for all later ones. */
function firstIndex(
  files: readonly SstListEntry[],
  holds: (file: SstListEntry) => boolean,
): number {
  let [low, high] = [0, files.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(files[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

interface Ranked {
  readonly cursor: LevelCursor;
  readonly rank: number;
}

/** Binary heap: the cursor with the first entry in internal key order on top. */
class CursorHeap {
  readonly #items: Ranked[] = [];

  get top(): LevelCursor | undefined {
    return this.#items[0]?.cursor;
  }

  push(item: Ranked): void {
    this.#items.push(item);
    for (let at = this.#items.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  pop(): void {
    const last = this.#items.pop();
    if (last === undefined || this.#items.length === 0) return;
    this.#items[0] = last;
    this.settle();
  }

  /** Restores the order after the top moved on. */
  settle(): void {
    for (let at = 0; ;) {
      const left = at * 2 + 1;
      if (left >= this.#items.length) return;
      const right = left + 1;
      const isRight = right < this.#items.length && this.#isBefore(right, left);
      const child = isRight ? right : left;
      if (!this.#isBefore(child, at)) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #isBefore(left: number, right: number): boolean {
    const [a, b] = [this.#items[left]!, this.#items[right]!];
    const order = compareInternalKeys(a.cursor.entry!.key, b.cursor.entry!.key);
    return order < 0 || (order === 0 && a.rank < b.rank); // S1
  }

  #swap(left: number, right: number): void {
    const item = this.#items[left]!;
    this.#items[left] = this.#items[right]!;
    this.#items[right] = item;
  }
}
