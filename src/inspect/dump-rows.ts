// The rows of a dump, read frame by frame. Page: docs/formats/dump.md.
//   D1. The SHA-256 of a file is verified before a frame of it is decompressed by native code.
//   D2. The keys that are read ascend. Frames are found by their first keys, so what a search passes
//       over is not looked at.
//   D3. A damaged file hides only the rows that may be in it: searches pass over it, and reading ends
//       with its error where a range reaches it.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { CorruptionError } from "../errors.ts";
import { DUMP_FOOTER_BYTES, DUMP_HEADER_BYTES, readDumpTotals } from "../format/dump.ts";
import type { DumpList, DumpListEntry } from "../format/file-list.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { concatenate } from "../format/frame-sequence.ts";
import {
  FRAME_HEADER_BYTES,
  FRAME_RAW_BYTES_MAX,
  type FrameHeader,
  type FrameTools,
  decodeFrame,
  frameEnd,
  readFrameHeader,
} from "../format/frame.ts";
import { loadCodec } from "../workers/codec.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { FrameRows } from "./frame-rows.ts";
import type { Groups, Row, RowRange, RowSource } from "./row-source.ts";
import { StoredFile } from "./stored-file.ts";

/** Bytes of decompressed frames that are kept: those of a search, and of two cursors. */
const FRAME_BYTES_KEPT = 16_777_216;
const BATCH_ROWS = 512;

interface Frame {
  readonly offset: number;
  readonly header: FrameHeader;
}

interface DumpFile {
  readonly file: StoredFile;
  readonly frames: readonly Frame[];
}

/** Place of a frame among all of the dump. */
interface Place {
  readonly file: number;
  readonly frame: number;
}

export class DumpRows implements RowSource {
  readonly #storage: CheckpointStorage;
  readonly #entries: readonly DumpListEntry[];
  readonly #files: (Promise<DumpFile> | undefined)[];
  readonly #frames = new BoundedCache<FrameRows>(FRAME_BYTES_KEPT);
  /** Of the frames that searches looked at. */
  readonly #firstKeys = new Map<string, Uint8Array>();

  constructor(storage: CheckpointStorage, list: DumpList) {
    this.#storage = storage;
    this.#entries = list.files;
    this.#files = list.files.map(() => undefined);
  }

  contentOf(): undefined {
    return undefined; // Each dump has files of its own.
  }

  async *rows(range: RowRange): AsyncGenerator<readonly Row[], void, void> {
    let before: Uint8Array | undefined;
    for (const place of await this.#placesFrom(range.gte)) {
      const { frames, file } = await this.#open(place);
      for (let frame = place.frame; frame < frames.length; frame++) {
        const rows = await this.#rows({ file: place.file, frame });
        const end = range.lt === undefined ? rows.count : rows.lowerBound(range.lt);
        for (let at = rows.lowerBound(range.gte); at < end; at += BATCH_ROWS) {
          const batch = rows.slice(at, Math.min(end, at + BATCH_ROWS));
          for (const { key } of batch) {
            if (before !== undefined && Buffer.compare(before, key) >= 0) {
              const { offset } = frames[frame]!;
              throw new CorruptionError("keys of a dump do not ascend", file.name, offset); // D2
            }
            before = key;
          }
          yield batch;
        }
        if (end < rows.count) return;
      }
    }
  }

  clear(): void {
    this.#frames.clear();
  }

  /** Key groups of the first and the last row of a file, by its place in the list. */
  async groupsOf(file: number): Promise<Groups> {
    const { frames } = await this.#open({ file, frame: 0 });
    const first = await this.#rows({ file, frame: 0 });
    const last = await this.#rows({ file, frame: frames.length - 1 });
    return { first: groupOf(first.key(0)), last: groupOf(last.key(last.count - 1)) };
  }

  /** The frame where rows from `gte` on may begin, and the first frame of each later file. */
  async #placesFrom(gte: Uint8Array): Promise<Place[]> {
    const first = await this.#fileOf(gte);
    if (first < 0) return [];
    const { frames } = await this.#open({ file: first, frame: 0 });
    const frame = await lastNotAbove(frames.length, (index) =>
      this.#isAbove({ file: first, frame: index }, gte),
    );
    const places = [{ file: first, frame: Math.max(0, frame) }];
    for (let file = first + 1; file < this.#entries.length; file++) places.push({ file, frame: 0 });
    return places;
  }

