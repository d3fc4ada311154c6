// The same on a bare Map: from key to a mutable row object, an array, or another Map.
import { fold } from "../support/sequences.ts";
import { type Inputs, entriesPerMap } from "./inputs.ts";
import { type Call, type Subject, isValueCall } from "./operations.ts";

type Key = number | string;

abstract class BareMap<Row> {
  protected readonly rows: Map<Key, Row> = new Map();
  protected readonly inputs: Inputs;
  protected readonly call: Call;

  constructor(inputs: Inputs, call: Call) {
    this.inputs = inputs;
    this.call = call;
  }

  settle(): undefined {
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface ValueRow {
  value: number;
}

class BareValue extends BareMap<ValueRow> implements Subject {
  fill(first: number, end: number): void {
    for (let i = first; i < end; i++) this.rows.set(this.inputs.ordered.at(i), { value: 0 });
  }

  run(first: number, end: number): number {
    if (this.call === "valueGet") return this._get(first, end);
    if (this.call === "valueReadModifyWrite") return this._readModifyWrite(first, end);
    if (this.call === "reducingAdd") return this._reduce(first, end);
    return this._update(first, end);
  }

  private _get(first: number, end: number): number {
    const { keys } = this.inputs;
    let sum = 0;
    for (let i = first; i < end; i++) sum += this.rows.get(keys.at(i))?.value ?? 0;
    return sum;
  }

  private _readModifyWrite(first: number, end: number): number {
    const { keys } = this.inputs;
    for (let i = first; i < end; i++) {
      const key = keys.at(i);
      const row = this.rows.get(key);
      if (row === undefined) this.rows.set(key, { value: 1 });
      else row.value += 1;
    }
    return 0;
  }

  private _reduce(first: number, end: number): number {
    const { keys, values } = this.inputs;
    for (let i = first; i < end; i++) {
      const key = keys.at(i);
      const value = values[i % 1_000_000]!;
      const row = this.rows.get(key);
      if (row === undefined) this.rows.set(key, { value });
      else row.value += value;
    }
    return 0;
  }

  private _update(first: number, end: number): number {
    const { keys, values } = this.inputs;
    for (let i = first; i < end; i++) {
      const key = keys.at(i);
      const value = values[i % 1_000_000]!;
      const row = this.rows.get(key);
      if (row === undefined) this.rows.set(key, { value });
      else row.value = value;
    }
    return 0;
  }

  undo(first: number, end: number): void {
    for (let i = first; i < end; i++) this.rows.delete(this.inputs.keys.at(i));
  }

  fold(checksum: number, first: number, end: number): number {
    let folded = checksum;
    for (let i = first; i < end; i++) {
      folded = fold(folded, this.rows.get(this.inputs.checked.at(i))?.value);
    }
    return folded;
  }
}

class BareLists extends BareMap<number[]> implements Subject {
  fill(first: number, end: number): void {
    for (let i = first; i < end; i++) this.rows.set(this.inputs.ordered.at(i), [1]);
  }

  run(first: number, end: number): number {
    const { keys, values, hundred } = this.inputs;
    const { call } = this;
    let sum = 0;
    for (let i = first; i < end; i++) {
      const key = keys.at(i);
      if (call === "listAdd") this._listAt(key).push(values[i % 1_000_000]!);
      else if (call === "listGet") sum += this._listAt(key).slice().length;
      else if (call === "listUpdate") this.rows.set(key, [values[i % 1_000_000]!]);
      else this._listAt(key).push(...hundred);
    }
    return sum;
  }

  private _listAt(key: Key): number[] {
    const list = this.rows.get(key);
    if (list !== undefined) return list;
    const made: number[] = [];
    this.rows.set(key, made);
    return made;
  }

  undo(first: number, end: number): void {
    for (let i = first; i < end; i++) this.rows.set(this.inputs.keys.at(i), [1]);
  }

  fold(checksum: number, first: number, end: number): number {
    let folded = checksum;
    for (let i = first; i < end; i++) {
      const list = this.rows.get(this.inputs.checked.at(i)) ?? [];
      for (const element of list) folded = fold(folded, element);
    }
    return folded;
  }
}

class BareMaps extends BareMap<Map<number, number>> implements Subject {
  fill(first: number, end: number): void {
    const { ordered, mapKeys, mapValues } = this.inputs;
    for (let i = first; i < end; i++) {
      const map = this._mapAt(ordered.at(i));
      for (let entry = 0; entry < entriesPerMap; entry++) {
        map.set(mapKeys[entry]!, mapValues[entry]!);
      }
    }
  }

  run(first: number, end: number): number {
    const { keys, mapKeys, mapValues } = this.inputs;
    const { call } = this;
    let sum = 0;
    for (let i = first; i < end; i++) {
      const mapKey = mapKeys[i % entriesPerMap]!;
      const map = this._mapAt(keys.at(i));
      if (call === "mapPut") map.set(mapKey, mapValues[i % entriesPerMap]!);
      else if (call === "mapGet") sum += map.get(mapKey) ?? 0;
      else if (call === "mapContains") sum += map.has(mapKey << 1) ? 1 : 0;
      else if (call === "mapRemove") map.delete(mapKey);
      else for (const [key] of map) sum += key;
    }
    return sum;
  }

  private _mapAt(key: Key): Map<number, number> {
    const map = this.rows.get(key);
    if (map !== undefined) return map;
    const made = new Map<number, number>();
    this.rows.set(key, made);
    return made;
  }

  undo(first: number, end: number): void {
    const { keys, mapKeys, mapValues } = this.inputs;
    for (let i = first; i < end; i++) {
      const map = this._mapAt(keys.at(i));
      map.set(mapKeys[i % entriesPerMap]!, mapValues[i % entriesPerMap]!);
    }
  }

  fold(checksum: number, first: number, end: number): number {
    let folded = checksum;
    for (let i = first; i < end; i++) {
      const map = this.rows.get(this.inputs.checked.at(i));
      for (let key = 0; key < entriesPerMap; key++) folded = fold(folded, map?.get(key));
    }
    return folded;
  }
}

export function openBareMap(inputs: Inputs, call: Call): Subject {
  if (call.startsWith("list")) return new BareLists(inputs, call);
  if (isValueCall(call) || call === "reducingAdd") return new BareValue(inputs, call);
  return new BareMaps(inputs, call);
}
