// Value operations on a bare Map from key to a mutable row: what a program without a backend has.
import { fold } from "../support/sequences.ts";
import type { OperationInputs } from "./operation-inputs.ts";
import type { OperationSubject } from "./varve-operations.ts";

interface Row {
  value: number;
}

export class MapValues implements OperationSubject {
  private readonly _rows: Map<number | string, Row> = new Map();
  private readonly _inputs: OperationInputs;

  constructor(inputs: OperationInputs) {
    this._inputs = inputs;
  }

  fill(first: number, end: number): void {
    const { keys, ordered, operation } = this._inputs;
    for (let i = first; i < end; i++) {
      const value = operation === "valueGet" ? ordered[i]! : 0;
      this._rows.set(keys.of(ordered[i]!), { value });
    }
  }

  run(first: number, end: number): number {
    const { operation } = this._inputs;
    if (operation === "valueGet") return this._get(first, end);
    if (operation.includes("Rmw")) return this._readModifyWrite(first, end);
    return this._update(first, end);
  }

  private _get(first: number, end: number): number {
    const { keys, order } = this._inputs;
    let sum = 0;
    for (let i = first; i < end; i++) {
      sum += this._rows.get(keys.of(order[i % order.length]!))?.value ?? 0;
    }
    return sum;
  }

  private _readModifyWrite(first: number, end: number): number {
    const { keys, order } = this._inputs;
    for (let i = first; i < end; i++) {
      const key = keys.of(order[i % order.length]!);
      const row = this._rows.get(key);
      if (row === undefined) this._rows.set(key, { value: 1 });
      else row.value += 1;
    }
    return 0;
  }

  private _update(first: number, end: number): number {
    const { keys, order, values } = this._inputs;
    for (let i = first; i < end; i++) {
      const key = keys.of(order[i % order.length]!);
      const row = this._rows.get(key);
      if (row === undefined) this._rows.set(key, { value: values[i % 1_000_000]! });
      else row.value = values[i % 1_000_000]!;
    }
    return 0;
  }

  undo(first: number, end: number): void {
    for (let i = first; i < end; i++) {
      this._rows.delete(this._inputs.keys.of(this._inputs.order[i]!));
    }
  }

  fold(checksum: number, index: number, base: number): number {
    const row = this._rows.get(this._inputs.keys.of(this._inputs.order[index]!));
    return fold(checksum, row === undefined ? undefined : row.value - base);
  }

  settle(): undefined {
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
