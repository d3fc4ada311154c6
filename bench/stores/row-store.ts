// Rows of bytes under text keys, and items in partitions, which can be scanned.
import {
  type KeyedStateBackend,
  type MapState,
  type ValueState,
  bytes,
  u32,
} from "../../src/index.ts";
import { LevelTable, type StorePlace, openVarve } from "./stores.ts";

export interface RowStore {
  get(key: string): Uint8Array | undefined;
  put(key: string, value: Uint8Array): void;
  remove(key: string): void;
  putItem(partition: number, item: number, value: Uint8Array): void;
  /** The first items of a partition, at most so many, in any order that is the partition's own. */
  scan(partition: number, count: number): Promise<number> | number;
  /** All rows: how many. */
  readAll(): Promise<number>;
  /** What must be awaited before the next call, if anything. */
  settle(): Promise<void> | undefined;
  /** Resolves when everything so far would survive a power loss. */
  makeDurable(): Promise<void>;
  /** Reads that went to files. */
  coldReads(): number;
  close(): Promise<void>;
}

export async function openRowStore(place: StorePlace): Promise<RowStore> {
  if (place.store === "map") return new MapRows();
  if (place.store === "classic-level") return new LevelRows(await LevelTable.open(place));
  return new VarveRows(await openVarve(place));
}

class VarveRows implements RowStore {
  readonly #backend: KeyedStateBackend;
  readonly #row: ValueState<Uint8Array>;
  readonly #items: MapState<number, Uint8Array>;

  constructor(backend: KeyedStateBackend) {
    this.#backend = backend;
    this.#row = backend.valueState({ name: "row", value: bytes });
    this.#items = backend.mapState({ name: "items", key: u32, value: bytes });
  }

  get(key: string): Uint8Array | undefined {
    this.#backend.setCurrentKey(key);
    return this.#row.value();
  }

  put(key: string, value: Uint8Array): void {
    this.#backend.setCurrentKey(key);
    this.#row.update(value);
  }

  remove(key: string): void {
    this.#backend.setCurrentKey(key);
    this.#row.clear();
  }

  putItem(partition: number, item: number, value: Uint8Array): void {
    this.#backend.setCurrentKey(partition);
    this.#items.put(item, value);
  }

  scan(partition: number, count: number): number {
    this.#backend.setCurrentKey(partition);
    let found = 0;
    for (const [, value] of this.#items) {
      if (value.length > 0) found++;
      if (found === count) break;
    }
    return found;
  }

  async readAll(): Promise<number> {
    let found = 0;
    for await (const key of this.#row.keys()) {
      this.#backend.setCurrentKey(key);
      if (this.#row.value() !== undefined) found++;
    }
    return found;
  }

  settle(): Promise<void> | undefined {
    return this.#backend.needsDrain ? this.#backend.drained() : undefined;
  }

  async makeDurable(): Promise<void> {
    await this.#backend.checkpoint();
  }

  coldReads(): number {
    const { coldReads, coldMisses } = this.#backend.stats();
    return coldReads + coldMisses;
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}

class LevelRows implements RowStore {
  readonly #table: LevelTable;
  #reads = 0;

  constructor(table: LevelTable) {
    this.#table = table;
  }

  get(key: string): Uint8Array | undefined {
    this.#reads++;
    return this.#table.get(key);
  }

  put(key: string, value: Uint8Array): void {
    this.#table.put(key, value);
  }

  remove(key: string): void {
    this.#table.remove(key);
  }

  putItem(partition: number, item: number, value: Uint8Array): void {
    this.#table.put(`p${partition}:${item}`, value);
  }

  /** An iterator sees what is written only. */
  async scan(partition: number, count: number): Promise<number> {
    await this.#table.write(false);
    const range = { gte: `p${partition}:`, lt: `p${partition};` };
    // By default a call ends after 16 KiB, whatever was asked for.
    const once = { limit: count, highWaterMarkBytes: 1_048_576 };
    const iterator = this.#table.database.values({ ...range, ...once });
    try {
      const values = await iterator.nextv(count);
      return values.length;
    } finally {
      await iterator.close();
    }
  }

  async readAll(): Promise<number> {
    await this.#table.write(false);
    let found = 0;
    for await (const [, value] of this.#table.database.iterator()) if (value.length > 0) found++;
    return found;
  }

  settle(): Promise<void> | undefined {
    return this.#table.settle();
  }

  makeDurable(): Promise<void> {
    return this.#table.write(true);
  }

  coldReads(): number {
    return this.#reads;
  }

  close(): Promise<void> {
    return this.#table.close();
  }
}

class MapRows implements RowStore {
  readonly #rows = new Map<string, Uint8Array>();
  readonly #partitions = new Map<number, Map<number, Uint8Array>>();

  get(key: string): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  put(key: string, value: Uint8Array): void {
    this.#rows.set(key, value);
  }

  remove(key: string): void {
    this.#rows.delete(key);
  }

  putItem(partition: number, item: number, value: Uint8Array): void {
    const items = this.#partitions.get(partition);
    if (items === undefined) this.#partitions.set(partition, new Map([[item, value]]));
    else items.set(item, value);
  }

  scan(partition: number, count: number): number {
    let found = 0;
    for (const value of this.#partitions.get(partition)?.values() ?? []) {
      if (value.length > 0) found++;
      if (found === count) break;
    }
    return found;
  }

  async readAll(): Promise<number> {
    return this.#rows.size;
  }

  settle(): undefined {
    return undefined;
  }

  async makeDurable(): Promise<void> {
    throw new Error("a Map is not durable");
  }

  coldReads(): number {
    return 0;
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}
