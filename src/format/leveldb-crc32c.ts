// CRC-32C (Castagnoli), and the masked form in which LevelDB stores it (util/crc32c.h).

const POLYNOMIAL_REVERSED = 0x82f63b78;
const MASK_DELTA = 0xa282ead8;

/** Eight tables of 256: the remainder of a byte with 0 to 7 bytes after it (slicing-by-8, Intel 2006). */
const table: Int32Array = buildTable();

function buildTable(): Int32Array {
  const entries = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder & 1) !== 0 ? (remainder >>> 1) ^ POLYNOMIAL_REVERSED : remainder >>> 1;
    }
    entries[byte] = remainder;
  }
  for (let at = 256; at < entries.length; at++) {
    const before = entries[at - 256]!;
    entries[at] = entries[before & 255]! ^ (before >>> 8);
  }
  return entries;
}

/** CRC-32C of the bytes from `start` to `end`, exclusive. An unsigned number. */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  let state = -1;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const word =
      state ^
      (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    state =
      table[1792 + (word & 255)]! ^
      table[1536 + ((word >>> 8) & 255)]! ^
      table[1280 + ((word >>> 16) & 255)]! ^
      table[1024 + (word >>> 24)]! ^
      table[768 + bytes[at + 4]!]! ^
      table[512 + bytes[at + 5]!]! ^
      table[256 + bytes[at + 6]!]! ^
      table[bytes[at + 7]!]!;
  }
  for (; at < end; at++) state = table[(state ^ bytes[at]!) & 255]! ^ (state >>> 8);
  return ~state >>> 0;
}

/** A checksum of data that contains checksums is weak, so LevelDB stores a rotated, shifted one. */
export function maskCrc(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}
