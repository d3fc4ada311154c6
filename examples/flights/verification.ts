// The independent check, in a process of its own: recomputes everything from the file, then compares
// every key of every state and every output row. Computing does not wait for the job, comparing does.
import { compareOutput, compareState } from "./comparison.ts";
import { deliveryOrder } from "./delivery-order.ts";
import type { DeliveryOrder } from "./delivery-order.ts";
import { DeliveryReader } from "./delivery-reader.ts";
import { Differences } from "./differences.ts";
import type { Found } from "./differences.ts";
import { ExpectedResults } from "./expected-results.ts";
import { expectedStates } from "./expected-states.ts";
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

  private constructor(start: VerificationStart, order: DeliveryOrder, expected: ExpectedResults) {
    this.#start = start;
    this.#order = order;
    this.#expected = expected;
  }

  /** Recomputes what the job must arrive at. Needs nothing of the job. */
  static async compute(start: VerificationStart): Promise<Verification> {
    const file = await FlightFile.open(start.inputPath, start.limit);
    const order = deliveryOrder(file.recordCount);
    const reader = new DeliveryReader(file, order, 0);
    const expected = new ExpectedResults(order.records.length);
    for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
      expected.add(batch, file.airports);
    }
    return new Verification(start, order, expected);
  }

  /** Compares with what the job left behind, once it has ended. */
  async compare(): Promise<VerificationResult> {
    const { dumpDirectory, outputDirectory, resultDirectory } = this.#start;
    const differences = new Differences();
    const results = new JobResults();
    for (const state of expectedStates(this.#expected)) {
      compareState(dumpPath(dumpDirectory, state.name), state, differences, (key, value) => {
        if (state.name === "route") results.addRoute(key, value);
        else if (state.name === "route-day") results.addRouteDay(key, value);
      });
    }
    compareOutput(outputDirectory, this.#expected, differences);
    if (resultDirectory !== undefined) await results.write(resultDirectory);
    return {
      ...differences.found(),
      records: this.#order.recordCount,
      redelivered: this.#order.redeliveredCount,
      accepted: this.#expected.acceptedCount,
      worstRoutes: results.worstRoutes(),
    };
  }
}
