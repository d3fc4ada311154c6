// Goal: the delivery order of the main job is what its help says, at every size of input.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { deliveryOrder } from "../../examples/flights/delivery-order.ts";

/** Position of the first and of the last delivery of each record; -1 if there is none. */
function positionsOf(recordCount: number) {
  const { records } = deliveryOrder(recordCount);
  const first = new Int32Array(recordCount).fill(-1);
  const last = new Int32Array(recordCount).fill(-1);
  records.forEach((record, position) => {
    if (first[record] === -1) first[record] = position;
    last[record] = position;
  });
  return { first, last, length: records.length };
}

describe("delivery order", () => {
  test.each([1, 2, 59, 60, 100, 1_000, 60_000, 1_000_000])(
    "of %i records delivers each once, and 2 % twice",
    (recordCount) => {
      const order = deliveryOrder(recordCount);
      const { first, last, length } = positionsOf(recordCount);
      assert.equal(length, recordCount + order.redeliveredCount);
      assert.ok(first.every((position) => position !== -1));
      const twice = first.filter((position, record) => last[record] !== position).length;
      assert.equal(twice, order.redeliveredCount);
      if (recordCount >= 60) {
        assert.equal(twice, Math.floor(recordCount * 0.02));
        assert.equal(order.lateCount, Math.floor(recordCount * 0.05));
      }
    },
  );

  test("of three million records delays 5 % by 50,000 to 1,000,000 positions", () => {
    const recordCount = 3_000_000;
    const { first } = positionsOf(recordCount);
    let lateCount = 0;
    // Seen from the end: a record is late if one behind it in the file came before it.
    let next = Number.POSITIVE_INFINITY;
    for (let record = recordCount - 1; record >= 0; record--) {
      const position = first[record]!;
      if (position < next) {
        next = position;
        continue;
      }
      lateCount++;
      assert.ok(position - next >= 50_000 - 1 && position - next <= 1_000_000, `record ${record}`);
    }
    assert.equal(lateCount, 150_000);
  });

  test("of three million records repeats 2 % after 50,000 to 1,000,000 positions", () => {
    const { first, last } = positionsOf(3_000_000);
    let repeatedCount = 0;
    last.forEach((position, record) => {
      const distance = position - first[record]!;
      if (distance === 0) return;
      repeatedCount++;
      assert.ok(distance >= 50_000 && distance <= 1_000_000, `record ${record}`);
    });
    assert.equal(repeatedCount, 60_000);
  });
});
