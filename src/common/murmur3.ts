// MurmurHash3_x86_32 by Austin Appleby, restricted to whole 32-bit words. Hot: no allocation; the
// three steps are separate so that callers can hash words that are not in one array.

/** Mixes one little-endian word into the state. */
export function murmurStep(state: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  let h = state ^ Math.imul(k, 0x1b873593);
  h = (h << 13) | (h >>> 19);
  return (Math.imul(h, 5) + 0xe6546b64) | 0;
}

/** Ends a hash over `lengthBytes` bytes. A signed 32-bit number. */
export function murmurFinish(state: number, lengthBytes: number): number {
  let h = state ^ lengthBytes;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Hash of `count` words of `words` from index `start`. */
export function murmurWords(seed: number, words: Int32Array, start: number, count: number): number {
  let state = seed;
  for (let index = start; index < start + count; index++) {
    state = murmurStep(state, words[index]!);
  }
  return murmurFinish(state, count * 4);
}

/** Hash of bytes padded with zero bytes to a multiple of four. */
export function murmurBytes(seed: number, bytes: Uint8Array): number {
  return murmurRange(seed, bytes, 0, bytes.length);
}

/** As `murmurBytes`, of the bytes from `start` to below `end`. */
export function murmurRange(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let state = seed;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    state = murmurStep(state, word);
  }
  if (at < end) {
    let word = 0;
    for (let shift = 0; at < end; at++, shift += 8) word |= bytes[at]! << shift;
    state = murmurStep(state, word);
  }
  return murmurFinish(state, (end - start + 3) & ~3);
}
