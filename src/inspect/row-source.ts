// Where rows of a base come from: table files or a dump. Both give the newest row of each row key, in
// the order of the keys, without what was removed.
import type { StateSchema } from "../api/keyed-state-backend.ts";
import { PART_OFFSET, STATE_ID_OFFSET } from "../format/key-codec.ts";

/** Key groups, both ends inclusive. */
export interface Groups {
  readonly first: number;
  readonly last: number;
}

export interface Row {
  readonly key: Uint8Array;
  /** Header byte and payload. A view: valid as long as it is held, never changed. */
  readonly row: Uint8Array;
}

/** Row keys from `gte` to below `lt`; undefined is open. */
export interface RowRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array | undefined;
}

export interface RowSource {
  /** Batches of rows, none of them empty. Memory does not grow with the range. */
  rows(range: RowRange): AsyncGenerator<readonly Row[], void, void>;
  /**
   * Names the content of a range: where two sources answer the same, their rows are the same.
   * Undefined if that cannot be told without reading.
   */
  contentOf(range: RowRange): string | undefined;
}

/** What follows the first seven bytes of a row key: key, namespace, node. */
export interface KeyRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array | undefined;
}

export const ALL_KEYS: KeyRange = { gte: new Uint8Array(0), lt: undefined };

/** The least bytes above everything that starts with `prefix`; undefined if there are none. */
export function successorOf(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const successor = new Uint8Array(prefix.subarray(0, length)); // `slice` of a Buffer is a view.
  successor[length - 1]!++;
  return successor;
}

/** The rows of a part (root rows, or nodes) of a state in a key group. */
export function rangeOf(
  keyGroup: number,
  { id }: StateSchema,
  part: number,
  keys: KeyRange,
): RowRange {
  const prefix = new Uint8Array(PART_OFFSET + 1);
  const view = new DataView(prefix.buffer);
  view.setUint16(0, keyGroup);
  view.setUint32(STATE_ID_OFFSET, id);
  prefix[PART_OFFSET] = part;
  return {
    gte: joined(prefix, keys.gte),
    lt: keys.lt === undefined ? successorOf(prefix) : joined(prefix, keys.lt),
  };
}

/** All rows of these key groups, both ends inclusive. */
export function rangeOfGroups(first: number, last: number): RowRange {
  return { gte: Uint8Array.of(first >> 8, first & 255), lt: successorOf(groupBytes(last)) };
}

function groupBytes(group: number): Uint8Array {
  return Uint8Array.of(group >> 8, group & 255);
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(left.length + right.length);
  bytes.set(left);
  bytes.set(right, left.length);
  return bytes;
}

/** Pulls rows one by one; awaits only where a batch ends. */
export class RowCursor {
  /** Undefined where the batch has ended: `fill` then. */
  current: Row | undefined = undefined;
  readonly #batches: AsyncGenerator<readonly Row[], void, void>;
  #batch: readonly Row[] = [];
  #at = 0;

  constructor(batches: AsyncGenerator<readonly Row[], void, void>) {
    this.#batches = batches;
  }

  /** Moves on within the batch. */
  advance(): void {
    this.current = this.#batch[++this.#at];
  }

  /** Fetches the next batch; false at the end. */
  async fill(): Promise<boolean> {
    const { done, value } = await this.#batches.next();
    if (done === true) return false;
    this.#batch = value;
    this.#at = 0;
    this.current = value[0];
    return true;
  }

  async close(): Promise<void> {
    await this.#batches.return();
  }
}
