import type { SealedChunk } from "../format/sealed-rows.ts";

export interface DrainRequest {
  /** Generation boundary (int32): all dirty records of generations up to this one are drained. */
  readonly boundary: number;
  /** Change number of a generation = changeNumberBase + generation. */
  readonly changeNumberBase: number;
  /** All chunks of generations that are not drained yet and within the boundary, as opened. */
  readonly chunks: readonly SealedChunk[];
}

export interface DrainResult {
  /** Rows put and deleted. */
  readonly rows: number;
  /** Bytes of their keys and values. */
  readonly bytes: number;
  readonly deletes: number;
}
