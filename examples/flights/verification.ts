// The independent check, in a process of its own: recomputes everything from the file, then compares
// every key of every state and every output row, each as soon as the job has left it behind.
import { compareOutput, compareState } from "./comparison.ts";
import { deliveryOrder } from "./delivery-order.ts";
import type { DeliveryOrder } from "./delivery-order.ts";
import { DeliveryReader } from "./delivery-reader.ts";
import { Differences } from "./differences.ts";
import type { Found } from "./differences.ts";
import { ExpectedResults } from "./expected-results.ts";
import { expectedStates } from "./expected-states.ts";
import type { ExpectedState } from "./expected-states.ts";
import { FlightFile } from "./flight-file.ts";
import { JobResults } from "./job-results.ts";
import type { WorstRoute } from "./job-results.ts";
import { dumpPath } from "./state-dump.ts";

export interface VerificationStart {
  readonly inputPath: string;
  readonly limit: number | undefined;
  readonly dumpDirectory: string;
  readonly outputDirectory: string;
  /** Where routes.csv goes; undefined writes none. */
  readonly resultDirectory: string | undefined;
}

export interface VerificationResult extends Found {
  readonly records: number;
  readonly redelivered: number;
  readonly accepted: number;
  readonly worstRoutes: readonly WorstRoute[];
}

export class Verification {
  readonly #start: VerificationStart;
  readonly #order: DeliveryOrder;
  readonly #expected: ExpectedResults;
  readonly #differences = new Differences();
  readonly #results = new JobResults();
  /** States not compared yet. */
  readonly #states: Map<string, ExpectedState>;

  private constructor(start: VerificationStart, order: DeliveryOrder, expected: ExpectedResults) {
    this.#start = start;
    this.#order = order;
    this.#expected = expected;
    this.#states = new Map(expectedStates(expected).map((state) => [state.name, state]));
  }

  /** Recomputes what the job must arrive at. Needs nothing of the job. */
  static async compute(start: VerificationStart): Promise<Verification> {
    const file = await FlightFile.open(start.inputPath, start.limit);
    const order = deliveryOrder(file.recordCount);
    const reader = new DeliveryReader(file, order);
    const expected = new ExpectedResults(order.records.length);
    for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
      expected.add(batch, file.airports);
    }
    return new Verification(start, order, expected);
  }

  /** All rows are committed. */
  compareOutput(): void {
    compareOutput(this.#start.outputDirectory, this.#expected, this.#differences);
  }

  /** The dump of this state is complete. */
  compareState(name: string): void {
    const state = this.#states.get(name);
    if (state === undefined) throw new Error(`state ${name} is not expected, or was compared`);
    this.#states.delete(name);
    const path = dumpPath(this.#start.dumpDirectory, name);
    compareState(path, state, this.#differences, (key, value) => {
      if (name === "route") this.#results.addRoute(key, value);
      else if (name === "route-day") this.#results.addRouteDay(key, value);
    });
  }

  /** Everything was compared. */
  async finish(): Promise<VerificationResult> {
    const missing = [...this.#states.keys()];
    if (missing.length > 0) throw new Error(`the job did not dump ${missing.join(", ")}`);
    const { resultDirectory } = this.#start;
    if (resultDirectory !== undefined) await this.#results.write(resultDirectory);
    return {
      ...this.#differences.found(),
      records: this.#order.recordCount,
      redelivered: this.#order.redeliveredCount,
      accepted: this.#expected.acceptedCount,
      worstRoutes: this.#results.worstRoutes(),
    };
  }
}
