// What the job must arrive at, recomputed from the deliveries with plain objects. Shares with the job
// nothing but its input: totals come from lists of what happened, not from running sums.
import type { FlightBatch } from "./flight-batch.ts";

const MINUTES_PER_DAY = 1_440;

/** [flights, sum of delay, worst delay] */
export type DayResult = { readonly number: number; totals: [number, number, number] };

/** Everything about one origin and destination, in the order of delivery. */
export interface RouteResult {
  readonly number: number;
  readonly name: string;
  /** Of each accepted flight. */
  readonly delays: number[];
  readonly positions: number[];
  /** By the other three columns: position of the first delivery. */
  readonly seen: Map<string, number>;
  /** By number of the UTC day. */
  readonly days: Map<number, DayResult>;
}

export interface AirportResult {
  readonly number: number;
  /** [departures, their delay, arrivals, their delay] */
  readonly totals: [number, number, number, number];
  miles: number;
  /** By destination. */
  readonly routes: Map<string, RouteResult>;
}

export class ExpectedResults {
  readonly airports: Map<string, AirportResult> = new Map();
  readonly routes: RouteResult[] = [];
  /** By position: number of the route and its flights so far; 0 flights where nothing was accepted. */
  readonly routeNumbers: Int32Array;
  readonly runningCounts: Int32Array;
  acceptedCount = 0;
  dayCount = 0;

  constructor(positionCount: number) {
    this.routeNumbers = new Int32Array(positionCount);
    this.runningCounts = new Int32Array(positionCount);
  }

  /** Takes deliveries in order, each once. */
  add(batch: FlightBatch, airports: readonly string[]): void {
    for (let index = 0; index < batch.count; index++) {
      const origin = this.#airport(airports[batch.origins[index]!]!);
      const destination = airports[batch.destinations[index]!]!;
      const minute = batch.minutes[index]!;
      const delay = batch.delays[index]!;
      const miles = batch.distances[index]!;
      const position = batch.firstPosition + index;
      const route = this.#route(origin, airports[batch.origins[index]!]!, destination);
      const flight = `${minute}:${delay}:${miles}`;
      if (route.seen.has(flight)) continue;
      route.seen.set(flight, position);
      route.positions.push(position);
      this.routeNumbers[position] = route.number;
      this.runningCounts[position] = route.delays.push(delay);
      this.acceptedCount++;
      this.#addToDay(route, Math.floor(minute / MINUTES_PER_DAY), delay);
      const arrival = this.#airport(destination);
      origin.totals[0]++;
      origin.totals[1] += delay;
      arrival.totals[2]++;
      arrival.totals[3] += delay;
      origin.miles += miles;
    }
  }

  #airport(code: string): AirportResult {
    let airport = this.airports.get(code);
    if (airport === undefined) {
      const number = this.airports.size;
      airport = { number, totals: [0, 0, 0, 0], miles: 0, routes: new Map() };
      this.airports.set(code, airport);
    }
    return airport;
  }

  #route(from: AirportResult, origin: string, destination: string): RouteResult {
    let route = from.routes.get(destination);
    if (route === undefined) {
      const name = `${origin}-${destination}`;
      const number = this.routes.length;
      const lists = { delays: [], positions: [], seen: new Map(), days: new Map() };
      route = { number, name, ...lists };
      from.routes.set(destination, route);
      this.routes.push(route);
    }
    return route;
  }

  #addToDay(route: RouteResult, day: number, delay: number): void {
    const known = route.days.get(day);
    if (known === undefined) {
      route.days.set(day, { number: this.dayCount++, totals: [1, delay, delay] });
      return;
    }
    const [flights, sum, worst] = known.totals;
    known.totals = [flights + 1, sum + delay, Math.max(worst, delay)];
  }
}
