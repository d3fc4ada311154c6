// The inputs, bit for bit those of bench/support/sequences.ts.
export function xorshift32(state) {
  let x = state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x;
}

export function shuffled(count, base, seed) {
  const numbers = Int32Array.from({ length: count }, (_, i) => base + i);
  let x = seed;
  for (let i = count - 1; i >= 1; i--) {
    x = xorshift32(x);
    const other = (x >>> 0) % (i + 1);
    [numbers[i], numbers[other]] = [numbers[other], numbers[i]];
  }
  return numbers;
}

export function fillBytes(target, key, version) {
  let x = (Math.imul(key, 0x9e3779b1) + version) | 1;
  for (let i = 0; i < target.length; i += 4) {
    x = xorshift32(x);
    target[i] = x;
    target[i + 1] = x >>> 8;
    target[i + 2] = x >>> 16;
    target[i + 3] = x >>> 24;
  }
}

const number = new Float64Array(1);
const halves = new Int32Array(number.buffer);

export function fold(checksum, value) {
  number[0] = value ?? -1.5;
  const low = Math.imul(checksum ^ halves[0], 0x9e3779b1);
  return Math.imul(low ^ (low >>> 15) ^ halves[1], 0x85ebca6b);
}

export function groupOf(key) {
  return Math.imul(key, 0x9e3779b1) >>> 25;
}

/** One of 128 groups first, as streams spread their keys; then the number. */
export function rowKey(key) {
  const row = Buffer.allocUnsafe(9);
  row[0] = groupOf(key);
  row.writeUInt32BE(0, 1);
  row.writeUInt32BE(key, 5);
  return row;
}

/** Group by group: an engine need not merge what comes in order. */
export function keysByGroup(count) {
  const starts = new Int32Array(129);
  for (let key = 0; key < count; key++) starts[groupOf(key) + 1]++;
  for (let group = 0; group < 128; group++) starts[group + 1] += starts[group];
  const keys = new Int32Array(count);
  for (let key = 0; key < count; key++) keys[starts[groupOf(key)]++] = key;
  return keys;
}
