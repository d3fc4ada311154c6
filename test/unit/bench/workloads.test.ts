import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import { Churn, openSessions } from "../../../bench/load/churn.ts";
import { Events } from "../../../bench/operators/events.ts";
import { operatorNames, operatorOf } from "../../../bench/operators/operators.ts";
import { openWindowStore } from "../../../bench/stores/window-store.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

describe("the churn of the load test", () => {
  test("has the versions that counting would give", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 3000 }),
        fc.nat({ max: 20_000 }),
        (rows, records) => {
          const churn = new Churn(rows);
          const counted = new Int32Array(rows);
          for (let record = 0; record < records; record++) counted[churn.rowOf(record)]!++;
          for (let row = 0; row < rows; row++) {
            assert.equal(churn.versionOf(row, records), counted[row], `row ${row}`);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test("begins each session once, in order", () => {
    const churn = new Churn(1000);
    const begun: number[] = [];
    for (let record = 0; record < 1000; record++) {
      assert.equal(churn.sessionsAfter(record), begun.length);
      const session = churn.sessionOf(record);
      if (session !== undefined) begun.push(session);
    }
    assert.deepEqual(
      begun,
      Array.from({ length: 50 }, (_, i) => i),
    );
    assert.ok(openSessions > 0);
  });
});

const memoryBudgetBytes = 64 * 1_048_576;

describe("operators of bench:operators", () => {
  for (const name of operatorNames) {
    test(`${name} has the same results on Varve as on a Map`, async () => {
      const directory = temporaryDirectory();
      const outputs: number[] = [];
      for (const store of ["lsm", "map"] as const) {
        const opened = await openWindowStore({ store, directory, memoryBudgetBytes });
        const operator = operatorOf(name, opened);
        const events = new Events(3000, "zipf 0.99", 8000);
        for (let i = 0; i < 8000; i++) {
          events.next();
          operator.process(events);
          if (i % 100 === 0) await opened.settle();
        }
        await opened.close();
        outputs.push(operator.output);
      }
      assert.notEqual(outputs[0], 0, "the operator had results");
      assert.deepEqual(outputs, [outputs[0], outputs[0]]);
    });
  }
});
