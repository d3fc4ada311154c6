import { ascending, shuffled } from "../support/sequences.ts";
import type { OperationAssignment } from "./operations.ts";

export const entriesPerMap = 10;
const keyBytes = 20;
type Latin1Buffer = Buffer & { latin1Slice(start: number, end: number): string };

/** "user-" and fifteen digits for each number below `count`, one after the other. */
export function stringKeyBytes(count: number): Latin1Buffer {
  const bytes = Buffer.alloc(count * keyBytes) as Latin1Buffer;
  for (let number = 0; number < count; number++) {
    bytes.write(`user-${String(number).padStart(15, "0")}`, number * keyBytes, "latin1");
  }
  return bytes;
}

export function stringKeyAt(bytes: Latin1Buffer, number: number): string {
  return bytes.latin1Slice(number * keyBytes, (number + 1) * keyBytes);
}

export interface RivalKeys {
  /** The key that stands for a number. */
  of(number: number): number | string;
}

class NumberKeys implements RivalKeys {
  of(number: number): number {
    return number;
  }
}

class ReadyStrings implements RivalKeys {
  private readonly _strings: readonly string[];

  constructor(count: number) {
    const bytes = stringKeyBytes(count);
    this._strings = Array.from({ length: count }, (_, number) => stringKeyAt(bytes, number));
  }

  of(number: number): string {
    return this._strings[number]!;
  }
}

/** Strings made at each call, as after deserialization. */
class FreshStrings implements RivalKeys {
  private readonly _bytes: Latin1Buffer;

  constructor(count: number) {
    this._bytes = stringKeyBytes(count);
  }

  of(number: number): string {
    return stringKeyAt(this._bytes, number);
  }
}

export interface OperationInputs {
  readonly operation: string;
  readonly isFresh: boolean;
  readonly keys: RivalKeys;
  /** Numbers of the keys of the state before, ascending, and of the calls. */
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
  return {
    operation,
    isFresh: fresh,
    keys: keysOf(operation, count),
    ordered: ascending(count, 0),
    order: fresh ? shuffled(500_000, 500_000, 43) : shuffled(count, 0, count === 10_000 ? 45 : 42),
    values: shuffled(1_000_000, 0, 44),
    mapKeys,
    mapValues,
    tenEntries: Array.from(mapKeys, (key, i) => [key, mapValues[i]!] as const),
    hundred: Array.from({ length: 100 }, (_, i) => i),
  };
}

function keysOf(operation: string, count: number): RivalKeys {
  if (!operation.startsWith("string")) return new NumberKeys();
  return operation.endsWith("/fresh") ? new FreshStrings(count) : new ReadyStrings(count);
}
