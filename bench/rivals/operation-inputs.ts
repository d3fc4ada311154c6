import { ascending, shuffled } from "../support/sequences.ts";
import type { OperationAssignment } from "./operations.ts";

export const entriesPerMap = 10;
const keyBytes = 20;
type Latin1Buffer = Buffer & { latin1Slice(start: number, end: number): string };

/** "user-" and fifteen digits for each number, one after the other, as a stream would bring them. */
export function stringKeyBytes(numbers: Int32Array): Latin1Buffer {
  const bytes = Buffer.alloc(numbers.length * keyBytes) as Latin1Buffer;
  for (const [position, number] of numbers.entries()) {
    bytes.write(`user-${String(number).padStart(15, "0")}`, position * keyBytes, "latin1");
  }
  return bytes;
}

export function stringKeyAt(bytes: Latin1Buffer, position: number): string {
  return bytes.latin1Slice(position * keyBytes, (position + 1) * keyBytes);
}

export interface RivalKeys {
  /** The key that stands for a number: itself, or the string at that position of the stream. */
  of(number: number): number | string;
}

class NumberKeys implements RivalKeys {
  of(number: number): number {
    return number;
  }
}

class ReadyStrings implements RivalKeys {
  private readonly _strings: readonly string[];

  constructor(numbers: Int32Array) {
    const bytes = stringKeyBytes(numbers);
    this._strings = Array.from(numbers, (_, position) => stringKeyAt(bytes, position));
  }

  of(position: number): string {
    return this._strings[position]!;
  }
}

/** Strings made at each call, as after deserialization. */
class FreshStrings implements RivalKeys {
  private readonly _bytes: Latin1Buffer;

  constructor(numbers: Int32Array) {
    this._bytes = stringKeyBytes(numbers);
  }

  of(position: number): string {
    return stringKeyAt(this._bytes, position);
  }
}

export interface OperationInputs {
  readonly operation: string;
  readonly isFresh: boolean;
  readonly keys: RivalKeys;
  /** For `keys`: the state before, ascending by key, and the calls. */
  readonly ordered: Int32Array;
  readonly order: Int32Array;
  readonly values: Int32Array;
  readonly mapKeys: Int32Array;
  readonly mapValues: Float64Array;
  readonly tenEntries: readonly (readonly [number, number])[];
  readonly hundred: readonly number[];
}

export function operationInputs(assignment: OperationAssignment): OperationInputs {
  const { operation, keys: count, fresh } = assignment;
  const mapKeys = shuffled(entriesPerMap, 0, 46);
  const mapValues = Float64Array.from({ length: entriesPerMap }, (_, i) => 1 / (i + 3));
  const called = fresh
    ? shuffled(500_000, 500_000, 43)
    : shuffled(count, 0, count === 10_000 ? 45 : 42);
  const isString = operation.startsWith("string");
  return {
    operation,
    isFresh: fresh,
    keys: keysOf(operation, called),
    ordered: isString ? positionsOf(called) : ascending(count, 0),
    order: isString ? ascending(count, 0) : called,
    values: shuffled(1_000_000, 0, 44),
    mapKeys,
    mapValues,
    tenEntries: Array.from(mapKeys, (key, i) => [key, mapValues[i]!] as const),
    hundred: Array.from({ length: 100 }, (_, i) => i),
  };
}

/** Where each of the numbers from 0 on stands among them. */
function positionsOf(numbers: Int32Array): Int32Array {
  const positions = new Int32Array(numbers.length);
  for (const [position, number] of numbers.entries()) positions[number] = position;
  return positions;
}

function keysOf(operation: string, called: Int32Array): RivalKeys {
  if (!operation.startsWith("string")) return new NumberKeys();
  return operation.endsWith("/fresh") ? new FreshStrings(called) : new ReadyStrings(called);
}
