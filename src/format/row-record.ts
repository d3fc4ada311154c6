// A row's record in the write buffer's arena. Written by the main thread (memory/), read by it and
// by the drain and dump threads: the layout stands here so that they need nothing of memory/.
// Never persisted. Page: docs/formats/row-record.md.
//
// The arena is cut into chunks of CHUNK_BYTES. A record lies within one chunk, 8-byte aligned.
// References count 8-byte units from the start of the arena, so 31 bits reach 16 GiB.
//
//   word 0  hash of the row key (index)
//   word 1  bits 0-15 key length in bytes | bits 16-23 row header byte | bits 24-31 flags
//   word 2  bits 0-15 slack: value bytes reserved and unused | bits 16-31 record size in units
//   word 3  generation that superseded this record; 0 while it is the newest
//   then    the row key, zero-padded to 8 bytes; the value; slack

/** Bytes of a chunk: 65,536 units, so that a record's size in units fits 16 bits. */
export const CHUNK_BYTES = 524_288;
export const CHUNK_UNITS = 65_536;
export const CHUNK_UNITS_SHIFT = 16;

export const RECORD_HEADER_BYTES = 16;
export const RECORD_HEADER_UNITS = 2;
/** Shortest record: its header, and a row key, which has more than eight bytes. */
export const RECORD_BYTES_MIN = 32;
/** Largest slack a record can state. */
export const SLACK_BYTES_MAX = 0xffff;
/** Largest encoded row key: user key, namespace and suffix together. */
export const ROW_KEY_BYTES_MAX = 12_288;
/** Largest row value, header byte excluded, that fits a chunk beside the largest row key. */
export const ROW_VALUE_BYTES_MAX = 491_520;

/** Flags of word 1, already shifted. */
export const RecordFlag = {
  /** Same bytes as below, or absent below: nothing to drain. */
  clean: 0x0100_0000,
  /** The row does not exist: hides what may be below. */
  tombstone: 0x0200_0000,
  /** Nothing is below, so a removal needs no tombstone. */
  absentBelow: 0x0400_0000,
  /** A blind list append: elements to add to what is below. Value: AppendHeader, then elements. */
  append: 0x0800_0000,
} as const;

export const KEY_LENGTH_MASK = 0xffff;
export const ROW_HEADER_SHIFT = 16;

/** Units a record needs for a key and a value capacity in bytes. */
export function recordUnits(keyBytes: number, capacityBytes: number): number {
  return RECORD_HEADER_UNITS + ((keyBytes + 7) >>> 3) + ((capacityBytes + 7) >>> 3);
}

/** Units of a record with at most this capacity: its slack must fit 16 bits, and so must its size. */
export function boundedUnits(keyBytes: number, valueBytes: number, capacityBytes: number): number {
  const capacity = Math.min(capacityBytes, valueBytes + SLACK_BYTES_MAX - 7);
  return Math.min(recordUnits(keyBytes, capacity), CHUNK_UNITS - 1);
}
