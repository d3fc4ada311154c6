// The rows of a dump, read frame by frame. Page: docs/formats/dump.md.
//   D1. The SHA-256 of a file is verified before a frame of it is decompressed by native code.
//   D2. Keys ascend within a frame and from frame to frame. Frames are found by their first keys,
//       so what a search passes over is not looked at: `verify` is what reads every byte.
//   D3. A damaged file hides only the rows that may be in it: searches pass over it, and reading ends
//       with its error where a range reaches it.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { CorruptionError } from "../errors.ts";
import {
  DUMP_FOOTER_BYTES,
  DUMP_HEADER_BYTES,
  readDumpRows,
  readDumpTotals,
} from "../format/dump.ts";
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
import type { Groups, Row, RowRange, RowSource } from "./row-source.ts";
import { StoredFile } from "./stored-file.ts";

/** Bytes of decompressed frames that are kept: those of a search, and of two cursors. */
const FRAME_BYTES_KEPT = 8_388_608;

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
  readonly #frames = new BoundedCache<readonly Row[]>(FRAME_BYTES_KEPT);

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
        const first = rows[0]!.key;
        if (before !== undefined && Buffer.compare(before, first) >= 0) {
          const { offset } = frames[frame]!;
          throw new CorruptionError("keys of a dump do not ascend", file.name, offset); // D2
        }
        before = rows.at(-1)!.key;
        const end = range.lt === undefined ? rows.length : lowerBound(rows, range.lt);
        const part = rows.slice(lowerBound(rows, range.gte), end);
        if (part.length > 0) yield part;
        if (end < rows.length) return;
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
    return { first: groupOf(first[0]!), last: groupOf(last.at(-1)!) };
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
    const [first] = (await this.#rows(place)) as [Row];
    return Buffer.compare(first.key, key) > 0;
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

  async #rows(place: Place): Promise<readonly Row[]> {
    const { file, frames } = await this.#open(place);
    const frame = frames[place.frame]!;
    const load = (): Promise<readonly Row[]> => readFrame(file, frame);
    return this.#frames.get(`${place.file} ${place.frame}`, load, () => frame.header.rawLength);
  }
}

function groupOf({ key }: Row): number {
  return (key[0] ?? 0) * 256 + (key[1] ?? 0);
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

async function readFrame(file: StoredFile, { offset, header }: Frame): Promise<readonly Row[]> {
  const tools: FrameTools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
  const stored = await file.read(offset, FRAME_HEADER_BYTES + header.storedLength);
  const source = { file: file.name, fileOffset: offset, rawBytesMax: FRAME_RAW_BYTES_MAX };
  const decoded = decodeFrame(stored, 0, header, tools, source);
  // Libraries give Buffers, whose `slice` is no copy: decoders rely on one.
  const raw = new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.byteLength);
  const rows: Row[] = [];
  readDumpRows(raw, file.name, offset, (key, row) => {
    const before = rows.at(-1)?.key;
    if (before !== undefined && Buffer.compare(before, key) >= 0) {
      throw new CorruptionError("keys of a dump do not ascend", file.name, offset); // D2
    }
    rows.push({ key, row });
  });
  if (rows.length === 0) throw new CorruptionError("a frame has no rows", file.name, offset);
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

/** Index of the first row whose key is not below `from`. */
function lowerBound(rows: readonly Row[], from: Uint8Array): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(rows[middle]!.key, from) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
