// The operations through the public API.
import { f64, i64 } from "../../src/index.ts";
import type {
  KeyedStateBackend,
  ListState,
  MapState,
  ReducingState,
  ValueState,
} from "../../src/index.ts";
import { fold } from "../support/sequences.ts";
import { type OperationInputs, entriesPerMap } from "./operation-inputs.ts";

/** What a child asks of a contestant of its own process. Calls are by index, in runs. */
export interface OperationSubject {
  fill(first: number, end: number): void;
  /** Returns the sum of what was read. */
  run(first: number, end: number): number;
  /** Prepares a pass again. */
  undo(first: number, end: number): void;
  /** `base` is subtracted from values that count calls. */
  fold(checksum: number, index: number, base: number): number;
  settle(): Promise<void> | undefined;
  close(): Promise<void>;
}

abstract class VarveSubject {
  protected readonly backend: KeyedStateBackend;
  protected readonly inputs: OperationInputs;

  constructor(backend: KeyedStateBackend, inputs: OperationInputs) {
    this.backend = backend;
    this.inputs = inputs;
  }

  settle(): Promise<void> | undefined {
    return this.backend.needsDrain ? this.backend.drained() : undefined;
  }

  close(): Promise<void> {
    return this.backend.close();
  }
}

class VarveValues extends VarveSubject implements OperationSubject {
  private readonly _state: ValueState<number>;

  constructor(backend: KeyedStateBackend, inputs: OperationInputs) {
    super(backend, inputs);
    this._state = backend.valueState({ name: "value", value: f64 });
  }

  fill(first: number, end: number): void {
    const { keys, ordered, operation } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(ordered[i]!));
      this._state.update(operation === "valueGet" ? ordered[i]! : 0);
    }
  }

  run(first: number, end: number): number {
    const { operation } = this.inputs;
    if (operation === "valueGet") return this._get(first, end);
    if (operation === "valueUpdate" || operation === "valueAdd") return this._update(first, end);
    return this._readModifyWrite(first, end);
  }

  private _get(first: number, end: number): number {
    const { keys, order } = this.inputs;
    let sum = 0;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      sum += this._state.value() ?? 0;
    }
    return sum;
  }

  private _update(first: number, end: number): number {
    const { keys, order, values } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      this._state.update(values[i % 1_000_000]!);
    }
    return 0;
  }

  private _readModifyWrite(first: number, end: number): number {
    const { keys, order } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      this._state.update((this._state.value() ?? 0) + 1);
    }
    return 0;
  }

  undo(first: number, end: number): void {
    const { keys, order } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i]!));
      this._state.clear();
    }
  }

  fold(checksum: number, index: number, base: number): number {
    this.backend.setCurrentKey(this.inputs.keys.of(this.inputs.order[index]!));
    const value = this._state.value();
    return fold(checksum, value === undefined ? undefined : value - base);
  }
}

class VarveSums extends VarveSubject implements OperationSubject {
  private readonly _state: ReducingState<number>;

  constructor(backend: KeyedStateBackend, inputs: OperationInputs) {
    super(backend, inputs);
    this._state = backend.reducingState({ name: "sum", value: f64, reduce: (a, b) => a + b });
  }

  fill(first: number, end: number): void {
    const { keys, ordered } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(ordered[i]!));
      this._state.add(0);
    }
  }

  run(first: number, end: number): number {
    const { keys, order, values } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      this._state.add(values[i % 1_000_000]!);
    }
    return 0;
  }

  undo(): void {
    throw new Error("reducingAdd has no passes");
  }

  fold(checksum: number, index: number): number {
    this.backend.setCurrentKey(this.inputs.keys.of(this.inputs.order[index]!));
    return fold(checksum, this._state.get());
  }
}

class VarveLists extends VarveSubject implements OperationSubject {
  private readonly _state: ListState<number>;

  constructor(backend: KeyedStateBackend, inputs: OperationInputs) {
    super(backend, inputs);
    this._state = backend.listState({ name: "list", element: i64 });
  }

