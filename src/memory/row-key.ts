import { KEY_PAYLOAD_BYTES_MAX, ROW_KEY_PREFIX_BYTES } from "../format/key-codec.ts";
import { ROW_KEY_BYTES_MAX } from "../format/row-record.ts";

/** Bytes of the scratch area: the largest row key, rounded up, and room for padding. */
const SCRATCH_BYTES = ROW_KEY_BYTES_MAX + 64;

/**
 * The row key of the access under way, in a scratch area of its own. Reused for every access: what
 * is here is valid until the next one. Bytes past `length` are zero up to a multiple of eight.
 */
export class RowKey {
  readonly words: Int32Array;
  readonly u8: Uint8Array;
  length: number = ROW_KEY_PREFIX_BYTES;
  hash = 0;
  // One view for each length met: LevelDB's binding takes the exact bytes, and a view per access
  // would be garbage.
  private readonly _views: (Uint8Array | undefined)[] = [];

  constructor() {
    const bytes = new ArrayBuffer(SCRATCH_BYTES);
    this.words = new Int32Array(bytes);
    this.u8 = new Uint8Array(bytes);
  }

  /** The exact bytes. Valid until the next access. */
  view(): Uint8Array {
    const length = this.length;
    if (length > ROW_KEY_PREFIX_BYTES + KEY_PAYLOAD_BYTES_MAX) return this.u8.subarray(0, length);
    return (this._views[length] ??= this.u8.subarray(0, length));
  }

  /** Zeroes the bytes from `length` to the next multiple of eight. */
  pad(): void {
    for (let at = this.length; (at & 7) !== 0; at++) this.u8[at] = 0;
  }
}
