import { ascending, shuffled } from "../support/sequences.ts";
import type { KeyType, Operation } from "./operations.ts";

export interface Keys {
  /** The key of call i: round and round. Strings are made at each call, as after deserialization. */
  at(i: number): number | string;
}

class NumberKeys implements Keys {
  private readonly _order: Int32Array;
  private readonly _count: number;

  constructor(order: Int32Array) {
    this._order = order;
    this._count = order.length;
  }

  at(i: number): number {
    return this._order[i % this._count]!;
  }
}

const keyBytes = 20;
type Latin1Buffer = Buffer & { latin1Slice(start: number, end: number): string };

class StringKeys implements Keys {
  private readonly _bytes: Latin1Buffer;
  private readonly _count: number;

  constructor(order: Int32Array) {
    this._count = order.length;
    this._bytes = Buffer.alloc(order.length * keyBytes) as Latin1Buffer;
    order.forEach((number, i) => {
      this._bytes.write(`user-${String(number).padStart(15, "0")}`, i * keyBytes, "latin1");
    });
  }

  at(i: number): string {
    const start = (i % this._count) * keyBytes;
    return this._bytes.latin1Slice(start, start + keyBytes);
  }
}

function keysOf(keyType: KeyType, order: Int32Array): Keys {
  return keyType === "number" ? new NumberKeys(order) : new StringKeys(order);
}

export const entriesPerMap = 10;

/** What every subject of an operation takes. */
export interface Inputs {
  /** Keys of the calls. */
  readonly keys: Keys;
  /** The keys of the state before, ascending. */
  readonly ordered: Keys;
  /** Keys whose state is compared at the end, in some order. */
  readonly checked: Keys;
  readonly checkedCount: number;
  readonly values: Int32Array;
  readonly mapKeys: Int32Array;
  readonly mapValues: Float64Array;
  readonly hundred: readonly number[];
}

export function inputsOf(operation: Operation, keyType: KeyType): Inputs {
  const isAdd = operation.call === "valueAdd";
  const order = isAdd ? shuffled(500_000, 500_000, 43) : setupOrder(operation.keys);
  return {
    keys: keysOf(keyType, order),
    ordered: keysOf(keyType, ascending(operation.keys, 0)),
    checked: keysOf(keyType, order),
    checkedCount: order.length,
    values: shuffled(1_000_000, 0, 44),
    mapKeys: shuffled(entriesPerMap, 0, 46),
    mapValues: Float64Array.from({ length: entriesPerMap }, (_, i) => 1 / (i + 3)),
    hundred: Array.from({ length: 100 }, (_, i) => i),
  };
}

function setupOrder(count: number): Int32Array {
  return shuffled(count, 0, count === 10_000 ? 45 : 42);
}
