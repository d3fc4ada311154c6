// CRC-32C (Castagnoli), and the masked form in which LevelDB stores it (util/crc32c.h).

const POLYNOMIAL_REVERSED = 0x82f63b78;
const MASK_DELTA = 0xa282ead8;

const table: Int32Array = buildTable();

function buildTable(): Int32Array {
  const entries = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder & 1) !== 0 ? (remainder >>> 1) ^ POLYNOMIAL_REVERSED : remainder >>> 1;
    }
    entries[byte] = remainder;
  }
  return entries;
}

/** CRC-32C of the bytes from `start` to `end`, exclusive. An unsigned number. */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  let state = -1;
  for (let at = start; at < end; at++) {
    state = table[(state ^ bytes[at]!) & 255]! ^ (state >>> 8);
  }
  return ~state >>> 0;
}

/** A checksum of data that contains checksums is weak, so LevelDB stores a rotated, shifted one. */
export function maskCrc(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}
