// One output row: `position,route,flights of the route so far` and a line feed. ASCII.
// Hot: writes digits by hand, allocates nothing.

const COMMA = 0x2c;
const LINE_FEED = 0x0a;
const ZERO = 0x30;

/** No row is longer: two integers of 16 digits, a route of 9 characters, separators. */
export const OUTPUT_ROW_BYTES_MAX = 48;

/** Writes a row at `offset`; returns the offset just past it. The caller has made room. */
export function encodeOutputRow(
  target: Uint8Array,
  offset: number,
  position: number,
  route: string,
  flights: number,
): number {
  let at = encodeInteger(target, offset, position);
  target[at++] = COMMA;
  for (let index = 0; index < route.length; index++) target[at++] = route.charCodeAt(index);
  target[at++] = COMMA;
  at = encodeInteger(target, at, flights);
  target[at++] = LINE_FEED;
  return at;
}

function encodeInteger(target: Uint8Array, offset: number, value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  let rest = value;
  for (let at = offset + digits - 1; at >= offset; at--) {
    const next = Math.floor(rest / 10);
    target[at] = ZERO + rest - next * 10;
    rest = next;
  }
  return offset + digits;
}
