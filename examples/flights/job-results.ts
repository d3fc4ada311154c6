// The job's results for people and other programs, taken from what its states held: routes.csv and
// the worst routes.
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory, syncDirectory } from "./transactional-file-sink.ts";

const HEADER = "origin,destination,day,flights,sum_delay,worst_delay";
const LINE_END = "\r\n"; // RFC 4180
const WORST_ROUTES = 10;
/** Routes with fewer flights are not ranked, unless there are no others. */
const RANKED_FLIGHTS_MIN = 100;

export interface WorstRoute {
  readonly route: string;
  readonly flights: number;
  readonly meanDelay: number;
  /** Standard deviation of the delay. */
  readonly deviation: number;
}

export class JobResults {
  readonly #csvRows: string[] = [];
  readonly #routes: WorstRoute[] = [];

  /** One row of the dump of state `route-day`. No field needs quotes: codes, a date, integers. */
  addRouteDay(key: string, value: string): void {
    const [route = "", day = ""] = key.split(":");
    this.#csvRows.push(`${route.replace("-", ",")},${day},${value}`);
  }

  /** One row of the dump of state `route`. */
  addRoute(route: string, value: string): void {
    const [flights = 0, sum = 0, squares = 0] = value.split(",").map(Number);
    const meanDelay = sum / flights;
    const deviation = Math.sqrt(Math.max(0, squares / flights - meanDelay * meanDelay));
    this.#routes.push({ route, flights, meanDelay, deviation });
  }

  worstRoutes(): WorstRoute[] {
    const ranked = this.#routes.filter((route) => route.flights >= RANKED_FLIGHTS_MIN);
    return (ranked.length > 0 ? ranked : this.#routes)
      .sort((a, b) => b.meanDelay - a.meanDelay || (a.route < b.route ? -1 : 1))
      .slice(0, WORST_ROUTES);
  }

  /** Writes routes.csv whole or not at all, durably. */
  async write(directory: string): Promise<void> {
    // The comma is less than every letter and digit, so rows sort as their first columns do.
    const rows = this.#csvRows.sort((a, b) => (a < b ? -1 : 1));
    await makeDirectory(directory);
    const path = join(directory, "routes.csv");
    const pendingPath = `${path}.${process.pid}.pending`;
    const handle = await open(pendingPath, "w");
    try {
      await handle.writeFile([HEADER, ...rows, ""].join(LINE_END));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(pendingPath, path);
    await syncDirectory(directory);
  }
}