  fill(first: number, end: number): void {
    const { keys, ordered, operation, hundred } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(ordered[i]!));
      this._state.update([ordered[i]!]);
      if (operation === "listGetAndIterate101") this._state.addAll(hundred);
    }
  }

  run(first: number, end: number): number {
    const { operation } = this.inputs;
    if (operation === "listGet") return this._get(first, end);
    if (operation.startsWith("listGetAndIterate")) return this._iterate(first, end);
    if (operation === "listAppend") return this._append(first, end);
    if (operation === "listAddAll100") return this._addHundred(first, end);
    return this._update(first, end);
  }

  private _get(first: number, end: number): number {
    const { keys, order } = this.inputs;
    let sum = 0;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      sum += this._state.get().length;
    }
    return sum;
  }

  private _iterate(first: number, end: number): number {
    const { keys, order } = this.inputs;
    let sum = 0;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      for (const element of this._state.get()) sum += element;
    }
    return sum;
  }

  private _append(first: number, end: number): number {
    const { keys, order, values } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      this._state.add(values[i % 1_000_000]!);
    }
    return 0;
  }

  private _addHundred(first: number, end: number): number {
    const { keys, order, hundred } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      this._state.addAll(hundred);
    }
    return 0;
  }

  private _update(first: number, end: number): number {
    const { keys, order, values } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      this._state.update([values[i % 1_000_000]!]);
    }
    return 0;
  }

  undo(first: number, end: number): void {
    const { keys, order, isFresh } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i]!));
      if (isFresh) this._state.clear();
      else this._state.update([order[i]!]);
    }
  }

  fold(checksum: number, index: number): number {
    this.backend.setCurrentKey(this.inputs.keys.of(this.inputs.order[index]!));
    let folded = checksum;
    for (const element of this._state.get()) folded = fold(folded, element);
    return folded;
  }
}

class VarveMaps extends VarveSubject implements OperationSubject {
  private readonly _state: MapState<number, number>;

  constructor(backend: KeyedStateBackend, inputs: OperationInputs) {
    super(backend, inputs);
    this._state = backend.mapState({ name: "map", key: i64, value: f64 });
  }

  fill(first: number, end: number): void {
    const { keys, ordered, mapKeys, mapValues } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(ordered[i]!));
      for (let entry = 0; entry < entriesPerMap; entry++) {
        this._state.put(mapKeys[entry]!, mapValues[entry]!);
      }
    }
  }

  run(first: number, end: number): number {
    const { operation } = this.inputs;
    if (operation === "mapIterator") return this._iterate(first, end);
    if (operation === "mapPutAll10") return this._putTen(first, end);
    if (operation === "mapUpdate" || operation === "mapAdd") return this._put(first, end);
    return this._readOrRemove(first, end);
  }

  private _iterate(first: number, end: number): number {
    const { keys, order } = this.inputs;
    let sum = 0;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      for (const [key, value] of this._state) sum += key + value;
    }
    return sum;
  }

  private _putTen(first: number, end: number): number {
    const { keys, order, tenEntries } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      this._state.putAll(tenEntries);
    }
    return 0;
  }

  private _put(first: number, end: number): number {
    const { keys, order, mapKeys, mapValues } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      this._state.put(mapKeys[i % entriesPerMap]!, mapValues[i % entriesPerMap]!);
    }
    return 0;
  }

  private _readOrRemove(first: number, end: number): number {
    const { keys, order, mapKeys, operation } = this.inputs;
    let sum = 0;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i % order.length]!));
      const mapKey = mapKeys[i % entriesPerMap]!;
      if (operation === "mapGet") sum += this._state.get(mapKey) ?? 0;
      else if (operation === "mapContains") sum += this._state.contains(mapKey << 1) ? 1 : 0;
      else if (operation === "mapIsEmpty") sum += this._state.isEmpty() ? 1 : 0;
      else this._state.remove(mapKey);
    }
    return sum;
  }

  undo(first: number, end: number): void {
    const { keys, order, mapKeys, mapValues, isFresh } = this.inputs;
    for (let i = first; i < end; i++) {
      this.backend.setCurrentKey(keys.of(order[i]!));
      if (isFresh) this._state.clear();
      else this._state.put(mapKeys[i % entriesPerMap]!, mapValues[i % entriesPerMap]!);
    }
  }

  fold(checksum: number, index: number): number {
    this.backend.setCurrentKey(this.inputs.keys.of(this.inputs.order[index]!));
    let folded = checksum;
    for (let key = 0; key < entriesPerMap; key++) folded = fold(folded, this._state.get(key));
    return folded;
  }
}

export function openVarve(backend: KeyedStateBackend, inputs: OperationInputs): OperationSubject {
  const { operation } = inputs;
  if (operation.startsWith("list")) return new VarveLists(backend, inputs);
  if (operation.startsWith("map")) return new VarveMaps(backend, inputs);
  if (operation.startsWith("reducing")) return new VarveSums(backend, inputs);
  return new VarveValues(backend, inputs);
}
