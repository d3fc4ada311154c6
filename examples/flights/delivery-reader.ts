// Turns a flight file into batches in delivery order, from any position. Holds only the row groups
// that later positions still need: the newest ones, as a record comes 1,000,000 positions late at most.
import type { DeliveryOrder } from "./delivery-order.ts";
import type { FlightBatch } from "./flight-batch.ts";
import type { FlightColumns, FlightFile } from "./flight-file.ts";

const BATCH_RECORDS = 8_192;

export class DeliveryReader {
  readonly #file: FlightFile;
  readonly #order: DeliveryOrder;
  /** By group; undefined before it is needed and after its last use. */
  readonly #groups: (FlightColumns | undefined)[] = [];
  /** By group: the last position that delivers one of its records. */
  readonly #lastPositions: Int32Array;
  #position = 0;
  #airportCount = 0;

  constructor(file: FlightFile, order: DeliveryOrder) {
    this.#file = file;
    this.#order = order;
    this.#lastPositions = this.#findLastPositions();
  }

  /** Sets the position of the next batch. Before the first one only: airports are told once. */
  seek(position: number): void {
    this.#position = position;
  }

  /** Loads what the next batch needs. */
  async preload(): Promise<void> {
    const end = this.#position + BATCH_RECORDS;
    const needed = new Set<number>();
    for (const record of this.#order.records.subarray(this.#position, end)) {
      needed.add(this.#file.groupOf(record));
    }
    for (const index of needed) if (this.#groups[index] === undefined) await this.#load(index);
  }

  /** The next deliveries, or undefined after the last one. */
  async next(): Promise<FlightBatch | undefined> {
    const firstPosition = this.#position;
    const count = Math.min(BATCH_RECORDS, this.#order.records.length - firstPosition);
    if (count <= 0) return undefined;
    const batch = {
      firstPosition,
      count,
      minutes: new Int32Array(count),
      delays: new Int32Array(count),
      distances: new Int32Array(count),
      origins: new Uint16Array(count),
      destinations: new Uint16Array(count),
    };
    for (let index = 0; index < count; index++) {
      const record = this.#order.records[firstPosition + index]!;
      const groupIndex = this.#file.groupOf(record);
      const group = this.#groups[groupIndex] ?? (await this.#load(groupIndex));
      const row = record - group.firstRecord;
      batch.minutes[index] = group.minutes[row]!;
      batch.delays[index] = group.delays[row]!;
      batch.distances[index] = group.distances[row]!;
      batch.origins[index] = group.origins[row]!;
      batch.destinations[index] = group.destinations[row]!;
    }
    this.#position += count;
    this.#dropPastGroups();
    const newAirports = this.#file.airports.slice(this.#airportCount);
    this.#airportCount += newAirports.length;
    return { ...batch, newAirports };
  }

  async #load(groupIndex: number): Promise<FlightColumns> {
    const group = await this.#file.readGroup(groupIndex);
    this.#groups[groupIndex] = group;
    return group;
  }

  #dropPastGroups(): void {
    for (let index = 0; index < this.#groups.length; index++) {
      if (this.#lastPositions[index]! < this.#position) this.#groups[index] = undefined;
    }
  }

  #findLastPositions(): Int32Array {
    const { records } = this.#order;
    const last = new Int32Array(this.#file.groups.length);
    for (let position = 0; position < records.length; position++) {
      last[this.#file.groupOf(records[position]!)] = position;
    }
    return last;
  }
}
