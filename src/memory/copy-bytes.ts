/** Copies few bytes faster than `set` with a view, and makes no garbage. Hot. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  offset: number,
): void {
  if (end - start > 128) {
    to.set(from.subarray(start, end), offset);
    return;
  }
  for (let index = start, at = offset; index < end; index++) to[at++] = from[index]!;
}
