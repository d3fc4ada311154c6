// Point reads for many keys in one message. Both directions are packed: a list of (u32 little-endian
// length, bytes). An absent row has the length 0xffffffff and no bytes; rows come in order of the keys.
import { InvalidArgumentError } from "../errors.ts";

export const ABSENT_ROW_LENGTH = 0xffff_ffff;
const LENGTH_BYTES = 4;

export function packKeys(keys: readonly Uint8Array[]): Uint8Array {
  return pack(keys);
}

/** Undefined where the key has no row. The rows are views of `packed`. */
export function unpackRows(packed: Uint8Array): (Uint8Array | undefined)[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const rows: (Uint8Array | undefined)[] = [];
  for (let at = 0; at < packed.length;) {
    const length = view.getUint32(at, true);
    at += LENGTH_BYTES;
    if (length === ABSENT_ROW_LENGTH) {
      rows.push(undefined);
      continue;
    }
    rows.push(packed.subarray(at, at + length));
    at += length;
  }
  return rows;
}

/** Reads the row of each packed key. */
export function readPackedRows(
  keys: Uint8Array,
  getRow: (key: Uint8Array) => Uint8Array | undefined,
): Uint8Array {
  const view = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  const rows: (Uint8Array | undefined)[] = [];
  for (let at = 0; at < keys.length;) {
    if (at + LENGTH_BYTES > keys.length) throw new InvalidArgumentError("packed keys are cut");
    const end = at + LENGTH_BYTES + view.getUint32(at, true);
    if (end > keys.length) throw new InvalidArgumentError("packed keys are cut");
    rows.push(getRow(keys.subarray(at + LENGTH_BYTES, end)));
    at = end;
  }
  return pack(rows);
}

/** In a buffer of exactly this size, so that it can be transferred. */
function pack(items: readonly (Uint8Array | undefined)[]): Uint8Array {
  let total = 0;
  for (const item of items) total += LENGTH_BYTES + (item?.length ?? 0);
  const packed = new Uint8Array(total);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const item of items) {
    view.setUint32(at, item?.length ?? ABSENT_ROW_LENGTH, true);
    at += LENGTH_BYTES;
    if (item === undefined) continue;
    packed.set(item, at);
    at += item.length;
  }
  return packed;
}
