/** A decoder under attack. */
export interface Target {
  readonly name: string;
  /** What is changed: bodies without what seals them, such as checksums. */
  readonly corpus: readonly Uint8Array[];
  /** Adds what seals a body: the decoder gets past its checksums. @defaultValue nothing does */
  readonly seal?: (body: Uint8Array) => Uint8Array;
  /** What it makes of the bytes; throws what it refuses. */
  decode(bytes: Uint8Array): unknown;
  /** The bytes of what it decoded. */
  encode?(value: never): Uint8Array;
  /** Whether only one spelling is accepted: what was decoded encodes to the same bytes. */
  readonly isCanonical?: boolean;
}

export function textBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}
