import { readDumpRows } from "../format/dump.ts";
import type { Row } from "./row-source.ts";

/** The rows of a frame, as offsets: as objects they would take ten times the memory. */
export class FrameRows {
  readonly count: number;
  readonly #raw: Uint8Array;
  /** Start and end of each key, start and end of its row. */
  readonly #offsets: Uint32Array;

  constructor(decoded: Uint8Array, file: string, offset: number) {
    // Libraries give Buffers, whose `slice` is no copy: decoders rely on one.
    const raw = new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.byteLength);
    let offsets = new Uint32Array(256);
    let used = 0;
    readDumpRows(raw, file, offset, (key, row) => {
      if (used === offsets.length) {
        const grown = new Uint32Array(used * 2);
        grown.set(offsets);
        offsets = grown;
      }
      const [keyAt, rowAt] = [key.byteOffset - raw.byteOffset, row.byteOffset - raw.byteOffset];
      offsets[used++] = keyAt;
      offsets[used++] = keyAt + key.length;
      offsets[used++] = rowAt;
      offsets[used++] = rowAt + row.length;
    });
    this.#raw = raw;
    this.#offsets = offsets;
    this.count = used / 4;
  }

  key(index: number): Uint8Array {
    return this.#raw.subarray(this.#offsets[index * 4], this.#offsets[index * 4 + 1]);
  }

  slice(start: number, end: number): Row[] {
    const rows: Row[] = [];
    for (let index = start; index < end; index++) {
      const at = index * 4 + 2;
      const row = this.#raw.subarray(this.#offsets[at], this.#offsets[at + 1]);
      rows.push({ key: this.key(index), row });
    }
    return rows;
  }

  /** Index of the first row whose key is not below `from`. */
  lowerBound(from: Uint8Array): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (Buffer.compare(this.key(middle), from) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
