import { f64, i64 } from "../../src/index.ts";
import type { KeyedStateBackend, ListState, MapState } from "../../src/index.ts";
import { fold } from "../support/sequences.ts";
import { type Inputs, entriesPerMap } from "./inputs.ts";
import type { Call, Subject } from "./operations.ts";

/** List operations through the public API: one element a key before. */
export class VarveList implements Subject {
  private readonly _backend: KeyedStateBackend;
  private readonly _state: ListState<number>;
  private readonly _inputs: Inputs;
  private readonly _call: Call;

  constructor(backend: KeyedStateBackend, inputs: Inputs, call: Call) {
    this._backend = backend;
    this._state = backend.listState({ name: "list", element: i64 });
    this._inputs = inputs;
    this._call = call;
  }

  fill(first: number, end: number): void {
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(this._inputs.ordered.at(i));
      this._state.update([1]);
    }
  }

  run(first: number, end: number): number {
    const { keys, values, hundred } = this._inputs;
    const call = this._call;
    let sum = 0;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(keys.at(i));
      if (call === "listAdd") this._state.add(values[i % 1_000_000]!);
      else if (call === "listGet") sum += this._state.get().length;
      else if (call === "listUpdate") this._state.update([values[i % 1_000_000]!]);
      else this._state.addAll(hundred);
    }
    return sum;
  }

  undo(first: number, end: number): void {
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(this._inputs.keys.at(i));
      this._state.update([1]);
    }
  }

  fold(checksum: number, first: number, end: number): number {
    let folded = checksum;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(this._inputs.checked.at(i));
      for (const element of this._state.get()) folded = fold(folded, element);
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

/** Map operations through the public API: ten entries a key before. */
export class VarveMap implements Subject {
  private readonly _backend: KeyedStateBackend;
  private readonly _state: MapState<number, number>;
  private readonly _inputs: Inputs;
  private readonly _call: Call;

  constructor(backend: KeyedStateBackend, inputs: Inputs, call: Call) {
    this._backend = backend;
    this._state = backend.mapState({ name: "map", key: i64, value: f64 });
    this._inputs = inputs;
    this._call = call;
  }

  fill(first: number, end: number): void {
    const { ordered, mapKeys, mapValues } = this._inputs;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(ordered.at(i));
      for (let entry = 0; entry < entriesPerMap; entry++) {
        this._state.put(mapKeys[entry]!, mapValues[entry]!);
      }
    }
  }

  run(first: number, end: number): number {
    const { keys, mapKeys, mapValues } = this._inputs;
    const call = this._call;
    let sum = 0;
    for (let i = first; i < end; i++) {
      const mapKey = mapKeys[i % entriesPerMap]!;
      this._backend.setCurrentKey(keys.at(i));
      if (call === "mapPut") this._state.put(mapKey, mapValues[i % entriesPerMap]!);
      else if (call === "mapGet") sum += this._state.get(mapKey) ?? 0;
      else if (call === "mapContains") sum += this._state.contains(mapKey << 1) ? 1 : 0;
      else if (call === "mapRemove") this._state.remove(mapKey);
      else for (const [key] of this._state) sum += key;
    }
    return sum;
  }

  undo(first: number, end: number): void {
    const { keys, mapKeys, mapValues } = this._inputs;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(keys.at(i));
      this._state.put(mapKeys[i % entriesPerMap]!, mapValues[i % entriesPerMap]!);
    }
  }

  fold(checksum: number, first: number, end: number): number {
    let folded = checksum;
    for (let i = first; i < end; i++) {
      this._backend.setCurrentKey(this._inputs.checked.at(i));
      for (let key = 0; key < entriesPerMap; key++) folded = fold(folded, this._state.get(key));
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
