// Key groups: the fixed hash partition of keys that rescaling moves around.
// The hash is specified, with test vectors, in docs/formats/row-key.md.
import { InvalidArgumentError } from "../errors.ts";
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";

/** Two bytes of each row key hold the group; the top bit stays free. */
export const KEY_GROUPS_MAX = 32_768;

/** Group of a key from the specified hash of its encoded form. */
export function keyGroupOf(keyHash: number, maxKeyGroups: number): number {
  return (keyHash & 0x7fffffff) % maxKeyGroups;
}

/** Applies the default and refuses reversed or out-of-range key groups. */
export function resolveKeyGroups(range: Partial<KeyGroupRange> | undefined): KeyGroupRange {
  const max = range?.max ?? 128;
  const first = range?.first ?? 0;
  const last = range?.last ?? max - 1;
  if (!Number.isSafeInteger(max) || max < 1 || max > KEY_GROUPS_MAX) {
    throw new InvalidArgumentError(
      `keyGroups.max must be an integer from 1 to ${KEY_GROUPS_MAX}, got ${String(max)}`,
    );
  }
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || first < 0 || last >= max) {
    throw new InvalidArgumentError(
      `keyGroups must lie in 0..${max - 1}, got first ${String(first)}, last ${String(last)}`,
    );
  }
  if (first > last) {
    throw new InvalidArgumentError(
      `keyGroups are reversed: first ${first} is greater than last ${last}`,
    );
  }
  return { max, first, last };
}
