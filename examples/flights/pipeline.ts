// What the job does with one delivered flight: drops it if it was seen, else updates every state and
// writes one output row. Hot: runs three million times.
import type { KeyedStateBackend } from "../../src/index.ts";
import type { FlightBatch } from "./flight-batch.ts";
import { dayOfMinute, dayText, flightKey, routeDayKey, routeKey } from "./flight-keys.ts";
import { HISTOGRAM_MINUTES, WORST_DELAYS_MAX, flightStates } from "./flight-states.ts";
import type { FlightStates } from "./flight-states.ts";
import type { TransactionalFileSink } from "./transactional-file-sink.ts";

/** More than all airport indexes. */
const AIRPORTS_MAX = 65_536;

/**
 * Of a change in a log, beside key and value: its kind and two lengths, key group, state id, part and
 * tag, terminator of the key, header of the row.
 */
const CHANGE_FIXED_BYTES = 3 + 8 + 2 + 1;
const INTEGER_BYTES = 8;
/** Changes of one accepted flight, and integers in them; the list of the worst delays comes on top. */
const CHANGES_PER_FLIGHT = 7;
const INTEGERS_PER_FLIGHT = 1 + 3 + 4 + 2 + 4 + 4 + 1;
const PER_FLIGHT_BYTES =
  CHANGES_PER_FLIGHT * CHANGE_FIXED_BYTES + INTEGERS_PER_FLIGHT * INTEGER_BYTES;

export class FlightPipeline {
  readonly states: FlightStates;
  /** Since this pipeline was made, not since the checkpoint. */
  accepted = 0;
  dropped = 0;
  /** What a log of every change would take so far. */
  changeBytes = 0;
  readonly #backend: KeyedStateBackend;
  readonly #sink: TransactionalFileSink;
  readonly #airports: string[] = [];
  readonly #routes = new Map<number, string>();
  readonly #days = new Map<number, string>();

  // The flight at hand, for the callbacks below: they are made once, not per flight.
  #position = 0;
  #delay = 0;
  #distance = 0;
  #routeBytes = 0;
  #routeFlights = 0;

  constructor(backend: KeyedStateBackend, sink: TransactionalFileSink) {
    this.#backend = backend;
    this.#sink = sink;
    this.states = flightStates(backend);
  }

  /** Call once for each batch, before its flights. */
  begin(batch: FlightBatch): void {
    this.#airports.push(...batch.newAirports);
  }

  process(batch: FlightBatch, index: number): void {
    const origin = batch.origins[index]!;
    const destination = batch.destinations[index]!;
    const minute = batch.minutes[index]!;
    const route = this.#route(origin, destination);
    this.#position = batch.firstPosition + index;
    this.#delay = batch.delays[index]!;
    this.#distance = batch.distances[index]!;
    this.#routeBytes = route.length;

    const flight = flightKey(route, minute, this.#delay, this.#distance);
    if (!this.#backend.withKey(flight, this.#isFirst)) {
      this.dropped++;
      return;
    }
    const day = routeDayKey(route, this.#day(dayOfMinute(minute)));
    this.#backend.withKey(day, this.#addToRouteDay);
    this.#backend.withKey(route, this.#addToRoute);
    const from = this.#airports[origin]!;
    const to = this.#airports[destination]!;
    this.#backend.withKey(from, this.#depart);
    this.#backend.withKey(to, this.#arrive);
    this.#sink.write(this.#position, route, this.#routeFlights);
    this.accepted++;
    const keyBytes = flight.length + day.length + 2 * route.length + 2 * from.length + to.length;
    this.changeBytes += PER_FLIGHT_BYTES + keyBytes;
  }

  readonly #isFirst = (): boolean => {
    const { seen } = this.states;
    if (seen.value() !== undefined) return false;
    seen.update(this.#position);
    return true;
  };

  readonly #addToRouteDay = (): void => {
    const { routeDay } = this.states;
    const before = routeDay.value();
    const delay = this.#delay;
    routeDay.update(
      before === undefined
        ? { flights: 1, sumDelay: delay, worstDelay: delay }
        : {
            flights: before.flights + 1,
            sumDelay: before.sumDelay + delay,
            worstDelay: Math.max(before.worstDelay, delay),
          },
    );
  };

  readonly #addToRoute = (): void => {
    const { route, histogram } = this.states;
    const before = route.value() ?? noFlights;
    const delay = this.#delay;
    const isWorst = before.flights < WORST_DELAYS_MAX || delay > before.tenthWorstDelay;
    this.#routeFlights = before.flights + 1;
    route.update({
      flights: this.#routeFlights,
      sumDelay: before.sumDelay + delay,
      sumSquares: before.sumSquares + delay * delay,
      tenthWorstDelay: isWorst ? this.#addToWorst() : before.tenthWorstDelay,
    });
    const delayClass = Math.floor(delay / HISTOGRAM_MINUTES);
    histogram.put(delayClass, (histogram.get(delayClass) ?? 0) + 1);
  };

  /** Returns the new tenth-worst delay, or 0 as long as there are less than ten. */
  #addToWorst(): number {
    const { worstDelays } = this.states;
    const worst = worstDelays.get();
    const delay = this.#delay;
    const found = worst.findIndex((other) => other.delay < delay);
    worst.splice(found === -1 ? worst.length : found, 0, { delay, position: this.#position });
    if (worst.length > WORST_DELAYS_MAX) worst.pop();
    worstDelays.update(worst);
    this.changeBytes += CHANGE_FIXED_BYTES + this.#routeBytes + 2 * INTEGER_BYTES * worst.length;
    return worst[WORST_DELAYS_MAX - 1]?.delay ?? 0;
  }

  readonly #depart = (): void => {
    const { airportTotals, airportMiles } = this.states;
    airportTotals.add({ isDeparture: true, delay: this.#delay });
    airportMiles.add(this.#distance);
  };

  readonly #arrive = (): void => {
    this.states.airportTotals.add({ isDeparture: false, delay: this.#delay });
  };

  #route(origin: number, destination: number): string {
    const pair = origin * AIRPORTS_MAX + destination;
    const known = this.#routes.get(pair);
    if (known !== undefined) return known;
    const route = routeKey(this.#airports[origin]!, this.#airports[destination]!);
    this.#routes.set(pair, route);
    return route;
  }

  #day(day: number): string {
    const known = this.#days.get(day);
    if (known !== undefined) return known;
    const text = dayText(day);
    this.#days.set(day, text);
    return text;
  }
}

const noFlights = { flights: 0, sumDelay: 0, sumSquares: 0, tenthWorstDelay: 0 };
