// Reproducible randomness: the same seed, the same numbers.

/** A uniform 32-bit hash of an integer, for decisions that must not depend on what came before. */
export function hashInteger(value: number, salt: number): number {
  let hash = Math.imul(value ^ Math.imul(salt, 0x9e37_79b1), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a_2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** A sequence of numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let step = 0;
  return () => hashInteger(step++, seed) / 2 ** 32;
}
