// Deterministic inputs, defined as in the measurements of Flink's backends.

export function xorshift32(state: number): number {
  let x = state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x;
}

/** The numbers base, base + 1, … base + count - 1 in an order fixed by the seed. */
export function shuffled(count: number, base: number, seed: number): Int32Array {
  const numbers = ascending(count, base);
  let x = seed;
  for (let i = count - 1; i >= 1; i--) {
    x = xorshift32(x);
    const other = (x >>> 0) % (i + 1);
    const number = numbers[i]!;
    numbers[i] = numbers[other]!;
    numbers[other] = number;
  }
  return numbers;
}

export function ascending(count: number, base: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => base + i);
}

/**
 * Ranks with Zipf's distribution, 0 the most frequent: the generator of Gray et al., "Quickly
 * generating billion-record synthetic databases" (1994), as YCSB uses it.
 */
export class Zipf {
  readonly #count: number;
  readonly #theta: number;
  readonly #alpha: number;
  readonly #zeta: number;
  readonly #eta: number;
  #x: number;

  /** `theta` is at least 0 and below 1. */
  constructor(count: number, theta: number, seed: number) {
    this.#count = count;
    this.#theta = theta;
    this.#alpha = 1 / (1 - theta);
    this.#zeta = zeta(count, theta);
    this.#eta = (1 - (2 / count) ** (1 - theta)) / (1 - zeta(2, theta) / this.#zeta);
    this.#x = seed;
  }

  next(): number {
    this.#x = xorshift32(this.#x);
    const u = (this.#x >>> 0) / 2 ** 32;
    const uz = u * this.#zeta;
    if (uz < 1) return 0;
    if (uz < 1 + 0.5 ** this.#theta) return 1;
    const rank = this.#count * (this.#eta * u - this.#eta + 1) ** this.#alpha;
    return Math.min(this.#count - 1, Math.floor(rank));
  }
}

function zeta(count: number, theta: number): number {
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) sum += rank ** -theta;
  return sum;
}

/** So many draws from `count` numbers with Zipf's distribution; which of them are hot is shuffled. */
export function zipfNumbers(count: number, draws: number, theta: number, seed: number): Int32Array {
  const numbers = shuffled(count, 0, seed);
  const ranks = new Zipf(count, theta, seed);
  return Int32Array.from({ length: draws }, () => numbers[ranks.next()]!);
}

/** Incompressible bytes that depend on key and version only. */
export function fillBytes(target: Uint8Array, key: number, version: number): void {
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

/** Folds a number, or its absence, into a checksum. */
export function fold(checksum: number, value: number | undefined): number {
  number[0] = value ?? -1.5;
  const low = Math.imul(checksum ^ halves[0]!, 0x9e3779b1);
  return Math.imul(low ^ (low >>> 15) ^ halves[1]!, 0x85ebca6b);
}
