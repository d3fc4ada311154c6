// State of window operators: a number or a list of numbers for each key and window.
import type { KeyedStateBackend, ListState, ValueState } from "../../src/index.ts";
import { f64 } from "../../src/index.ts";
import { LevelTable, type StorePlace, openVarve } from "./stores.ts";

export interface WindowStore {
  getNumber(key: number, window: number): number | undefined;
  putNumber(key: number, window: number, value: number): void;
  removeNumber(key: number, window: number): void;
  append(key: number, window: number, value: number): void;
  list(key: number, window: number): readonly number[];
  removeList(key: number, window: number): void;
  /** What must be awaited before the next record, if anything. */
  settle(): Promise<void> | undefined;
  close(): Promise<void>;
}

export async function openWindowStore(place: StorePlace): Promise<WindowStore> {
  if (place.store === "map") return new MapWindows();
  if (place.store === "classic-level") return new LevelWindows(await LevelTable.open(place));
  return new VarveWindows(await openVarve(place));
}

class VarveWindows implements WindowStore {
  readonly #backend: KeyedStateBackend;
  readonly #number: ValueState<number>;
  readonly #list: ListState<number>;

  constructor(backend: KeyedStateBackend) {
    this.#backend = backend;
    this.#number = backend.valueState({ name: "number", value: f64, namespaces: true });
    this.#list = backend.listState({ name: "list", element: f64, namespaces: true });
  }

  #at<S extends ValueState<number> | ListState<number>>(state: S, key: number, window: number): S {
    this.#backend.setCurrentKey(key);
    state.setCurrentNamespace(window);
    return state;
  }

  getNumber(key: number, window: number): number | undefined {
    return this.#at(this.#number, key, window).value();
  }

  putNumber(key: number, window: number, value: number): void {
    this.#at(this.#number, key, window).update(value);
  }

  removeNumber(key: number, window: number): void {
    this.#at(this.#number, key, window).clear();
  }

  append(key: number, window: number, value: number): void {
    this.#at(this.#list, key, window).add(value);
  }

  list(key: number, window: number): readonly number[] {
    return this.#at(this.#list, key, window).get();
  }

  removeList(key: number, window: number): void {
    this.#at(this.#list, key, window).clear();
  }

  settle(): Promise<void> | undefined {
    return this.#backend.needsDrain ? this.#backend.drained() : undefined;
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}

/** One bare Map from key and window, as one number, to the row. */
class MapWindows implements WindowStore {
  readonly #numbers = new Map<number, number>();
  readonly #lists = new Map<number, number[]>();

  getNumber(key: number, window: number): number | undefined {
    return this.#numbers.get(placeOf(key, window));
  }

  putNumber(key: number, window: number, value: number): void {
    this.#numbers.set(placeOf(key, window), value);
  }

  removeNumber(key: number, window: number): void {
    this.#numbers.delete(placeOf(key, window));
  }

  append(key: number, window: number, value: number): void {
    const place = placeOf(key, window);
    const list = this.#lists.get(place);
    if (list === undefined) this.#lists.set(place, [value]);
    else list.push(value);
  }

  list(key: number, window: number): readonly number[] {
    return this.#lists.get(placeOf(key, window)) ?? [];
  }

  removeList(key: number, window: number): void {
    this.#lists.delete(placeOf(key, window));
  }

  settle(): undefined {
    return undefined;
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

/** Keys below 2^20, windows below 2^32. */
function placeOf(key: number, window: number): number {
  return key * 2 ** 32 + window;
}

/** A list is one value: an append reads it and writes it back longer. */
class LevelWindows implements WindowStore {
  readonly #table: LevelTable;

  constructor(table: LevelTable) {
    this.#table = table;
  }

  getNumber(key: number, window: number): number | undefined {
    const value = this.#table.get(`n${key}:${window}`);
    return value === undefined ? undefined : numbersOf(value)[0];
  }

  putNumber(key: number, window: number, value: number): void {
    this.#table.put(`n${key}:${window}`, bytesOf([value]));
  }

  removeNumber(key: number, window: number): void {
    this.#table.remove(`n${key}:${window}`);
  }

  append(key: number, window: number, value: number): void {
    const row = `l${key}:${window}`;
    const before = this.#table.get(row);
    const after = new Uint8Array((before?.length ?? 0) + 8);
    if (before !== undefined) after.set(before);
    new DataView(after.buffer).setFloat64(after.length - 8, value);
    this.#table.put(row, after);
  }

  list(key: number, window: number): readonly number[] {
    const value = this.#table.get(`l${key}:${window}`);
    return value === undefined ? [] : numbersOf(value);
  }

  removeList(key: number, window: number): void {
    this.#table.remove(`l${key}:${window}`);
  }

  settle(): Promise<void> | undefined {
    return this.#table.settle();
  }

  close(): Promise<void> {
    return this.#table.close();
  }
}

function bytesOf(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(8 * numbers.length);
  const view = new DataView(bytes.buffer);
  for (const [i, number] of numbers.entries()) view.setFloat64(8 * i, number);
  return bytes;
}

function numbersOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i));
}
