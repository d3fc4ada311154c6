// CRC-32C (Castagnoli), and the masked form in which LevelDB stores it (util/crc32c.h).

const POLYNOMIAL_REVERSED = 0x82f63b78;
const MASK_DELTA = 0xa282ead8;

const TABLES = 16;

/** Of 256 each: the remainder of a byte with 0 to 15 bytes after it (slicing-by-8, Intel 2006, twice as wide). */
const table: Int32Array = buildTable();

function buildTable(): Int32Array {
  const entries = new Int32Array(TABLES * 256);
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
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let state = -1;
  let at = start;
  for (; at + TABLES <= end; at += TABLES) {
    const a = state ^ view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    state =
      table[3840 + (a & 255)]! ^
      table[3584 + ((a >>> 8) & 255)]! ^
      table[3328 + ((a >>> 16) & 255)]! ^
      table[3072 + (a >>> 24)]! ^
      table[2816 + (b & 255)]! ^
      table[2560 + ((b >>> 8) & 255)]! ^
      table[2304 + ((b >>> 16) & 255)]! ^
      table[2048 + (b >>> 24)]! ^
      table[1792 + (c & 255)]! ^
      table[1536 + ((c >>> 8) & 255)]! ^
      table[1280 + ((c >>> 16) & 255)]! ^
      table[1024 + (c >>> 24)]! ^
      table[768 + (d & 255)]! ^
      table[512 + ((d >>> 8) & 255)]! ^
      table[256 + ((d >>> 16) & 255)]! ^
      table[d >>> 24]!;
  }
  for (; at < end; at++) state = table[(state ^ bytes[at]!) & 255]! ^ (state >>> 8);
  return ~state >>> 0;
}

/** A checksum of data that contains checksums is weak, so LevelDB stores a rotated, shifted one. */
export function maskCrc(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}
