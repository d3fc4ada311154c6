import { f64, i64 } from "../../src/index.ts";
import type { KeyedStateBackend, ReducingState, ValueState } from "../../src/index.ts";
import { fold } from "../support/sequences.ts";
import type { Inputs } from "./inputs.ts";
import type { Call, Subject } from "./operations.ts";

/** Value operations through the public API. */
export class VarveValue implements Subject {
  private readonly _backend: KeyedStateBackend;
  private readonly _state: ValueState<number>;
  private readonly _inputs: Inputs;
  private readonly _call: Call;

  constructor(backend: KeyedStateBackend, inputs: Inputs, call: Call) {
    this._backend = backend;
    this._state = backend.valueState({ name: "value", value: f64 });
    this._inputs = inputs;
    this._call = call;
  }

  fill(first: number, end: number): void {
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(this._inputs.ordered.at(i));
      this._state.update(0);
    }
  }

  run(first: number, end: number): number {
    if (this._call === "valueGet") return this._get(first, end);
    if (this._call === "valueReadModifyWrite") return this._readModifyWrite(first, end);
    return this._update(first, end);
  }

  private _get(first: number, end: number): number {
    const { keys } = this._inputs;
    let sum = 0;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(keys.at(i));
      sum += this._state.value() ?? 0;
    }
    return sum;
  }

  private _readModifyWrite(first: number, end: number): number {
    const { keys } = this._inputs;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(keys.at(i));
      this._state.update((this._state.value() ?? 0) + 1);
    }
    return 0;
  }

  private _update(first: number, end: number): number {
    const { keys, values } = this._inputs;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(keys.at(i));
      this._state.update(values[i % 1_000_000]!);
    }
    return 0;
  }

  undo(first: number, end: number): void {
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(this._inputs.keys.at(i));
      this._state.clear();
    }
  }

  fold(checksum: number, first: number, end: number): number {
    let folded = checksum;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(this._inputs.checked.at(i));
      folded = fold(folded, this._state.value());
    }
    return folded;
  }

  settle(): Promise<void> | undefined {
    return this._backend.needsDrain ? this._backend.drained() : undefined;
  }

  close(): Promise<void> {
    return this._backend.close();
  }
}

/** `reducingAdd`: sums. */
export class VarveReducing implements Subject {
  private readonly _backend: KeyedStateBackend;
  private readonly _state: ReducingState<number>;
  private readonly _inputs: Inputs;

  constructor(backend: KeyedStateBackend, inputs: Inputs) {
    this._backend = backend;
    this._state = backend.reducingState({ name: "sum", value: i64, reduce: (a, b) => a + b });
    this._inputs = inputs;
  }

  fill(first: number, end: number): void {
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(this._inputs.ordered.at(i));
      this._state.add(0);
    }
  }

  run(first: number, end: number): number {
    const { keys, values } = this._inputs;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(keys.at(i));
      this._state.add(values[i % 1_000_000]!);
    }
    return 0;
  }

  undo(): void {
    throw new Error("reducingAdd has no passes");
  }

  fold(checksum: number, first: number, end: number): number {
    let folded = checksum;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(this._inputs.checked.at(i));
      folded = fold(folded, this._state.get());
    }
    return folded;
  }

  settle(): Promise<void> | undefined {
    return this._backend.needsDrain ? this._backend.drained() : undefined;
  }

  close(): Promise<void> {
    return this._backend.close();
  }
}
