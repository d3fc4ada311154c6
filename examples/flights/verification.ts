// The independent check: recomputes everything from the file with plain objects, and compares every
// key of every state and every output row. Shares with the job only the input and its order.
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { deliveryOrder } from "./delivery-order.ts";
import { DeliveryReader } from "./delivery-reader.ts";
import { Differences, type Found } from "./differences.ts";
import type { FlightBatch } from "./flight-batch.ts";
import { FlightFile } from "./flight-file.ts";
import { dayOfMinute, dayText } from "./flight-keys.ts";
import { dumpPath } from "./state-dump.ts";
import { syncDirectory } from "./transactional-file-sink.ts";

const HISTOGRAM_CLASS_MINUTES = 15;
const WORST_KEPT = 10;

export interface VerificationStart {
  readonly inputPath: string;
  readonly limit: number | undefined;
  readonly dumpDirectory: string;
  readonly outputDirectory: string;
  /** Where routes.csv goes; undefined writes none. */
  readonly resultDirectory: string | undefined;
}

export interface WorstRoute {
  readonly route: string;
  readonly flights: number;
  readonly meanDelay: number;
  readonly deviation: number;
}

export interface VerificationResult extends Found {
  readonly records: number;
  readonly redelivered: number;
  readonly acceptedFlights: number;
  readonly worstRoutes: readonly WorstRoute[];
}

interface RouteTotals {
  flights: number;
  sum: number;
  squares: number;
  readonly classes: Map<number, number>;
  /** [delay, position], the worst first. */
  worst: [number, number][];
}

/** What the states and the output must be. Values as in the dump: integers joined by commas. */
class Expected {
  readonly seen = new Map<string, number>();
  readonly days = new Map<string, [number, number, number]>();
  readonly routes = new Map<string, RouteTotals>();
  readonly airports = new Map<string, [number, number, number, number]>();
  readonly miles = new Map<string, number>();
  /** By position: the route's running count, and which route; 0 where nothing was accepted. */
  readonly runningCounts: Int32Array;
  readonly routeNumbers: Int32Array;
  readonly routeNames: string[] = [""];
  accepted = 0;

  constructor(positions: number) {
    this.runningCounts = new Int32Array(positions);
    this.routeNumbers = new Int32Array(positions);
  }
}

export async function verify(start: VerificationStart): Promise<VerificationResult> {
  const file = await FlightFile.open(start.inputPath, start.limit);
  const order = deliveryOrder(file.recordCount);
  const expected = new Expected(order.records.length);
  const reader = new DeliveryReader(file, order, 0);
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    compute(batch, file.airports, expected);
  }
  const differences = new Differences();
  for (const [name, values] of expectedStates(expected)) {
    await compareState(dumpPath(start.dumpDirectory, name), name, values, differences);
  }
  await compareOutput(start.outputDirectory, expected, differences);
  if (start.resultDirectory !== undefined) {
    await writeResults(start.resultDirectory, dumpPath(start.dumpDirectory, "route-day"));
  }
  return {
    ...differences.found(),
    records: order.recordCount,
    redelivered: order.redeliveredCount,
    acceptedFlights: expected.accepted,
    worstRoutes: worstRoutes(expected),
  };
}

function compute(batch: FlightBatch, airports: readonly string[], expected: Expected): void {
  for (let index = 0; index < batch.count; index++) {
    const from = airports[batch.origins[index]!]!;
    const to = airports[batch.destinations[index]!]!;
    const minute = batch.minutes[index]!;
    const delay = batch.delays[index]!;
    const miles = batch.distances[index]!;
    const position = batch.firstPosition + index;
    const route = `${from}-${to}`;
    const flight = `${route}:${minute}:${delay}:${miles}`;
    if (expected.seen.has(flight)) continue;
    expected.seen.set(flight, position);
    expected.accepted++;
    const totals = addToRoute(expected, route, delay, position);
    expected.runningCounts[position] = totals.flights;
    const day = `${route}:${dayText(dayOfMinute(minute))}`;
    const counts = expected.days.get(day);
    if (counts === undefined) expected.days.set(day, [1, delay, delay]);
    else {
      counts[0]++;
      counts[1] += delay;
      if (delay > counts[2]) counts[2] = delay;
    }
    addToAirport(expected.airports, from, 0, delay);
    addToAirport(expected.airports, to, 2, delay);
    expected.miles.set(from, (expected.miles.get(from) ?? 0) + miles);
  }
}

const routeNumberOf = new Map<string, number>();

function addToRoute(
  expected: Expected,
  route: string,
  delay: number,
  position: number,
): RouteTotals {
  let totals = expected.routes.get(route);
  if (totals === undefined) {
    totals = { flights: 0, sum: 0, squares: 0, classes: new Map(), worst: [] };
    expected.routes.set(route, totals);
    routeNumberOf.set(route, expected.routeNames.push(route) - 1);
  }
  expected.routeNumbers[position] = routeNumberOf.get(route)!;
  totals.flights++;
  totals.sum += delay;
  totals.squares += delay * delay;
  const delayClass = Math.floor(delay / HISTOGRAM_CLASS_MINUTES);
  totals.classes.set(delayClass, (totals.classes.get(delayClass) ?? 0) + 1);
  if (totals.worst.length < WORST_KEPT || delay > totals.worst[WORST_KEPT - 1]![0]) {
    totals.worst.push([delay, position]);
    totals.worst.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    totals.worst.length = Math.min(totals.worst.length, WORST_KEPT);
  }
  return totals;
}

