// What the source hands over: consecutive deliveries as columns.

/** Deliveries from position `firstPosition` on, in order. Airports are indexes into all codes so far. */
export interface FlightBatch {
  readonly firstPosition: number;
  readonly count: number;
  readonly minutes: Int32Array;
  readonly delays: Int32Array;
  readonly distances: Int32Array;
  readonly origins: Uint16Array;
  readonly destinations: Uint16Array;
  /** Codes that no earlier batch of this source had, in the order of their indexes. */
  readonly newAirports: readonly string[];
}

/** What the source's thread needs to know. */
export interface SourceStart {
  readonly inputPath: string;
  readonly limit: number | undefined;
  /** Rows of the largest row group: they are decoded at once. */
  readonly groupRows: number;
  /** Where delivery will probably begin: what that needs is decoded ahead of knowing. */
  readonly expectedPosition: number;
}

/** To the source's thread: where to begin, then one credit for each batch that may be sent. */
export type SourceRequest =
  { readonly kind: "begin"; readonly firstPosition: number } | { readonly kind: "credit" };

/** From the source's thread. Only batches take credit. */
export type SourceMessage =
  | { readonly kind: "batch"; readonly batch: FlightBatch }
  | { readonly kind: "end" }
  | { readonly kind: "failed"; readonly name: string; readonly message: string };