  /** The last file that does not begin above a key; -1 if there are no files. */
  async #fileOf(key: Uint8Array): Promise<number> {
    const isAbove = (file: number): Promise<boolean> => this.#isAbove({ file, frame: 0 }, key);
    try {
      return await lastNotAbove(this.#entries.length, isAbove);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
    }
    // D3: one by one, passing over the damaged ones.
    for (let file = this.#entries.length - 1; file > 0; file--) {
      try {
        if (!(await isAbove(file))) return file;
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
      }
    }
    return 0;
  }

  async #isAbove(place: Place, key: Uint8Array): Promise<boolean> {
    const name = nameOf(place);
    let first = this.#firstKeys.get(name);
    if (first === undefined) {
      first = new Uint8Array((await this.#rows(place)).key(0)); // A copy: not the whole frame.
      this.#firstKeys.set(name, first);
    }
    return Buffer.compare(first, key) > 0;
  }

  async #open({ file }: Place): Promise<DumpFile> {
    const opening = (this.#files[file] ??= openDump(
      new StoredFile(this.#storage, this.#entries[file]!),
    ));
    try {
      return await opening;
    } catch (error) {
      this.#files[file] = undefined; // Another call may succeed.
      throw error;
    }
  }

  async #rows(place: Place): Promise<FrameRows> {
    const { file, frames } = await this.#open(place);
    const frame = frames[place.frame]!;
    const weight = frame.header.rawLength * 2; // The places of its rows take about as much.
    return this.#frames.get(
      nameOf(place),
      () => readFrame(file, frame),
      () => weight,
    );
  }
}

function nameOf({ file, frame }: Place): string {
  return `${file} ${frame}`;
}

function groupOf([high = 0, low = 0]: Uint8Array): number {
  return high * 256 + low;
}

/** Checks hash, header and footer, and finds the frames. */
async function openDump(file: StoredFile): Promise<DumpFile> {
  await file.verify(); // D1
  const checksum = await loadFrameChecksum();
  const end = file.lengthBytes - DUMP_FOOTER_BYTES;
  if (end < DUMP_HEADER_BYTES) throw new CorruptionError("a dump is cut", file.name, 0);
  const header = await file.read(0, DUMP_HEADER_BYTES);
  const footer = await file.read(end, DUMP_FOOTER_BYTES);
  const totals = readDumpTotals(concatenate([header, footer]), checksum, file.name);
  const frames: Frame[] = [];
  let rawBytes = 0;
  for (let offset = DUMP_HEADER_BYTES; offset < end;) {
    const source = { file: file.name, fileOffset: offset, rawBytesMax: FRAME_RAW_BYTES_MAX };
    const stored = await file.read(offset, Math.min(FRAME_HEADER_BYTES, end - offset));
    const frame = { offset, header: readFrameHeader(stored, 0, end - offset, source) };
    frames.push(frame);
    rawBytes += frame.header.rawLength;
    offset = frameEnd(offset, frame.header);
  }
  const isWhole = frames.length === totals.frameCount && rawBytes === totals.rawBytes;
  if (!isWhole || frames.length === 0) {
    throw new CorruptionError("a dump and its footer disagree", file.name, end);
  }
  return { file, frames };
}

async function readFrame(file: StoredFile, { offset, header }: Frame): Promise<FrameRows> {
  const tools: FrameTools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
  const stored = await file.read(offset, FRAME_HEADER_BYTES + header.storedLength);
  const source = { file: file.name, fileOffset: offset, rawBytesMax: FRAME_RAW_BYTES_MAX };
  const raw = decodeFrame(stored, 0, header, tools, source);
  const rows = new FrameRows(raw, file.name, offset);
  if (rows.count === 0) throw new CorruptionError("a frame has no rows", file.name, offset);
  return rows;
}

/** The last index below `count` for which `isAbove` is false, of an ascending sequence; -1 if none. */
async function lastNotAbove(
  count: number,
  isAbove: (index: number) => Promise<boolean>,
): Promise<number> {
  if (count === 0) return -1;
  let [low, high] = [0, count - 1]; // Index 0 stands even if it is above: rows begin there then.
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (await isAbove(middle)) high = middle - 1;
    else low = middle;
  }
  return low;
}
