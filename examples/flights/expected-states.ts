// The expected results as rows of the job's states: what each key's line in the dump must say.
import type { AirportResult, ExpectedResults, RouteResult } from "./expected-results.ts";

const HISTOGRAM_CLASS_MINUTES = 15;
const WORST_KEPT = 10;
const MS_PER_DAY = 86_400_000;

/** A row that must exist. */
export interface ExpectedRow {
  /** From 0 to the state's row count, each once. */
  readonly number: number;
  /** Integers joined by commas, as in the dump. */
  readonly value: string;
}

export interface ExpectedState {
  readonly name: string;
  readonly rowCount: number;
  /** At least as large as every row's number, plus one. */
  readonly numberCount: number;
  find(key: string): ExpectedRow | undefined;
  /** Keys of all rows with their numbers. */
  keys(): Iterable<readonly [key: string, number: number]>;
}

export function expectedStates(expected: ExpectedResults): ExpectedState[] {
  const byName = new Map(expected.routes.map((route) => [route.name, route]));
  return [
    seenState(expected, byName),
    routeDayState(expected, byName),
    routeState("route", byName, routeTotals),
    routeState("histogram", byName, histogram),
    routeState("worst-delays", byName, worstDelays),
    airportState("airport-totals", expected.airports, (airport) => airport.totals.join()),
    departureState(expected.airports),
  ];
}

function seenState(
  expected: ExpectedResults,
  byName: ReadonlyMap<string, RouteResult>,
): ExpectedState {
  return {
    name: "seen",
    rowCount: expected.acceptedCount,
    numberCount: expected.runningCounts.length,
    find(key) {
      const [route, flight] = splitKey(key);
      const position = byName.get(route)?.seen.get(flight);
      return position === undefined ? undefined : { number: position, value: String(position) };
    },
    *keys() {
      for (const route of expected.routes) {
        for (const [flight, position] of route.seen) yield [`${route.name}:${flight}`, position];
      }
    },
  };
}

function routeDayState(
  expected: ExpectedResults,
  byName: ReadonlyMap<string, RouteResult>,
): ExpectedState {
  const dayNumbers = new Map<string, number>();
  const dayNumber = (text: string): number => {
    const number = dayNumbers.get(text) ?? Date.parse(text) / MS_PER_DAY;
    dayNumbers.set(text, number);
    return number;
  };
  return {
    name: "route-day",
    rowCount: expected.dayCount,
    numberCount: expected.dayCount,
    find(key) {
      const [route, day] = splitKey(key);
      const result = byName.get(route)?.days.get(dayNumber(day));
      return result === undefined
        ? undefined
        : { number: result.number, value: result.totals.join() };
    },
    *keys() {
      for (const route of expected.routes) {
        for (const [day, { number }] of route.days) {
          yield [`${route.name}:${new Date(day * MS_PER_DAY).toISOString().slice(0, 10)}`, number];
        }
      }
    },
  };
}

/** Every route that was ever delivered has accepted its first flight. */
function routeState(
  name: string,
  byName: ReadonlyMap<string, RouteResult>,
  valueOf: (route: RouteResult) => string,
): ExpectedState {
  return {
    name,
    rowCount: byName.size,
    numberCount: byName.size,
    find(key) {
      const route = byName.get(key);
      return route === undefined ? undefined : { number: route.number, value: valueOf(route) };
    },
    *keys() {
      for (const route of byName.values()) yield [route.name, route.number];
    },
  };
}

function airportState(
  name: string,
  airports: ReadonlyMap<string, AirportResult>,
  valueOf: (airport: AirportResult) => string,
): ExpectedState {
  return {
    name,
    rowCount: airports.size,
    numberCount: airports.size,
    find(key) {
      const airport = airports.get(key);
      return airport === undefined
        ? undefined
        : { number: airport.number, value: valueOf(airport) };
    },
    *keys() {
      for (const [code, airport] of airports) yield [code, airport.number];
    },
  };
}

/** Miles are counted at the origin: airports that nobody left have no row. */
function departureState(all: ReadonlyMap<string, AirportResult>): ExpectedState {
  const departed = new Map([...all].filter(([, airport]) => airport.totals[0] > 0));
  const state = airportState("airport-miles", departed, (airport) => String(airport.miles));
  return { ...state, numberCount: all.size };
}

function routeTotals({ delays }: RouteResult): string {
  const sum = delays.reduce((total, delay) => total + delay, 0);
  const squares = delays.reduce((total, delay) => total + delay * delay, 0);
  const tenth = [...delays].sort((a, b) => b - a)[WORST_KEPT - 1] ?? 0;
  return [delays.length, sum, squares, tenth].join();
}

function histogram({ delays }: RouteResult): string {
  const classes = new Map<number, number>();
  for (const delay of delays) {
    const delayClass = Math.floor(delay / HISTOGRAM_CLASS_MINUTES);
    classes.set(delayClass, (classes.get(delayClass) ?? 0) + 1);
  }
  return [...classes].sort((a, b) => a[0] - b[0]).join();
}

/** The worst first; of equal ones the first delivered, which a stable sort leaves in front. */
function worstDelays({ delays, positions }: RouteResult): string {
  return delays
    .map((delay, index) => [delay, positions[index]!] as const)
    .sort((a, b) => b[0] - a[0])
    .slice(0, WORST_KEPT)
    .join();
}

function splitKey(key: string): [string, string] {
  const colon = key.indexOf(":");
  return [key.slice(0, colon), key.slice(colon + 1)];
}
