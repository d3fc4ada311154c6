// The keyed states of the job, and what their rows hold. All numbers are integers, so that results
// do not depend on the order of additions; mean and variance are derived from exact sums.
import { i64, struct } from "../../src/index.ts";
import type {
  AggregateFunction,
  AggregatingState,
  KeyedStateBackend,
  ListState,
  MapState,
  ReducingState,
  ValueState,
} from "../../src/index.ts";

/** Per origin, destination and day. */
export interface RouteDay {
  readonly flights: number;
  readonly sumDelay: number;
  readonly worstDelay: number;
}

/** Per origin and destination. */
export interface Route {
  readonly flights: number;
  readonly sumDelay: number;
  readonly sumSquares: number;
  /** Delay of the tenth-worst flight, once there are ten: a flight below it need not read the list. */
  readonly tenthWorstDelay: number;
}

export interface WorstDelay {
  readonly delay: number;
  /** Where the flight was delivered. */
  readonly position: number;
}

/** Per airport, as origin and as destination. */
export interface AirportTotals {
  departures: number;
  departureDelay: number;
  arrivals: number;
  arrivalDelay: number;
}

export interface AirportMovement {
  readonly isDeparture: boolean;
  readonly delay: number;
}

export interface FlightStates {
  /** By all five columns: position of the first delivery. */
  readonly seen: ValueState<number>;
  readonly routeDay: ValueState<RouteDay>;
  readonly route: ValueState<Route>;
  /** By route: flights by delay, in classes of HISTOGRAM_MINUTES. */
  readonly histogram: MapState<number, number>;
  /** By route: the worst first; of equal ones, the one delivered first. */
  readonly worstDelays: ListState<WorstDelay>;
  readonly airportTotals: AggregatingState<AirportMovement, AirportTotals>;
  /** By airport: miles flown from it. */
  readonly airportMiles: ReducingState<number>;
}

export const HISTOGRAM_MINUTES = 15;
export const WORST_DELAYS_MAX = 10;

const totalsByAirport: AggregateFunction<AirportMovement, AirportTotals, AirportTotals> = {
  createAccumulator: () => ({ departures: 0, departureDelay: 0, arrivals: 0, arrivalDelay: 0 }),
  add(totals, { isDeparture, delay }) {
    if (isDeparture) {
      totals.departures++;
      totals.departureDelay += delay;
    } else {
      totals.arrivals++;
      totals.arrivalDelay += delay;
    }
    return totals;
  },
  getResult: (totals) => totals,
  merge: (a, b) => ({
    departures: a.departures + b.departures,
    departureDelay: a.departureDelay + b.departureDelay,
    arrivals: a.arrivals + b.arrivals,
    arrivalDelay: a.arrivalDelay + b.arrivalDelay,
  }),
};

export function flightStates(backend: KeyedStateBackend): FlightStates {
  return {
    seen: backend.valueState({ name: "seen", value: i64 }),
    routeDay: backend.valueState({
      name: "route-day",
      value: struct({ flights: i64, sumDelay: i64, worstDelay: i64 }),
    }),
    route: backend.valueState({
      name: "route",
      value: struct({ flights: i64, sumDelay: i64, sumSquares: i64, tenthWorstDelay: i64 }),
    }),
    histogram: backend.mapState({ name: "histogram", key: i64, value: i64 }),
    worstDelays: backend.listState({
      name: "worst-delays",
      element: struct({ delay: i64, position: i64 }),
    }),
    airportTotals: backend.aggregatingState({
      name: "airport-totals",
      accumulator: struct({
        departures: i64,
        departureDelay: i64,
        arrivals: i64,
        arrivalDelay: i64,
      }),
      aggregate: totalsByAirport,
    }),
    airportMiles: backend.reducingState({
      name: "airport-miles",
      value: i64,
      reduce: (sum, miles) => sum + miles,
    }),
  };
}