function addToAirport(
  airports: Map<string, [number, number, number, number]>,
  airport: string,
  at: 0 | 2,
  delay: number,
): void {
  const totals = airports.get(airport) ?? [0, 0, 0, 0];
  totals[at]++;
  totals[(at + 1) as 1 | 3] += delay;
  airports.set(airport, totals);
}

type Values = {
  readonly size: number;
  valueOf(key: string): string | undefined;
  keys(): Iterable<string>;
};

function valuesOf<V>(map: Map<string, V>, text: (value: V) => string): Values {
  return {
    size: map.size,
    valueOf(key) {
      const value = map.get(key);
      return value === undefined ? undefined : text(value);
    },
    keys: () => map.keys(),
  };
}

function expectedStates(expected: Expected): [string, Values][] {
  const { seen, days, routes, airports, miles } = expected;
  const tenth = (worst: RouteTotals["worst"]): number => worst[WORST_KEPT - 1]?.[0] ?? 0;
  return [
    ["seen", valuesOf(seen, String)],
    ["route-day", valuesOf(days, (counts) => counts.join())],
    [
      "route",
      valuesOf(routes, (totals) =>
        [totals.flights, totals.sum, totals.squares, tenth(totals.worst)].join(),
      ),
    ],
    [
      "histogram",
      valuesOf(routes, ({ classes }) => [...classes].sort((a, b) => a[0] - b[0]).join()),
    ],
    ["worst-delays", valuesOf(routes, ({ worst }) => worst.join())],
    ["airport-totals", valuesOf(airports, (totals) => totals.join())],
    ["airport-miles", valuesOf(miles, String)],
  ];
}

async function compareState(
  path: string,
  state: string,
  values: Values,
  differences: Differences,
): Promise<void> {
  const met = new Set<string>();
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const tab = line.indexOf("\t");
    const key = line.slice(0, tab);
    if (met.has(key)) {
      differences.duplicated(`${state}: key ${key} came twice`);
      continue;
    }
    met.add(key);
    const value = values.valueOf(key);
    if (value === undefined) differences.wrong(`${state}: key ${key} should not exist`);
    else if (value !== line.slice(tab + 1)) {
      differences.wrong(`${state}: ${key} is ${line.slice(tab + 1)} instead of ${value}`);
    }
  }
  if (met.size >= values.size) return;
  for (const key of values.keys()) if (!met.has(key)) differences.lost(`${state}: key ${key}`);
}

async function compareOutput(
  directory: string,
  expected: Expected,
  differences: Differences,
): Promise<void> {
  const names = (await readdir(directory)).sort();
  const met = new Uint8Array(expected.runningCounts.length);
  for (const name of names) {
    if (!name.endsWith(".csv")) {
      differences.wrong(`output: ${name} was left pending`);
      continue;
    }
    const lines = createInterface({ input: createReadStream(join(directory, name)) });
    for await (const line of lines) compareRow(line, name, expected, met, differences);
  }
  for (let position = 0; position < met.length; position++) {
    if (expected.runningCounts[position] !== 0 && met[position] === 0) {
      differences.lost(`output: the row of position ${position}`);
    }
  }
}

function compareRow(
  line: string,
  name: string,
  expected: Expected,
  met: Uint8Array,
  differences: Differences,
): void {
  const [position = -1, route = "", flights = -1] = line.split(",");
  const at = Number(position);
  const wanted = expected.runningCounts[at] ?? 0;
  if (wanted === 0) differences.wrong(`output: ${name} has a row of position ${position}`);
  else if (met[at] === 1) differences.duplicated(`output: the row of position ${position}`);
  else if (
    wanted !== Number(flights) ||
    expected.routeNames[expected.routeNumbers[at]!] !== route
  ) {
    differences.wrong(`output: ${line} should count ${wanted}`);
  }
  if (wanted !== 0) met[at] = 1;
}

function worstRoutes(expected: Expected): WorstRoute[] {
  return [...expected.routes]
    .filter(([, totals]) => totals.flights >= 100)
    .map(([route, { flights, sum, squares }]) => {
      const meanDelay = sum / flights;
      const deviation = Math.sqrt(Math.max(0, squares / flights - meanDelay * meanDelay));
      return { route, flights, meanDelay, deviation };
    })
    .sort((a, b) => b.meanDelay - a.meanDelay)
    .slice(0, 10);
}

/** routes.csv from what the job's state held, whole or not at all. */
async function writeResults(directory: string, dump: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const rows: string[] = [];
  for await (const line of createInterface({ input: createReadStream(dump) })) {
    const [route = "", day = "", values = ""] = line.split(/[:\t]/);
    rows.push(`${route.replace("-", ",")},${day},${values}\r\n`);
  }
  // The first three columns decide: codes have three characters and days ten, so rows sort as keys.
  rows.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const path = join(directory, "routes.csv");
  const handle = await open(`${path}.pending`, "w");
  try {
    await handle.writeFile(
      `origin,destination,day,flights,sum_delay,worst_delay\r\n${rows.join("")}`,
    );
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${path}.pending`, path);
  await syncDirectory(directory);
}
