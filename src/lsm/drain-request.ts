/** A chunk of a sealed generation in the arena. */
export interface SealedChunk {
  /** Index of the chunk in the arena. */
  readonly chunk: number;
  readonly generation: number;
  /** Units in use, from the start of the chunk; records lie in them without gaps. */
  readonly usedUnits: number;
}

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
