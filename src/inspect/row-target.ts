// What rows are written to: files, or a sorter on their way there.
import { CorruptionError } from "../errors.ts";

/** Row by row nothing is awaited: the writer asks `fits`, and awaits `makeRoom` if not. */
export interface RowTarget {
  fits(keyBytes: number, rowBytes: number): boolean;
  makeRoom(): Promise<void>;
  /** Takes a row, as pieces of larger arrays, by copying it. It fits. */
  copy(key: Uint8Array, keyBytes: number, source: Uint8Array, start: number, end: number): void;
}

/** Lets through what ascends: the order of files of rows, and proof that no row comes twice. */
export class AscendingRows implements RowTarget {
  readonly #target: RowTarget;
  #last: Uint8Array = new Uint8Array(256);
  #lastBytes = 0;
  rowCount = 0;

  constructor(target: RowTarget) {
    this.#target = target;
  }

  fits(keyBytes: number, rowBytes: number): boolean {
    return this.#target.fits(keyBytes, rowBytes);
  }

  makeRoom(): Promise<void> {
    return this.#target.makeRoom();
  }

  copy(key: Uint8Array, keyBytes: number, source: Uint8Array, start: number, end: number): void {
    if (compareBytes(this.#last, 0, this.#lastBytes, key, 0, keyBytes) >= 0) {
      throw new CorruptionError("rows do not ascend, or one comes twice", "rows", this.rowCount);
    }
    if (keyBytes > this.#last.length) this.#last = new Uint8Array(keyBytes * 2);
    for (let at = 0; at < keyBytes; at++) this.#last[at] = key[at]!;
    this.#lastBytes = keyBytes;
    this.rowCount++;
    this.#target.copy(key, keyBytes, source, start, end);
  }
}

/** Order of two runs of bytes; ends are exclusive. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart);
  for (let at = 0; at < length; at++) {
    const difference = a[aStart + at]! - b[bStart + at]!;
    if (difference !== 0) return difference;
  }
  return aEnd - aStart - (bEnd - bStart);
}
