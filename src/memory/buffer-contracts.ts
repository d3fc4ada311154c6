// What the write buffer needs of its neighbours, and what it counts.

/** What lies below the buffer. */
export interface ColdTier {
  /** True while nothing was ever stored in it: a miss needs no look-up. */
  readonly isEmpty: boolean;
  /** The stored row, header byte included, or undefined. */
  getSync(key: Uint8Array): Uint8Array | undefined;
}

/** What the buffer asks of its owner. Called in the middle of a record: must not touch rows. */
export interface BufferOwner {
  /** The active generation is large: it was sealed up to `boundary` and should be drained. */
  generationSealed(boundary: number): void;
  /** No room is left even within the headroom. Poisons, and throws. */
  exhausted(): never;
}

/** Places in `counters`: a typed array, since counting must not make garbage. */
export const Counter = {
  hotReads: 0,
  coldReads: 1,
  coldMisses: 2,
  evictedRows: 3,
  forwardedRows: 4,
} as const;
