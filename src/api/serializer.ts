/** Where a serializer puts its bytes. Little-endian; grows as needed. Valid during the call only. */
export interface ByteSink {
  u8(value: number): void;
  u32(value: number): void;
  f64(value: number): void;
  /** Unsigned LEB128 of a safe integer >= 0. */
  varint(value: number): void;
  bytes(value: Uint8Array): void;
  /** UTF-8 without a length. Refuses lone surrogates. */
  utf8(value: string): void;
  /** Another serializer's value, after its length as a varint unless it has `fixedBytes`. */
  value<T>(serializer: Serializer<T>, value: T): void;
}

/** Where a serializer takes its bytes from. Reading past the end throws. Valid during the call only. */
export interface ByteSource {
  /** Bytes not read yet. */
  readonly remaining: number;
  u8(): number;
  u32(): number;
  f64(): number;
  varint(): number;
  /** A copy that belongs to the caller. */
  bytes(length: number): Uint8Array;
  utf8(length: number): string;
  /** What `ByteSink.value` wrote. */
  value<T>(serializer: Serializer<T>): T;
}

/**
 * Turns values into bytes and back. What `deserialize` returns belongs to the user: it must share
 * nothing with an earlier result.
 */
export interface Serializer<T> {
  /**
   * Names format and version of the bytes, such as `"f64"` or `"my-row@2"`. Stored in each
   * checkpoint; a state is refused under another fingerprint. 1 to 1,024 characters.
   */
  readonly fingerprint: string;
  /** Length of every value in bytes, if all are equally long. */
  readonly fixedBytes?: number | undefined;
  /** Appends the value. Throws InvalidArgumentError for what it cannot take. */
  serialize(value: T, sink: ByteSink): void;
  /** Reads one value, which ends where `source` ends unless `fixedBytes` is set. */
  deserialize(source: ByteSource): T;
  /**
   * The form used for map keys: ordered as bytes the way the values are ordered, one form a value.
   * Without it map keys are in the order of `serialize`'s bytes.
   */
  readonly ordered?: Pick<Serializer<T>, "serialize" | "deserialize"> | undefined;
}
